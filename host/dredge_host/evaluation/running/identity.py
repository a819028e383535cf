# SPDX-License-Identifier: BSD-2-Clause
"""What decides the result of every cell besides its speech, losses and method: code, models, metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dredge_host
from dredge_host.evaluation.judging.judges import metric_versions
from dredge_host.evaluation.running.plan import Plan

# The part of dredge_host that a cell runs through; the rest (links, reports, commands) cannot change a result.
HOST_FILES = (
    "audio.py", "loss.py", "lossstats.py", "sender.py", "settings.py", "simulate.py",
    "evaluation/cell.py", "evaluation/checks.py", "evaluation/intelligibility.py", "evaluation/methods.py",
    "evaluation/metrics.py", "evaluation/mute.py", "evaluation/recognisers.py", "evaluation/recovered.py",
    "evaluation/redundant.py", "evaluation/traces.py",
)  # fmt: skip


def identity(plan: Plan) -> dict[str, Any]:
    """JSON values that are equal where the same cell has the same result.

    The kernels' machine code is left out: all their levels give the same bits, so their sources decide (an
    installed package without sources is known by its version).
    """
    return {
        "dredge": dredge_host.__version__,
        "code": code_digest(),
        "models": _models(),
        "opus": _opus(),
        "metrics": metric_versions(plan),
    }


@cache
def code_digest() -> str:
    """SHA-256 over the sources of everything that a cell runs through."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources()):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[tuple[str, Path]]:
    import dredge_device
    import dredge_kernels
    import dredge_models

    host, kernels = _folder(dredge_host), _folder(dredge_kernels)
    yield from ((name, host / name) for name in HOST_FILES if (host / name).is_file())
    yield from _tree(_folder(dredge_device), "*.py")
    yield from _tree(_folder(dredge_models), "*.py")
    for pattern in ("*.py", "*.pyx", "*.pxd"):
        yield from _tree(kernels, pattern)
    for pattern in ("*.c", "*.h"):
        yield from _tree(kernels.parent / "c", pattern)


def _tree(folder: Path, pattern: str) -> Iterator[tuple[str, Path]]:
    if folder.is_dir():
        yield from ((f"{folder.name}/{p.relative_to(folder).as_posix()}", p) for p in folder.rglob(pattern))


def _folder(package: Any) -> Path:
    return Path(package.__file__).parent


def _models() -> dict[str, str]:
    from dredge_models.registry import manifest

    return {entry["file"]: entry["sha256"] for entry in manifest()["files"]}


def _opus() -> str:
    from dredge_kernels.opus import opus_version

    return str(opus_version())
