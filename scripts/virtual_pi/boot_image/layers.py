# SPDX-License-Identifier: BSD-2-Clause
"""Layers of the board's memory image that many runs share: Debian with the wheels from PyPI, and our own wheel."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import userland
from debian import DebianError, cache, make, run

from virtual_pi.boot_image.cpio import Cpio, Skip

SUITE = "bookworm"
PYTHON = userland.PYTHONS[SUITE]
_KEPT = 12  # of what grows with every change of the code
_STDLIB = f"usr/lib/python{PYTHON}"
_LIBRARIES = "usr/lib/aarch64-linux-gnu"

# Of Debian and of the wheels from PyPI: development, tests, other people's documentation.
_NOT_IN_ROOT = Skip(
    paths=("usr/share", "usr/lib/valgrind", "usr/lib/debug", "proc", "var", ".dredge-packages", _STDLIB,
           f"{_LIBRARIES}/gconv", f"{_LIBRARIES}/perl"),
    ends=(".a", ".h"),
)  # fmt: skip
_NOT_IN_STDLIB = Skip(paths=("test", "pydoc_data"), anywhere=("tests",))
_NOT_IN_SITE = Skip(
    anywhere=("tests", "f2py", "include"), ends=(".pyi", ".a", ".h", ".pxd", ".lib"),
    starts=("hypothesis", "pytest", "_pytest", "iniconfig", "pluggy", "sortedcontainers", "_hypothesis", "bin",
            ".dredge", "dredge_", "dredge-", "dredge.libs"),
)  # fmt: skip


def folder() -> Path:
    """Return the folder of what is made here, beside the downloads of the other emulated tests."""
    there = cache() / "pi"
    there.mkdir(parents=True, exist_ok=True)
    return there


def forget_old(there: Path) -> None:
    """Keep the newest few entries of a folder."""
    for path in sorted(there.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)[_KEPT:]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def userland_layer(wheel: Path) -> Path:
    """Return the layer of Debian's packages, busybox, and the wheel's requirements from PyPI. Raises DebianError."""
    there = cache() / "userland" / SUITE
    root, site = make("tree", SUITE, "arm64", there / "root", userland.PACKAGES), there / "site"
    userland.fetch_site(SUITE, wheel, site)
    busybox = make("only", SUITE, "arm64", folder() / "busybox", ["busybox-static"])
    name = _name("userland", [root / ".dredge-packages", site / ".dredge-requirements", Path(__file__)])
    with _layer(name) as made:
        if made.cpio is not None:
            made.cpio.tree(root, "", _NOT_IN_ROOT)
            made.cpio.file("usr/bin/busybox", (busybox / "usr/bin/busybox").read_bytes(), 0o755)
            made.add_python(root / _STDLIB, _STDLIB, _NOT_IN_STDLIB)
            made.add_python(site, "site", _NOT_IN_SITE)
    return made.path


def wheel_layer(wheel: Path) -> Path:
    """Return the layer of our own wheel, as pip would have unpacked and compiled it. Raises DebianError."""
    with _layer(_name("wheel", [wheel, Path(__file__)])) as made:
        if made.cpio is not None:
            with tempfile.TemporaryDirectory(dir=folder()) as unpacked, zipfile.ZipFile(wheel) as archive:
                archive.extractall(unpacked)
                made.add_python(Path(unpacked), "site", Skip())
    return made.path


class _Layer:
    """A layer; `cpio` is None when it was there already."""

    def __init__(self, path: Path, cpio: Cpio | None = None) -> None:
        self.path = path
        self.cpio = cpio

    def add_python(self, source: Path, below: str, skip: Skip) -> None:
        """Add a tree with bytecode beside its Python files, as installed packages have it.

        The bytecode names no time: the image's files have none, and every start would compile anew.
        """
        assert self.cpio is not None
        with tempfile.TemporaryDirectory(dir=folder()) as scratch:
            copy = Path(scratch) / "copy"
            shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
            words = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash"]
            _compile([*words, "-s", str(copy), "-p", f"/{below}", str(copy)])
            parts = Path(below).parts
            for depth in range(1, len(parts) + 1):
                self.cpio.folder(str(Path(*parts[:depth])))
            self.cpio.tree(copy, below, skip)


@contextmanager
def _layer(name: str) -> Iterator[_Layer]:
    """Yield the layer of this name, to be filled when it is new; it appears under its name when it is complete."""
    there = folder() / "layers"
    there.mkdir(exist_ok=True)
    path = there / name
    if path.exists():
        path.touch()
        yield _Layer(path)
        return
    part = there / f".{name}.part"
    try:
        with open(part, "wb") as file:
            cpio = Cpio(file)
            yield _Layer(path, cpio)
            cpio.close()
        part.rename(path)
    finally:
        part.unlink(missing_ok=True)
    forget_old(there)


def _name(kind: str, files: list[Path]) -> str:
    digest = hashlib.sha256(b"".join(hashlib.sha256(path.read_bytes()).digest() for path in files))
    return f"{kind}-{digest.hexdigest()[:16]}.cpio"


def _compile(words: list[str]) -> None:
    """Run compileall with the board's Python: this one, another one here, or the board's own under emulation."""
    if sys.version_info[:2] == tuple(map(int, PYTHON.split("."))):
        interpreter, environment = [sys.executable], None
    elif shutil.which(f"python{PYTHON}"):
        interpreter, environment = [f"python{PYTHON}"], None
    elif shutil.which("qemu-aarch64"):
        interpreter, environment = userland.command(cache() / "userland" / SUITE, "cortex-a53")
    else:
        raise DebianError(f"compiling for the board needs python{PYTHON} or qemu-user (apt-get install qemu-user)")
    run([*interpreter, *words], env=environment)
