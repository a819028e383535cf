# SPDX-License-Identifier: BSD-2-Clause
"""The metrics that a plan asks for, loaded once per process, and what decides their answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Pcm = NDArray[np.int16]


class Asked(Protocol):
    """What an evaluation asks of its judges (dredge_host.evaluation.material.plan.Plan)."""

    @property
    def plcmos(self) -> bool: ...
    @property
    def estoi(self) -> bool: ...
    @property
    def pesq(self) -> bool: ...
    @property
    def recogniser(self) -> str | None: ...
    @property
    def recogniser_model(self) -> str | None: ...


@dataclass
class Judges:
    """plcmos: int16[n] to a score; hear: int16[n] to words; estoi, pesq: (original, played) to a score or
    None. None where the plan does without. All at 16 kHz."""

    plcmos: Callable[[Pcm], float] | None = None
    hear: Callable[[Pcm], list[str]] | None = None
    estoi: Callable[[Pcm, Pcm], float | None] | None = None
    pesq: Callable[[Pcm, Pcm], float | None] | None = None


def load_judges(plan: Asked) -> Judges:
    """The metrics of the plan. Raises CapabilityError when a package is missing."""
    judges = Judges()
    if plan.plcmos:
        from dredge_host.evaluation.judging.plcmos import Plcmos

        judges.plcmos = Plcmos()
    if plan.recogniser:
        from dredge_host.evaluation.judging.recognisers import open_recogniser

        judges.hear = open_recogniser(plan.recogniser, plan.recogniser_model)
    if plan.estoi:
        from dredge_host.evaluation.judging.metrics import estoi

        estoi(np.zeros(16000, np.int16), np.zeros(16000, np.int16))  # a missing package shows now, not hours later
        judges.estoi = estoi
    if plan.pesq:
        from dredge_host.evaluation.judging.metrics import pesq

        pesq(np.zeros(16000, np.int16), np.zeros(16000, np.int16))
        judges.pesq = pesq
    return judges


def metric_versions(plan: Asked) -> dict[str, str]:
    """What the scores of this plan depend on besides the speech: packages, and the recogniser's model."""
    wanted = ["numpy"]
    wanted += ["speechmos", "onnxruntime", "onnx"] if plan.plcmos else []
    wanted += ["pystoi", "scipy"] if plan.estoi else []
    wanted += ["pesq"] if plan.pesq else []
    wanted += [plan.recogniser] if plan.recogniser else []  # each is called as its package is
    found: dict[str, str] = {name: _version(name) for name in wanted}
    if plan.recogniser and plan.recogniser_model:
        found["recogniser model"] = _model_digest(Path(plan.recogniser_model))
    return found


def noise_of(judges: Judges, pcm: Pcm) -> float | None:
    """Standard error of one clip's PLCMOS; None without PLCMOS."""
    measure: Any = getattr(judges.plcmos, "noise", None)
    return None if measure is None else round(float(measure(pcm)), 4)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def _model_digest(path: Path) -> str:
    """A short digest of names, sizes and times of a model's files: reading gigabytes for every run would take long."""
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    found = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in files if p.exists()]
    return sha256(repr(found or str(path)).encode()).hexdigest()[:16]
