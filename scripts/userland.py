#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A Debian arm64 userland with the wheel and what it needs, to be run under qemu-user; no container, no root.

    scripts/userland.py SUITE WHEEL FOLDER      SUITE: bookworm (Python 3.11) or trixie (Python 3.13)

FOLDER gets two parts: root/ (Debian packages, unpacked) and site/ (Python wheels for arm64, ours among them).
"""

from __future__ import annotations

import email.parser
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from debian import DebianError, make, run

PYTHONS = {"bookworm": "3.11", "trixie": "3.13"}
PACKAGES = ["python3", "libstdc++6", "libgomp1"]  # what the wheels from PyPI expect a system to have
TEST_NEEDS = ["pytest>=8", "pytest-timeout", "hypothesis>=6"]
GLIBC = {"bookworm": 36, "trixie": 41}

# What /proc/cpuinfo says on the boards (ARM's part numbers). The emulator shows programs the PC's file instead,
# and the TFLite runtime reads it to choose its kernels.
PARTS = {"cortex-a53": 0xD03, "cortex-a72": 0xD08, "cortex-a76": 0xD0B}
CPUINFO = """processor\t: {core}
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm crc32 cpuid{dotprod}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part:#x}
CPU revision\t: 4

"""


def requirements(wheel: Path, python: str) -> list[str]:
    """Return the wheel's requirements on arm64 with this Python, without markers, which pip would ask of *this*
    machine.
    """
    from pip._vendor.packaging.requirements import Requirement

    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = email.parser.Parser().parsestr(archive.read(name).decode())
    place = {"python_version": python, "python_full_version": python + ".0", "platform_machine": "aarch64", "extra": ""}
    needed = []
    for text in metadata.get_all("Requires-Dist", []):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(place):
            requirement.marker = None
            needed.append(str(requirement))
    return needed


def fetch_site(suite: str, wheel: Path, site: Path) -> None:
    """Fetch wheels for arm64 from PyPI into `site`, unless the list is the same as last time. Raises DebianError."""
    python = PYTHONS[suite]
    wanted = [*requirements(wheel, python), *TEST_NEEDS]
    stamp = site / ".dredge-requirements"
    if stamp.exists() and stamp.read_text() == "\n".join(wanted):
        return
    part = site.with_name(f".{site.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    platforms = [f"manylinux_2_{n}_aarch64" for n in range(GLIBC[suite], 16, -1)] + ["manylinux2014_aarch64"]
    run(
        [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--target", str(part),
         "--only-binary=:all:", "--implementation", "cp", "--python-version", python,
         *[word for p in platforms for word in ("--platform", p)], *wanted]
    )  # fmt: skip
    (part / ".dredge-requirements").write_text("\n".join(wanted))
    shutil.rmtree(site, ignore_errors=True)
    part.rename(site)


def install_wheel(wheel: Path, site: Path) -> None:
    """Unpack our wheel anew after removing an earlier version."""
    for old in {*site.glob("dredge_*"), *site.glob("dredge-*"), *site.glob("dredge*.libs")}:
        shutil.rmtree(old)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)


def cpuinfo(cpu: str, cores: int = 4) -> str:
    """Return the /proc/cpuinfo of a board with `cores` of this processor."""
    dotprod = " asimddp" if cpu == "cortex-a76" else ""
    return "".join(CPUINFO.format(core=n, part=PARTS[cpu], dotprod=dotprod) for n in range(cores))


def assemble(suite: str, wheel: Path, folder: Path) -> Path:
    """Make `folder` the userland of this suite with this wheel. Raises DebianError."""
    make("tree", suite, "arm64", folder / "root", PACKAGES)
    fetch_site(suite, wheel, folder / "site")
    install_wheel(wheel, folder / "site")
    return folder


def command(folder: Path, cpu: str) -> tuple[list[str], dict[str, str]]:
    """Return the emulated Python as (command, environment) and write the processor's cpuinfo where the emulator finds
    it.
    """
    root = folder.absolute() / "root"
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc/cpuinfo").write_text(cpuinfo(cpu))
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"QEMU_LD_PREFIX": str(root), "PYTHONPATH": str(folder.absolute() / "site"), "OMP_NUM_THREADS": "1"}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return ["qemu-aarch64", "-cpu", cpu, str(root / "usr/bin/python3")], environment


def main(arguments: list[str]) -> int:
    """Run the command line; return 0, or 1 with a sentence on standard error."""
    if len(arguments) != 3 or arguments[0] not in PYTHONS:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        assemble(arguments[0], Path(arguments[1]), Path(arguments[2]))
    except (DebianError, OSError, zipfile.BadZipFile, subprocess.SubprocessError) as error:
        print(f"userland.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
