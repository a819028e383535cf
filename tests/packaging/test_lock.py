# SPDX-License-Identifier: BSD-2-Clause
"""The locks: what pyproject.toml asks for is pinned everywhere, with sums, and nothing else is."""

from __future__ import annotations

import importlib.metadata
import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
FILES = {name: ROOT / "locks" / f"{name}.txt" for name in ("base", "dev", "ci")}
FILES["device"] = ROOT / "host/dredge_host/assets/device-lock.txt"
EXTRAS: dict[str, list[str]] = {"base": [], "dev": ["dev"], "ci": ["dev", "metrics", "report", "cluster", "docs"]}
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD = SETTINGS["project"], SETTINGS["build-system"]["requires"]
PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; (?P<marker>[^\\\n]+?))?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n"
)
PLACES = [
    default_environment()
    | {"python_version": f"3.{minor}", "python_full_version": f"3.{minor}.0", "platform_machine": machine,
       "sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "extra": ""}
    for minor in (11, 12, 13) for machine in ("x86_64", "aarch64")
]  # fmt: skip


def requirements(name):
    """What a lock has to satisfy, as pyproject.toml (for the board: scripts/device.in) says it."""
    if name == "device":
        return [line for line in (ROOT / "scripts/device.in").read_text().splitlines() if not line.startswith("#")]
    # The kernels are compiled in .venv itself, from whatever lock it was filled.
    wanted, left = [*PROJECT["dependencies"], *BUILD], list(EXTRAS[name])
    while left:
        for text in PROJECT["optional-dependencies"][left.pop()]:
            requirement = Requirement(text)
            if canonicalize_name(requirement.name) == PROJECT["name"]:
                left += requirement.extras
            else:
                wanted.append(text)
    return wanted


def read(name):
    """The pins of a lock; every line of the file but its two of head belongs to one."""
    text = FILES[name].read_text()
    pins = [match.groupdict() for match in PIN.finditer(text)]
    assert [line[0] for line in PIN.sub("", text).splitlines()] == ["#", "#"]
    return pins


def here(pins, place):
    """Name to version of the pins that hold in a place; a package has one version there."""
    held = [pin for pin in pins if not pin["marker"] or Marker(pin["marker"]).evaluate(place)]
    assert len({pin["name"] for pin in held}) == len(held)
    return {pin["name"]: pin["version"] for pin in held}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("place", PLACES, ids=lambda p: f"{p['python_version']}-{p['platform_machine']}")
def test_every_range_of_pyproject_is_satisfied_by_one_pin(name, place):
    versions = here(read(name), place)
    for text in requirements(name):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(place):
            pinned = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(pinned), f"{text}: {pinned}; run scripts/lock.sh"


@pytest.mark.parametrize("name", FILES)
def test_what_a_pinned_package_needs_is_pinned_too(name):
    """By the metadata of what is installed here, as far as it is the pinned version."""
    place = default_environment() | {"extra": ""}
    versions = here(read(name), place)
    checked = 0
    for package, version in versions.items():
        try:
            there = importlib.metadata.distribution(package)
        except importlib.metadata.PackageNotFoundError:
            continue
        if there.version != version:
            continue
        checked += 1
        for text in there.requires or []:
            need = Requirement(text)
            if need.marker is None or need.marker.evaluate(place):
                assert need.specifier.contains(versions[canonicalize_name(need.name)], prereleases=True), text
    assert checked or f"{sys.version_info[0]}.{sys.version_info[1]}" not in ("3.11", "3.13")


def test_the_larger_locks_contain_the_smaller():
    """One version of a package, whatever is installed."""
    pins = {name: {(p["name"], p["version"]) for p in read(name)} for name in FILES}
    assert pins["base"] <= pins["dev"] <= pins["ci"]
    assert {pin for pin in pins["device"] if pin[0] != "sounddevice"} <= pins["dev"]


def test_the_device_has_what_the_agent_imports_and_not_what_only_a_host_needs():
    names = {pin["name"] for pin in read("device")}
    assert {"numpy", "tflite-runtime", "ai-edge-litert", "pyserial", "pylibsrtp", "sounddevice", "click"} <= names
    assert not names & {"rich", "soxr", "dpkt", "setuptools", "cython", "pytest", "scipy"}


@pytest.mark.parametrize("name", FILES)
def test_no_address_is_in_a_lock(name):
    assert not re.search(r"://|index-url|find-links|\.(org|com|io)\b", FILES[name].read_text())


def test_what_only_a_board_needs_is_what_the_project_asks_for():
    """Ranges in scripts/device.in are those of pyproject.toml."""
    extras = PROJECT["optional-dependencies"].values()
    everywhere = {*PROJECT["dependencies"], *(text for extra in extras for text in extra)}
    known = {str(Requirement(text)) for text in everywhere}
    asked = {str(Requirement(text)) for text in requirements("device")}
    assert asked - known == {"packaging"}
