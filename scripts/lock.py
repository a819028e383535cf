#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Pins everything that Dredge is installed with, by version and SHA-256, from the ranges in pyproject.toml.

    scripts/lock.py             write the locks; versions stay as they are where the ranges still allow them
    scripts/lock.py --upgrade   take the newest versions that the ranges allow
    scripts/lock.py --check     write nothing; exit code 1 when a lock is not what would be written

    pip install --no-deps --require-hashes -r locks/base.txt        then Dredge itself, with --no-deps

| lock   | for what                                                              |
|--------|-----------------------------------------------------------------------|
| base   | `dredge` without extras, and what building it needs                   |
| dev    | base and the extra dev (make test)                                    |
| ci     | dev and metrics, report, cluster (.ci/run)                            |
| device | the agent on a board, with key and sound card: what deploy installs;  |
|        | it is in host/dredge_host/assets, so that an installed Dredge has it  |

A lock holds for Python 3.11 and 3.13 (Debian 12 and 13) on x86-64 and aarch64. Only wheels are pinned:
no package runs a program of its own while it is installed. The resolver is uv (github.com/astral-sh/uv), taken from
the path, else fetched into build/. Needs Python 3.11.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
UV = "uv>=0.5"
FILES = {name: LOCKS / f"{name}.txt" for name in ("base", "dev", "ci")}
FILES["device"] = ROOT / "host/dredge_host/assets/device-lock.txt"
MINORS, MACHINES, GLIBC = (11, 13), ("x86_64", "aarch64"), 36
EXTRAS = {"base": [], "dev": ["dev"], "ci": ["dev", "metrics", "report", "cluster"]}

# What the agent, and doctor and check beside it, import on a board; the rest of the base install is for the host.
DEVICE = (
    "numpy", "tflite-runtime", "ai-edge-litert", "click", "pyserial", "soundfile", "pylibsrtp", "sounddevice",
    "packaging",
)  # fmt: skip

# The newest cobs has no wheel for every place; the newest backports-strenum is for Python 3.10 and older, which the
# resolver does not notice.
HELD = ["cobs==1.2.0", "backports-strenum==1.2.8"]

HEAD = """\
# SPDX-License-Identifier: BSD-2-Clause
# Written by scripts/lock.py from pyproject.toml. Python 3.11 and 3.13, Linux, x86-64 and aarch64, wheels only.
# pip install --no-deps --require-hashes -r {path}
"""


class LockError(RuntimeError):
    """The resolver failed, or a package has no wheel for a place where it is wanted."""


@dataclass(frozen=True)
class Pin:
    """One version of one package, where it is wanted, its wheels' SHA-256, and who asks for it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]

    def text(self) -> str:
        """As pip reads it."""
        head = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        hashes = "".join(f" \\\n    --hash=sha256:{digest}" for digest in self.hashes)
        return f"{head}{hashes}\n    # via {', '.join(self.via)}\n"


def places() -> list[dict[str, str]]:
    """The environments that a lock holds for, as markers ask for them."""
    return [
        {
            "python_version": f"3.{minor}", "python_full_version": f"3.{minor}.20", "platform_machine": machine,
            "sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "extra": "",
            "implementation_name": "cpython", "platform_python_implementation": "CPython",
        }
        for minor in MINORS for machine in MACHINES
    ]  # fmt: skip


def wanted(marker: str) -> list[dict[str, str]]:
    """The places where a marker holds."""
    return [place for place in places() if not marker or Marker(marker).evaluate(place)]


def tags(place: dict[str, str]) -> set[Tag]:
    """What a wheel must say to be installed there."""
    machine, version = place["platform_machine"], (3, int(place["python_version"][2:]))
    platforms = [f"manylinux_2_{n}_{machine}" for n in range(GLIBC, 4, -1)]
    platforms += [f"manylinux2014_{machine}", f"manylinux2010_{machine}", f"manylinux1_{machine}", f"linux_{machine}"]
    named = f"cp3{version[1]}"
    return {*cpython_tags(version, platforms=platforms), *compatible_tags(version, named, platforms)}


def usable(package: dict[str, Any]) -> tuple[str, ...]:
    """SHA-256 of the wheels that fit a place where the package is wanted; LockError when one goes without."""
    found: set[str] = set()
    wheels = [(parse_wheel_filename(_file(w))[3], w["hashes"]["sha256"]) for w in package.get("wheels", [])]
    for place in wanted(package.get("marker", "")):
        there = tags(place)
        fitting = {digest for wheel_tags, digest in wheels if wheel_tags & there}
        if not fitting:
            where = f"Python {place['python_version']} on {place['platform_machine']}"
            raise LockError(f"{package['name']} {package['version']}: no wheel for {where}")
        found |= fitting
    return tuple(sorted(found))


def _file(wheel: dict[str, Any]) -> str:
    return str(wheel.get("name") or wheel["url"].rsplit("/", 1)[-1])


def pins(pylock: dict[str, Any], via: dict[str, tuple[str, ...]]) -> list[Pin]:
    """The pins of a resolution (a pylock document, PEP 751); packages that no place wants are left out."""
    found = []
    for package in pylock["packages"]:
        marker = package.get("marker", "")
        if wanted(marker):
            name = canonicalize_name(package["name"])
            found.append(Pin(name, package["version"], marker, usable(package), via.get(name, ("?",))))
    return sorted(found, key=lambda pin: (pin.name, pin.version))


def requirements(name: str, project: dict[str, Any]) -> list[str]:
    """What a lock is made for, as pyproject.toml says it."""
    base, extras = project["project"]["dependencies"], project["project"]["optional-dependencies"]
    if name == "device":
        return [text for text in base if canonicalize_name(Requirement(text).name) in DEVICE]
    found = [*project["build-system"]["requires"], *base]
    waiting = list(EXTRAS[name])
    for extra in waiting:
        for text in extras[extra]:
            requirement = Requirement(text)
            if requirement.name == project["project"]["name"]:  # an extra that includes another one
                waiting += [e for e in sorted(requirement.extras) if e not in waiting]
            else:
                found.append(text)
    return found


def annotations(text: str) -> dict[str, tuple[str, ...]]:
    """Who asks for a package, from the comments that uv writes below every pin."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in text.splitlines():
        if match := re.match(r"([A-Za-z0-9._-]+)==", line):
            name = canonicalize_name(match[1])
        elif match := re.match(r"\s+#\s+(?:via\s+)?(.+)", line):
            asking = "pyproject.toml" if match[1].startswith("-r ") else match[1]
            if not asking.startswith("-c "):
                found.setdefault(name, set()).add(asking)
    return {name: tuple(sorted(who - {"via"})) for name, who in found.items()}


def versions(lock: str) -> str:
    """The pins of a written lock without hashes: what the resolver is to keep."""
    pinned = [line for line in lock.splitlines() if re.match(r"[a-z0-9]", line)]
    return "".join(line.removesuffix("\\").rstrip() + "\n" for line in pinned)


def uv() -> str:
    """Path of the resolver; fetched when the system has none."""
    there = shutil.which("uv")
    if there:
        return there
    tools = ROOT / "build/lock-tools"
    program = tools / "bin/uv"
    if not program.exists():
        print("dredge lock: fetching uv", file=sys.stderr)
        _run([sys.executable, "-m", "venv", "--clear", str(tools)])
        _run([str(tools / "bin/pip"), "install", "-q", "--disable-pip-version-check", UV])
    return str(program)


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LockError(f"{Path(command[0]).name} failed: {' | '.join(done.stderr.strip().splitlines()[-6:])}")


def make(name: str, upgrade: bool) -> str:
    """The text of a lock. Raises LockError."""
    old = FILES[name]
    compile_ = [uv(), "pip", "compile", "-q", "--no-config", "--no-header", "--universal", "--python-version",
                f"3.{MINORS[0]}", "--only-binary", ":all:"]  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="dredge-lock-") as folder:
        asked, held, chosen, pylock = (Path(folder) / n for n in ("asked.in", "held.in", "chosen.txt", "pylock.toml"))
        held.write_text("\n".join(HELD))
        asked.write_text("\n".join(requirements(name, tomllib.loads((ROOT / "pyproject.toml").read_text()))))
        if old.exists() and not upgrade:
            chosen.write_text(versions(old.read_text()))
        _run([*compile_, str(asked), "-c", str(held), "-o", str(chosen)])
        _run([*compile_, str(chosen), "--format", "pylock.toml", "-o", str(pylock)])
        found = pins(tomllib.loads(pylock.read_text()), annotations(chosen.read_text()))
    return HEAD.format(path=old.relative_to(ROOT)) + "".join(pin.text() for pin in found)


def main(arguments: list[str] | None = None) -> int:
    """Command line; 0, 1 when a lock is old, 2 with a sentence on standard error."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upgrade", action="store_true", help="newest versions instead of the pinned ones")
    parser.add_argument("--check", action="store_true", help="compare only")
    given = parser.parse_args(arguments)
    stale = []
    try:
        made = {name: make(name, given.upgrade) for name in FILES}
    except (LockError, OSError) as error:
        print(f"lock.py: {error}", file=sys.stderr)
        return 2
    for name, text in made.items():
        path = FILES[name]
        same = path.exists() and path.read_text() == text
        stale += [name] * (not same)
        if not same and not given.check:
            LOCKS.mkdir(exist_ok=True)
            path.write_text(text)
        print(f"{path.relative_to(ROOT)}: {'as it was' if same else 'old' if given.check else 'written'}")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
