# SPDX-License-Identifier: BSD-2-Clause
"""Runs the counted program under qemu-user: the arm64 wheel in a Debian userland, with the counting plugin."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import userland
from debian import cache, make, run, tied
from virtual_pi.boot_image.layers import SUITE, folder
from virtual_pi.boot_image.prepare import WHEEL_TOOLS, install_tools
from virtual_pi.boot_image.wheel import BuildError, built_wheel

from instruction_count.cases import Case, pickled

HERE = Path(__file__).parent
TOOLS = {"qemu-aarch64": "qemu-user", "gcc": "gcc libc6-dev", "dpkg-deb": "dpkg", "apt-get": "apt"}


@dataclass(frozen=True)
class Counted:
    """classes: (model, case, source, source before) by number; level: of the kernels; libraries: (from, to, path);
    periods: (class, instructions); runs: instructions by address and class."""

    classes: list[tuple[str, str, str, str]]
    level: str
    libraries: list[tuple[int, int, str]]
    periods: list[tuple[int, int]]
    runs: dict[int, dict[int, int]]


def land(wheel: Path | None) -> tuple[Path, Path]:
    """Return (userland, wheel), made where they are missing. Raises BuildError, DebianError or OSError."""
    install_tools({**TOOLS, **WHEEL_TOOLS} if wheel is None else TOOLS)
    with open(folder() / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel = wheel or built_wheel()
        there = cache() / "userland" / SUITE
        make("tree", SUITE, "arm64", there / "root", userland.PACKAGES)
        userland.fetch_site(SUITE, wheel, there / "site")
    return there, wheel


def build_plugin(source: Path, made: Path) -> Path:
    """Return a plugin for qemu-user from one C file. Raises BuildError."""
    words = ["gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", f"-I{HERE}", str(source), "-o", str(made)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{source.name} was not compiled: {done.stderr.strip()[-500:]}")
    return made


def count(there: Path, wheel: Path, cpu: str, models: Sequence[str], cases: Sequence[Case]) -> Counted:
    """Run the cases with each model. Raises BuildError, or DebianError with what the program said."""
    with tempfile.TemporaryDirectory(dir=folder()) as name:
        scratch = Path(name)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch / "own")
        plugin = build_plugin(HERE / "counter.c", scratch / "counter.so")
        (scratch / "cases").write_bytes(pickled(models, cases))
        shutil.copy(HERE / "guest.py", scratch)
        program, environment = userland.command(there, cpu)
        environment["PYTHONPATH"] = f"{scratch / 'own'}:{environment['PYTHONPATH']}"
        environment["PYTHONHASHSEED"] = "0"
        counter = ["-plugin", f"{plugin},out={scratch / 'counts'}"]
        guest = [str(scratch / name) for name in ("guest.py", "cases", "said")]
        run(tied([program[0], *counter, *program[1:], *guest]), env=environment)
        return _read(json.loads((scratch / "said").read_text()), (scratch / "counts").read_text())


def _read(said: dict[str, Any], counts: str) -> Counted:
    periods: list[tuple[int, int]] = []
    runs: dict[int, dict[int, int]] = {}
    for line in counts.splitlines():
        kind, *words = line.split()
        if kind == "period":
            periods.append((int(words[0]), int(words[1])))
            continue
        there = runs.setdefault(int(words[0], 16), {})
        for word in words[1:]:
            number, instructions = map(int, word.split(":"))
            there[number] = there.get(number, 0) + instructions
    return Counted(
        [tuple(name) for name in said["classes"]], said["level"], [tuple(line) for line in said["libraries"]],
        periods, runs,
    )  # fmt: skip
