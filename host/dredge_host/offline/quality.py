# SPDX-License-Identifier: BSD-2-Clause
"""The quality of a run by the installed metrics, and one sentence about the gain."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import Any

from dredge_device.units import PACKET_SECONDS
from dredge_host.errors import CapabilityError, need
from dredge_kernels.arrays import Pcm

TITLES = {"plcmos": "PLCMOS", "estoi": "ESTOI"}
FORMS = {"plcmos": ".2f", "estoi": ".3f"}
NONE = "not measured; install the metrics: dredge extras add metrics"
Step = Callable[[int, int], None]

Quality = dict[str, Any]  # by metric (TITLES): scores by condition; missing: why a metric is missing


def measure(original: Pcm | None, played: Mapping[str, Pcm], step: Step | None = None) -> Quality:
    """Return {"plcmos": {condition: score}, "estoi": {condition: score}, "missing": [why a metric is missing]}.

    original, played: int16[n] at 16 kHz, sample i of one belonging to sample i of the other; without an original
    (None) there is no ESTOI. PLCMOS is 1 to 5, ESTOI 0
    to 1, more is better; a score is None where the speech is too short. step(done, scores) reports progress.
    """
    found: Quality = {"missing": []}
    loaders = {"plcmos": _plcmos, "estoi": _estoi} if original is not None else {"plcmos": _plcmos}
    for done, (name, load) in enumerate(loaders.items()):
        try:
            judge = load()
            scores = {}
            for count, (condition, pcm) in enumerate(played.items()):
                length = len(pcm) if original is None else min(len(pcm), len(original))
                scores[condition] = _rounded(judge((pcm if original is None else original)[:length], pcm[:length]))
                if step:
                    step(done * len(played) + count + 1, len(loaders) * len(played))
            found[name] = scores
        except CapabilityError as error:
            found["missing"].append(str(error))
    return found


def available() -> bool:
    """Return whether at least one metric is installed."""
    return any(importlib.util.find_spec(package) is not None for package in ("speechmos", "pystoi"))


def _plcmos() -> Callable[[Pcm, Pcm], float | None]:
    from dredge_host.evaluation.judging.plcmos import Plcmos

    judge = Plcmos()
    return lambda original, pcm: float(judge(pcm))


def _estoi() -> Callable[[Pcm, Pcm], float | None]:
    from dredge_host.evaluation.judging.metrics import estoi

    need("pystoi", "ESTOI")
    return estoi


def _rounded(score: float | None) -> float | None:
    return None if score is None else round(score, 4)


def won_back(scores: Mapping[str, float | None], way: str = "dred") -> float | None:
    """Return the share of the quality lost to classic concealment that `way` recovers, 0 to 1 (or beyond).

    It is (way − opus) / (clean − opus); None where a score is missing or classic concealment loses nothing.
    """
    clean, classic, score = (scores.get(name) for name in ("clean", "opus", way))
    if clean is None or classic is None or score is None or clean - classic < 0.01:
        return None
    return (score - classic) / (clean - classic)


def line(quality: Mapping[str, Any], condition: str) -> str:
    """Return the scores of one condition in words, or the command that installs the metrics."""
    found = [(name, quality[name].get(condition)) for name in TITLES if name in quality]
    words = [f"{TITLES[name]} {score:{FORMS[name]}}" for name, score in found if score is not None]
    if words:
        return ", ".join(words)
    return "too short to measure" if found else NONE


def unmeasured(quality: Mapping[str, Any]) -> list[str]:
    """Return one line per missing metric with its reason; a single line when all are missing."""
    return list(quality["missing"]) if any(name in quality for name in TITLES) else [f"quality  {NONE}"]


def gain(result: Mapping[str, Any]) -> str:
    """Return one sentence about a live run with DRED: share recovered, quality, delay and cost.

    result: a document of `dredge demo`; without scores in `quality` the sentence leaves quality out.
    """
    counts, stream = result["frames"]["by_source"], result["stream"]
    lost = stream["loss"]["lost_packets"]
    if not lost:
        return "Nothing was lost, so there was nothing to rebuild."
    sources = {"dred": "from DRED", "lbrr": "from the low-rate copy"}
    back = sum(counts.get(name, 0) for name in sources)
    parts = " and ".join(f"{counts[name]} {words}" for name, words in sources.items() if counts.get(name))
    text = f"{back} of {lost} lost packets ({lost * PACKET_SECONDS:.1f} s of speech) were rebuilt"
    text += f", {parts}" if parts else ""
    text += _compared(result.get("quality") or {})
    spent = sum(stream["bitrate_bps"].get(name, 0.0) for name in sources) / 1000
    delay = f"{stream['playout_ms'] / 1000:g} s of delay"
    mean_us, period_us = result["cpu"].get("mean_us"), result["cpu"].get("period_us")
    cpu = f" and {100 * mean_us / period_us:.1f} % of a core" if mean_us is not None and period_us else ""
    return f"{text}; the price is {delay}, {spent:.1f} kb/s{cpu}."


def _compared(quality: Mapping[str, Any]) -> str:
    """Return "; PLCMOS 3.59 ..." for the first metric that has all scores, "" for none."""
    for name, title in TITLES.items():
        scores = quality.get(name) or {}
        dred, classic, clean = (scores.get(condition) for condition in ("dred", "opus", "clean"))
        if dred is not None and classic is not None and clean is not None:
            form = FORMS[name]
            return (f"; {title} is {dred:{form}} instead of {classic:{form}} with Opus' own concealment "
                    f"({clean:{form}} without loss)")  # fmt: skip
    return ""
