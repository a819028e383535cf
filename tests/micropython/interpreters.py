# SPDX-License-Identifier: BSD-2-Clause
"""Where MicroPython is: MICROPYTHON (a command line), the PATH, or what scripts/mpy.py has fetched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT / "scripts") not in sys.path:
    sys.path.append(str(ROOT / "scripts"))

import mpy  # noqa: E402

FIRMWARE = ROOT / "firmware"
PORTABLE = Path(__file__).with_name("portable")
MODULES = sorted(path.stem for path in PORTABLE.glob("test_mp_*.py"))
HEAP = "160K"  # what a Pico W has left, roughly
ADVICE = "needs MicroPython: make micropython"


def native() -> list[str] | None:
    named = os.environ.get("MICROPYTHON", "").split()
    installed = shutil.which("micropython")
    return named or ([installed] if installed else mpy.native_command())


def arm() -> list[str] | None:
    return mpy.arm_command()


def need(command: list[str] | None) -> list[str]:
    if command is None:
        pytest.skip(ADVICE)
    return command


def run(command: list[str], script: str, *arguments: str) -> list[str]:
    """Lines that a script in portable/ prints; an assertion with everything it said when it fails."""
    done = subprocess.run([*command, str(PORTABLE / script), str(FIRMWARE), *arguments], capture_output=True, text=True,
                          timeout=240, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
