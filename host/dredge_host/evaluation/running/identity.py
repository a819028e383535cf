# SPDX-License-Identifier: BSD-2-Clause
"""Everything that determines the result of a cell besides its speech, losses and method: code, models, metrics."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import dredge_host
from dredge_host.evaluation.judging.judges import metric_versions
from dredge_host.evaluation.material.plan import Plan

FIRST = "dredge_host.evaluation.running.cell"  # the module that a worker runs

# Everything that determines the result of a cell, by kind: code, models, libopus, metrics, the peer.
Identity = dict[str, object]


def identity(plan: Plan, first: str = FIRST) -> Identity:
    """Return JSON values that are equal where the same cell has the same result. first: the module that computes it.

    The kernels' machine code is left out, because all their levels give the same bits: their sources count (an
    installed package without sources is identified by its version).
    """
    return {
        "dredge": dredge_host.__version__,
        "code": code_digest(first),
        "models": _models(),
        "opus": _opus(),
        "metrics": metric_versions(plan),
        **({"peer": hashlib.sha256(Path(plan.peer).read_bytes()).hexdigest()} if plan.peer else {}),
    }


@cache
def code_digest(first: str = FIRST) -> str:
    """Return the SHA-256 over the sources of everything that a cell runs through."""
    digest = hashlib.sha256()
    for name, path in sorted(_sources(first)):
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sources(first: str) -> Iterator[tuple[str, Path]]:
    """Yield the sources that a cell can run through, as (name, path).

    These are everything in dredge_host that `first` imports, directly or not, and the packages below it as a whole.
    Links, reports and commands are not among them and cannot change a result.
    """
    import dredge_device
    import dredge_kernels
    import dredge_models

    host, kernels = _folder(dredge_host), _folder(dredge_kernels)
    yield from ((path.relative_to(host.parent).as_posix(), path) for path in import_closure(first, host))
    yield from _tree(_folder(dredge_device), "*.py")
    yield from _tree(_folder(dredge_models), "*.py")
    for pattern in ("*.py", "*.pyx", "*.pxd"):
        yield from _tree(kernels, pattern)
    for pattern in ("*.c", "*.h"):
        yield from _tree(kernels.parent / "c", pattern)


def import_closure(first: str, package: Path) -> set[Path]:
    """Return the files of a package that a module imports, itself included, also by imports inside functions.

    first: dotted name of the module; package: folder of its top package.
    """
    found: set[Path] = set()
    left = [first]
    while left:
        name = left.pop()
        path = _file(name, package)
        if path is None or path in found:
            continue
        found.add(path)
        left.append(name.rpartition(".")[0])  # whose __init__ runs first
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and node.module:
                left += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                left += [alias.name for alias in node.names]
    return found


def _file(name: str, package: Path) -> Path | None:
    """Return the file of a module of the package; None for other names (functions, other packages)."""
    top, *parts = name.split(".")
    if top != package.name:
        return None
    path = package.joinpath(*parts)
    return next((p for p in (path.with_suffix(".py"), path / "__init__.py") if p.is_file()), None)


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
