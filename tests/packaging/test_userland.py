# SPDX-License-Identifier: BSD-2-Clause
"""What is put into an arm64 userland."""

import zipfile

import pytest
import userland

METADATA = """Metadata-Version: 2.1
Name: dredge
Version: 0
Requires-Dist: numpy<2,>=1.23.2; python_version < "3.12"
Requires-Dist: numpy>=2; python_version >= "3.12"
Requires-Dist: click>=8.1
Requires-Dist: torch; extra == "train"
"""


@pytest.fixture
def wheel(tmp_path):
    path = tmp_path / "dredge-0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("dredge-0.dist-info/METADATA", METADATA)
        archive.writestr("dredge_kernels/__init__.py", "new")
    return path


def test_markers_are_those_of_the_target_not_of_this_python(wheel):
    assert userland.requirements(wheel, "3.11") == ["numpy<2,>=1.23.2", "click>=8.1"]
    assert userland.requirements(wheel, "3.13") == ["numpy>=2", "click>=8.1"]


def test_another_wheel_leaves_nothing_of_the_first(wheel, tmp_path):
    site = tmp_path / "site"
    for name in ("dredge_kernels/old.so", "dredge-1.dist-info/RECORD", "dredge.libs/libopus.so", "numpy/core.py"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("old")
    userland.install_wheel(wheel, site)
    assert (site / "dredge_kernels/__init__.py").read_text() == "new"
    assert sorted(p.name for p in site.iterdir()) == ["dredge-0.dist-info", "dredge_kernels", "numpy"]
    assert not (site / "dredge_kernels/old.so").exists()


@pytest.mark.parametrize(("cpu", "dotprod"), [("cortex-a53", False), ("cortex-a72", False), ("cortex-a76", True)])
def test_cpuinfo_names_the_processor(cpu, dotprod):
    text = userland.cpuinfo(cpu)
    assert text.count("processor\t:") == 4
    assert f"CPU part\t: {userland.PARTS[cpu]:#x}" in text
    assert ("asimddp" in text) is dotprod


def test_emulated_python_gets_the_userland_and_nothing_of_ours(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/checkout")
    (tmp_path / "root").mkdir()
    program, environment = userland.command(tmp_path, "cortex-a72")
    assert program[:3] == ["qemu-aarch64", "-cpu", "cortex-a72"]
    assert environment["PYTHONPATH"] == str(tmp_path / "site")
    assert environment["QEMU_LD_PREFIX"] == str(tmp_path / "root")
    assert "0xd08" in (tmp_path / "root/proc/cpuinfo").read_text()


def test_wrong_arguments_show_the_usage(capsys):
    assert userland.main(["buster", "a", "b"]) == 2
    assert "bookworm" in capsys.readouterr().err


def test_a_missing_wheel_is_one_sentence(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(userland, "make", lambda *arguments: None)
    assert userland.main(["bookworm", str(tmp_path / "no.whl"), str(tmp_path / "land")]) == 1
    assert "no.whl" in capsys.readouterr().err
