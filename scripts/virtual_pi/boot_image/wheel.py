# SPDX-License-Identifier: BSD-2-Clause
"""The arm64 wheel of this checkout, built once for the same sources."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from virtual_pi.boot_image.layers import folder, forget_old

ROOT = Path(__file__).resolve().parents[3]
# What the wheel is made of (scripts/wheel.sh), and what of it every build makes anew.
SOURCES = (
    "setup.py", "pyproject.toml", "README.md", "LICENSE", "cython_kernels", "models/dredge_models", "firmware",
    "host/dredge_host", "scripts/wheel.sh",
)  # fmt: skip
_MADE = (".so", ".o", ".pyc")


class BuildError(RuntimeError):
    """The wheel was not built."""


def built_wheel() -> Path:
    """Return the path of the wheel. Raises BuildError."""
    there = folder() / "wheels" / sources_hash()
    found = list(there.glob("*.whl"))
    if found:
        there.touch()
        return found[0]
    print("building the wheel for arm64", file=sys.stderr, flush=True)
    script = [str(ROOT / "scripts/wheel.sh"), "aarch64"]
    done = subprocess.run(script, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, check=False)
    if done.returncode:
        raise BuildError("the wheel was not built, see above")
    made = Path(done.stdout.strip().splitlines()[-1])
    part = there.with_name(f".{there.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shutil.copy(made, part)
    part.rename(there)
    forget_old(there.parent)
    return there / made.name


def code_of(wheel: Path) -> str:
    """Return the digest of the sources of a wheel that was built here, of the file itself if it came from elsewhere."""
    if wheel.parent.parent == folder() / "wheels":
        return wheel.parent.name
    return hashlib.sha256(wheel.read_bytes()).hexdigest()[:16]


def sources_hash() -> str:
    """Return the hash of everything that the wheel is made of, 16 hexadecimal digits."""
    whole = hashlib.sha256()
    for name in SOURCES:
        base = ROOT / name
        for path in [base] if base.is_file() else sorted(base.rglob("*")):
            if path.is_file() and not _is_made(path):
                data = path.read_bytes()
                whole.update(f"{path.relative_to(ROOT)}\0{len(data)}\0".encode() + data)
    return whole.hexdigest()[:16]


def _is_made(path: Path) -> bool:
    return path.suffix in _MADE or (path.suffix == ".c" and path.with_suffix(".pyx").exists())
