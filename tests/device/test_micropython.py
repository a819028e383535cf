# SPDX-License-Identifier: BSD-2-Clause
"""The core under MicroPython does what it does under CPython: same script, same output."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("portable_core.py")
FIRMWARE = Path(__file__).parents[2] / "firmware"


def run(*interpreter):
    done = subprocess.run(
        [*interpreter, str(SCRIPT), str(FIRMWARE)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_script_says_what_it_should_under_cpython():
    lines = run(sys.executable).splitlines()
    assert lines[0] == "4464 0 7 b'abc'"
    assert lines[1] == "RTP packet is shorter than its header: 0 of 12 bytes"
    assert "True True" in lines and lines[-1] == "session over True"


def test_micropython_agrees_with_cpython():
    # MICROPYTHON may hold a whole command line, e.g. a loader and its library path.
    command = os.environ.get("MICROPYTHON", shutil.which("micropython") or "").split()
    if not command:
        pytest.skip("needs MicroPython: apt-get install micropython, or set MICROPYTHON")
    assert run(*command) == run(sys.executable)
