#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Tests the arm64 wheel on emulated Raspberry Pi processors, in Debian userlands made for the purpose.

    scripts/test_arm.py [--short] [--suite bookworm|trixie]... [--wheel FILE]

Builds the wheel unless one is named, unpacks a Debian arm64 userland per suite (no container, no root; kept in the
cache folder), installs the wheel and its arm64 dependencies into it, and runs tests/arm/test_emulated_wheel.py under
qemu-user. --short: Debian 12 only, Cortex-A53 and A76, without the test modules of kernels and models.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from debian import DebianError, cache
from userland import PYTHONS, assemble

ROOT = Path(__file__).resolve().parents[1]
TOOLS = {"qemu-aarch64": "qemu-user", "dpkg-deb": "dpkg", "apt-get": "apt"}


class BuildError(RuntimeError):
    """The wheel was not built."""


class Steps:
    """Says what begins, and what each step took."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    def run(self, name, function, *arguments):  # type: ignore[no-untyped-def]
        print(f"== {name}", flush=True)
        start = time.monotonic()
        value = function(*arguments)
        self.rows.append((name, time.monotonic() - start))
        return value

    def show(self) -> None:
        for name, seconds in self.rows:
            print(f"{seconds:7.1f} s  {name}")
        print(f"{sum(seconds for _, seconds in self.rows):7.1f} s  in all")


def build_wheel() -> Path:
    """Return the path of the wheel that scripts/wheel.sh made. Raises BuildError."""
    done = subprocess.run([str(ROOT / "scripts/wheel.sh"), "aarch64"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BuildError("the wheel was not built, see above")
    return Path(done.stdout.strip().splitlines()[-1])


def megabytes(folder: Path) -> float:
    """Return the disk space of a folder in MB (10**6 bytes)."""
    return sum(path.lstat().st_blocks for path in folder.rglob("*")) * 512 / 1e6


def run_tests(lands: dict[str, Path], short: bool) -> int:
    environment = {**os.environ, "DREDGE_ARM_LANDS": ":".join(f"{suite}={folder}" for suite, folder in lands.items())}
    environment["DREDGE_ARM_SHORT"] = "1" if short else "0"
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-s", "tests/arm/test_emulated_wheel.py"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


def options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="what continuous integration runs")
    parser.add_argument("--suite", action="append", choices=list(PYTHONS), help="default: both, or bookworm if --short")
    parser.add_argument("--wheel", type=Path, help="an arm64 wheel; default: build it")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> int:
    """Run the tests; return 0: all passed; 1: one failed, or no wheel; 3: the userland could not be fetched."""
    given = options(arguments)
    missing = [package for program, package in TOOLS.items() if shutil.which(program) is None]
    if missing:
        print(f"test_arm.py: not installed; run: apt install {' '.join(missing)}", file=sys.stderr)
        return 1
    steps, lands = Steps(), {}
    try:
        wheel = given.wheel or steps.run("wheel for arm64", build_wheel)
        for suite in given.suite or (["bookworm"] if given.short else list(PYTHONS)):
            folder = cache() / "userland" / suite
            lands[suite] = steps.run(f"userland {suite}", assemble, suite, wheel, folder)
    except (BuildError, DebianError, OSError) as error:
        print(f"test_arm.py: {error}", file=sys.stderr)
        return 1 if isinstance(error, BuildError) else 3
    status = steps.run("tests", run_tests, lands, given.short)
    steps.show()
    for suite, folder in lands.items():
        print(f"{megabytes(folder):7.0f} MB userland {suite}")
    print(f"{wheel.stat().st_size / 1e6:7.1f} MB {wheel.name}")
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
