# SPDX-License-Identifier: BSD-2-Clause
"""A pytest plugin for an emulated interpreter, which cannot start programs: tests that try to are skipped."""

import subprocess

import pytest


class Refused(subprocess.Popen):
    def __init__(self, *arguments, **options):
        pytest.skip("this process is emulated and cannot start programs")

    def __del__(self, _warn=None):
        pass  # nothing was started


subprocess.Popen = Refused
