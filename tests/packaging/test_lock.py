# SPDX-License-Identifier: BSD-2-Clause
"""The locks: what pyproject.toml asks for is pinned everywhere, with sums, and nothing else is."""

from __future__ import annotations

import importlib.metadata
import re
import sys

import pytest

pytest.importorskip("tomllib", reason="scripts/lock.py needs Python 3.11")
pytest.importorskip("packaging", reason="scripts/lock.py needs packaging")

import lock
import tomllib
from packaging.markers import Marker, default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = tomllib.loads((lock.ROOT / "pyproject.toml").read_text())
PIN = re.compile(
    r"(?P<name>[a-z0-9-]+)==(?P<version>[^ ]+)(?: ; (?P<marker>[^\\\n]+?))?"
    r"(?P<hashes>(?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n    # via (?P<via>.+)\n"
)


def read(name):
    """The pins of a lock; every line of the file belongs to one."""
    text = lock.FILES[name].read_text()
    pins = [match.groupdict() for match in PIN.finditer(text)]
    assert PIN.sub("", text) == lock.HEAD.format(path=lock.FILES[name].relative_to(lock.ROOT))
    return pins


def here(pins, place):
    """Name to version of the pins that hold in a place; a package has one version there."""
    held = [pin for pin in pins if not pin["marker"] or Marker(pin["marker"]).evaluate(place)]
    assert len({pin["name"] for pin in held}) == len(held)
    return {pin["name"]: pin["version"] for pin in held}


@pytest.mark.parametrize("name", lock.FILES)
@pytest.mark.parametrize("place", lock.places(), ids=lambda p: f"{p['python_version']}-{p['platform_machine']}")
def test_every_range_of_pyproject_is_satisfied_by_one_pin(name, place):
    versions = here(read(name), place)
    for text in lock.requirements(name, PROJECT):
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate(place):
            pinned = versions[canonicalize_name(requirement.name)]
            assert requirement.specifier.contains(pinned), f"{text}: {pinned}; run scripts/lock.py"


@pytest.mark.parametrize("name", lock.FILES)
def test_every_pin_is_asked_for_by_pyproject_or_by_another_pin(name):
    pins = read(name)
    direct = {canonicalize_name(Requirement(text).name) for text in lock.requirements(name, PROJECT)}
    names = {pin["name"] for pin in pins}
    for pin in pins:
        via = set(pin["via"].split(", "))
        assert ("pyproject.toml" in via) == (pin["name"] in direct), pin["name"]
        assert via - {"pyproject.toml"} <= names, pin["name"]


@pytest.mark.parametrize("name", lock.FILES)
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
    pins = {name: {(p["name"], p["version"]) for p in read(name)} for name in lock.FILES}
    assert pins["base"] <= pins["dev"] <= pins["ci"]
    assert {pin for pin in pins["device"] if pin[0] != "sounddevice"} <= pins["dev"]


def test_the_device_has_what_the_agent_imports_and_not_what_only_a_host_needs():
    names = {pin["name"] for pin in read("device")}
    assert {"numpy", "tflite-runtime", "ai-edge-litert", "pyserial", "pylibsrtp", "sounddevice", "click"} <= names
    assert not names & {"rich", "soxr", "dpkt", "setuptools", "cython", "pytest", "scipy"}


@pytest.mark.parametrize("name", lock.FILES)
def test_no_address_is_in_a_lock(name):
    assert not re.search(r"://|index-url|find-links|\.(org|com|io)\b", lock.FILES[name].read_text())


# --- how they are made ---


def package(**more):
    def wheel(tag, n):
        return {"url": f"u/p-1.0-{tag}.whl", "hashes": {"sha256": f"{n:064x}"}}

    tags = ["cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64", "cp311-cp311-manylinux_2_28_aarch64",
            "cp312-abi3-manylinux_2_17_x86_64", "cp313-cp313-manylinux_2_17_aarch64", "cp313-cp313-macosx_11_0_arm64",
            "cp311-cp311-musllinux_1_2_x86_64", "cp311-cp311-manylinux_2_39_x86_64"]  # fmt: skip
    return {"name": "P", "version": "1.0", "wheels": [wheel(tag, n) for n, tag in enumerate(tags)], **more}


def test_only_wheels_for_our_places_are_taken():
    assert lock.usable(package()) == tuple(f"{n:064x}" for n in (0, 1, 2, 3))
    assert lock.usable(package(marker="python_version < '3.12'")) == tuple(f"{n:064x}" for n in (0, 1))


def test_a_place_without_a_wheel_is_named():
    with pytest.raises(lock.LockError, match=r"P 1\.0: no wheel for Python 3\.11 on aarch64"):
        lock.usable(package(wheels=package()["wheels"][:1]))


def test_packages_for_other_systems_are_left_out():
    found = lock.pins({"packages": [package(), package(name="w", marker="sys_platform == 'win32'")]}, {"p": ("x",)})
    assert [(pin.name, pin.via) for pin in found] == [("p", ("x",))]
    assert PIN.fullmatch(found[0].text())


def test_who_asks_is_read_from_the_resolvers_comments():
    text = "a==1\n    # via\n    #   -r asked.in\n    #   -c held.in\n    #   b\nb==2 ; x\n    # via -r asked.in\n"
    assert lock.annotations(text) == {"a": ("b", "pyproject.toml"), "b": ("pyproject.toml",)}


def test_written_pins_are_kept_by_the_next_run():
    pin = lock.Pin("a", "1", "python_version < '3.12'", ("0" * 64,), ("b",))
    assert lock.versions(lock.HEAD.format(path="x") + pin.text()) == "a==1 ; python_version < '3.12'\n"


def test_an_extra_may_include_another():
    assert "flatbuffers" in lock.requirements("dev", PROJECT)
    assert set(lock.requirements("base", PROJECT)) < set(lock.requirements("dev", PROJECT))


def test_check_writes_nothing_and_says_what_is_old(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(lock, "ROOT", tmp_path)
    monkeypatch.setattr(lock, "FILES", {"a": tmp_path / "a.txt", "b": tmp_path / "b.txt"})
    monkeypatch.setattr(lock, "make", lambda name, upgrade: f"{name} {upgrade}")
    (tmp_path / "a.txt").write_text("a False")
    assert lock.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == ["a.txt: as it was", "b.txt: old"]
    assert not (tmp_path / "b.txt").exists()
    assert lock.main(["--upgrade"]) == 0 and (tmp_path / "a.txt").read_text() == "a True"
    monkeypatch.setattr(lock, "make", lambda name, upgrade: 1 / 0 if name == "b" else "half")
    with pytest.raises(ZeroDivisionError):
        lock.main([])
    assert (tmp_path / "a.txt").read_text() == "a True"  # all or nothing
