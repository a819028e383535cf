# SPDX-License-Identifier: BSD-2-Clause
"""The metrics that a plan asks for, loaded once per process, and the versions that their scores depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

from dredge_host.evaluation.judging.registry import SCORES, Score
from dredge_kernels.arrays import Pcm


class Asked(Protocol):
    """The fields of a plan that determine its metrics (dredge_host.evaluation.material.plan.Plan)."""

    @property
    def scores(self) -> tuple[str, ...]: ...
    @property
    def recogniser(self) -> str | None: ...
    @property
    def recogniser_model(self) -> str | None: ...


@dataclass
class Judges:
    """The loaded metrics.

    scores: by name, (original, played) to a score or None; hear: int16[n] at 16 kHz to words, None without.
    """

    scores: dict[str, Score] = field(default_factory=dict)
    hear: Callable[[Pcm], list[str]] | None = None


def load_judges(plan: Asked) -> Judges:
    """Return the metrics of the plan. Raises CapabilityError when a package is missing."""
    judges = Judges()
    for name in plan.scores:
        load = SCORES[name].load
        assert load is not None
        judges.scores[name] = load()
    if plan.recogniser:
        from dredge_host.evaluation.judging.recognisers import open_recogniser

        judges.hear = open_recogniser(plan.recogniser, plan.recogniser_model)
    return judges


def metric_versions(plan: Asked) -> dict[str, str]:
    """Return the versions on which the scores of this plan depend: packages, and the recogniser's model."""
    wanted = ["numpy", *(package for name in plan.scores for package in SCORES[name].packages)]
    wanted += [plan.recogniser] if plan.recogniser else []  # each has the name of its package
    found: dict[str, str] = {name: _version(name) for name in wanted}
    if plan.recogniser and plan.recogniser_model:
        found["recogniser model"] = _model_digest(Path(plan.recogniser_model))
    return found


def noise_of(judges: Judges, pcm: Pcm) -> float | None:
    """Return the standard error of one clip's PLCMOS; None without PLCMOS."""
    measure: Any = getattr(judges.scores.get("plcmos"), "noise", None)
    return None if measure is None else round(float(measure(pcm)), 4)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _model_digest(path: Path) -> str:
    """Return a short digest of names, sizes and times of a model's files, since reading gigabytes for every run takes
    long.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files if p.exists()]
    return sha256(repr(found or str(path)).encode()).hexdigest()[:16]
