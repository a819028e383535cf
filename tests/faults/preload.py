# SPDX-License-Identifier: BSD-2-Clause
"""Small C libraries that stand in front of the C library of a process under test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def compiled(source: str, folder: Path) -> Path:
    """The shared library of a C file beside this one; the test is skipped where nothing can compile or preload it."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs gcc and a Linux loader: apt-get install gcc")
    library = folder / f"{Path(source).stem}.so"
    subprocess.run(
        [compiler, "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", str(library), str(HERE / source), "-ldl"],
        check=True,
    )
    return library


def environment(library: Path, **more: str) -> dict[str, str]:
    """Variables for a process that has the library in front."""
    return {**os.environ, "LD_PRELOAD": str(library), "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **more}
