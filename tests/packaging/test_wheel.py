# SPDX-License-Identifier: BSD-2-Clause
"""What setup.py would pack, and what a finished wheel holds (DREDGE_WHEEL=FILE, or dist/ after `make wheel`)."""

import ast
import os
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOPS = ("cython_kernels/dredge_kernels", "models/dredge_models", "firmware/dredge_device", "host/dredge_host")


def mapped(monkeypatch):
    """What setup.py maps: import package to folder, found by its own function."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    wanted = [n for n in tree.body if getattr(n, "name", "") == "package_dirs" or "PACKAGES" in ast.unparse(n)[:9]]
    names = {"Path": Path}
    exec(compile(ast.Module(wanted, []), "setup.py", "exec"), names)
    monkeypatch.chdir(ROOT)
    return names["package_dirs"]()


def packages_on_disk():
    for top in TOPS:
        for file in (ROOT / top).rglob("__init__.py"):
            yield ".".join(file.parent.relative_to((ROOT / top).parent).parts)


def wheels():
    named = os.environ.get("DREDGE_WHEEL")
    return [Path(named)] if named else sorted((ROOT / "dist").glob("dredge-*.whl"))


def test_every_package_is_in_the_list_and_found_in_its_folder(monkeypatch):
    found = mapped(monkeypatch)
    assert sorted(found) == sorted(packages_on_disk())
    for name, folder in found.items():
        assert (ROOT / folder / "__init__.py").is_file(), name


@pytest.fixture(params=wheels() or [None], ids=lambda wheel: wheel.name if wheel else "none")
def wheel(request):
    if request.param is None:
        pytest.skip("needs a wheel in dist/: make wheels")
    return zipfile.ZipFile(request.param)


def test_wheel_is_for_every_python_and_an_old_c_library(wheel):
    name = Path(wheel.filename).name
    assert "-cp311-abi3-manylinux_2_" in name
    assert int(name.split("manylinux_2_")[1].split("_")[0]) <= 36


def test_wheel_holds_every_kernel_the_models_and_libopus_with_its_licence(wheel):
    names = wheel.namelist()
    kernels = {Path(name).name.split(".")[0] for name in names if name.endswith(".abi3.so")}
    assert {"lpcnet", "features", "payload", "extensions", "opus"} <= kernels
    assert any(name.startswith("dredge_models/weights/") and name.endswith(".tflite") for name in names)
    assert "dredge_models/weights/manifest.json" in names
    assert any(name.startswith("dredge.libs/libopus") for name in names)
    assert any(name.endswith("licenses/LICENSE.libopus") for name in names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_wheel_holds_nothing_that_only_building_needs(wheel):
    assert [name for name in wheel.namelist() if name.endswith((".c", ".pyx", ".o", ".pyc"))] == []
