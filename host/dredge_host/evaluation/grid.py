# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`: clips x burst losses x ways to conceal, judged by PLCMOS and by recognised words.

Every condition of a clip meets the same losses, and the same simulated raters judge all of them. There
are no transcripts: the words of a condition are compared with what the same recogniser hears in
the original recording, so the error rate says what the link took away, not how well it recognises.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dredge_host.errors import InputError, UsageError
from dredge_host.evaluation import checks
from dredge_host.evaluation.metrics import Plcmos, Recogniser, word_errors
from dredge_host.evaluation.strata import by_stratum
from dredge_host.evaluation.table import summarise
from dredge_host.evaluation.traces import trace_for_clip
from dredge_host.settings import Settings

RATE = 16000
SUFFIXES = {".wav", ".flac", ".ogg", ".opus"}
Pcm = NDArray[np.int16]


class Condition(NamedTuple):
    """One way to live with the losses; `lossless` is the reference without any."""

    text: str
    conceal: str
    redundancy_s: float = 0.0
    lbrr: bool = False
    lossless: bool = False


CONDITIONS = {
    "clean": Condition("clean Opus, no loss", "opus", lossless=True),
    "opus": Condition("classic Opus concealment", "opus"),
    "plc": Condition("own PLC", "plc"),
    "lbrr": Condition("LBRR and own PLC", "plc", lbrr=True),
    "dred": Condition("DRED", "dred", 1.0),
    "dred_lbrr": Condition("DRED and LBRR", "dred", 1.0, lbrr=True),
}
DEFAULT_CONDITIONS = ("clean", "opus", "plc", "dred", "dred_lbrr")


@dataclass(frozen=True)
class Plan:
    """What is the same for every clip; plain values, so that worker processes can have it."""

    conditions: tuple[str, ...] = DEFAULT_CONDITIONS
    seconds: float = 12.0
    seed: int = 1
    bitrate: int = 24000
    words: bool = True
    quality: bool = True


@dataclass
class Judges:
    """The metrics, loaded once per process."""

    plcmos: Callable[[Pcm], float] | None = None
    hear: Callable[[Pcm], list[str]] | None = None
    noise: float | None = None
    heard: dict[str, list[str]] = field(default_factory=dict)


def run(
    folder: str | Path,
    *,
    clips: int = 0,
    conditions: Sequence[str] = DEFAULT_CONDITIONS,
    seconds: float = 12.0,
    seed: int = 1,
    bitrate: int = 24000,
    words: bool = True,
    quality: bool = True,
    jobs: int = 1,
    progress: bool = True,
) -> dict[str, Any]:
    """Evaluates the speech files of a folder and returns a `dredge.evaluate/1` document.

    clips: how many, taken evenly over the speakers, 0 = all; seconds: used of each; words: also
    recognise (English clips only, where a MANIFEST.csv beside the folder names languages); jobs:
    processes. Raises UsageError for an unknown condition, InputError for a folder without speech,
    CapabilityError when a metric's package is missing.
    """
    plan = Plan(_known(conditions), seconds, seed, bitrate, words, quality)
    files = choose_clips(Path(folder), clips)
    english = _english(Path(folder), files)
    judges = load_judges(plan)  # here, so that a missing package is told before hours of work
    tasks = [(i, str(p), p.name in english) for i, p in enumerate(files)]
    started = time.monotonic()
    records: list[dict[str, Any]] = []
    for done, clip in enumerate(_work(tasks, plan, judges, jobs), 1):
        records += clip
        if progress:
            tell(done, len(tasks), time.monotonic() - started)
    noise = _noise(judges, files[0], seconds)
    summary = summarise(records, plan.conditions, seed)
    strata = by_stratum(records, plan.conditions, seed)
    for record in records:  # one clip's recovered speech is too little; the summary pooled them
        record.pop("lag_recovered_scores", None)
    return {
        "schema": "dredge.evaluate/1",
        "plan": {**plan.__dict__, "folder": Path(folder).name, "clips": [p.name for p in files]},
        "plcmos_noise_sd": noise,
        "word_reference": "the same recogniser on the original recording",
        "summary": summary,
        "strata": strata,
        "records": records,
        "seconds_taken": round(time.monotonic() - started, 1),
    }


def evaluate_clip(index: int, pcm: Pcm, name: str, english: bool, plan: Plan, judges: Judges) -> list[dict[str, Any]]:
    """All conditions of one clip, int16[n] at 16 kHz: one record each."""
    from dredge_host.simulate import simulate

    trace = trace_for_clip(index, -(-len(pcm) // 320) + 2, plan.seed)
    reference = judges.hear(pcm) if judges.hear and english else None
    records = []
    for key in plan.conditions:
        condition = CONDITIONS[key]
        settings = Settings(
            bitrate=plan.bitrate,
            redundancy_s=condition.redundancy_s,
            lbrr=condition.lbrr,
            conceal=condition.conceal,
        )
        played = simulate(pcm, settings, loss=None if condition.lossless else trace.model())
        record: dict[str, Any] = {
            "clip": name,
            "condition": key,
            "stratum": trace.stratum,
            "trace_seed": trace.seed,
            "loss_pct": 100.0 * played.result["loss"]["rate"],
            "longest_burst_ms": played.result["loss"]["longest_burst_ms"],
            "bitrate_total_bps": played.result["bitrate_total_bps"],
            "bitrate_bps": played.result["bitrate_bps"],
            "frames": played.result["frames"],
            **_measure(pcm, played),
        }
        if judges.plcmos:
            record["plcmos"] = judges.plcmos(played.pcm)
        if reference is not None and judges.hear:
            record["words"] = len(reference)
            record["word_errors"] = word_errors(reference, judges.hear(played.pcm))
        records.append(record)
    return records


def _measure(pcm: Pcm, played: Any) -> dict[str, Any]:
    """Lag over the whole file, evidence for that of recovered speech alone, and the seams."""
    look = played.result["alignment"]["opus_lookahead_samples"]
    sources = ["silence"] * played.result["packets"]
    for number, source, *_ in played.timeline:
        sources[number] = source
    measured: dict[str, Any] = {
        "seams": checks.click_summary(checks.seams(played.pcm, sources, look)),
    }
    lost = np.repeat([s not in ("opus", "silence") for s in sources], 320)[look : look + len(pcm)]
    try:
        measured["lag_ms"] = round(checks.lag_ms(pcm, played.pcm), 3)
        measured["lag_recovered_scores"] = checks.lag_scores(pcm, played.pcm, lost)
    except ValueError:
        pass  # too short, or nothing was lost: no lag to tell
    return measured


def choose_clips(folder: Path, clips: int) -> list[Path]:
    """Speech files, evenly over the speakers (the part of the name before `_`), in a fixed order."""
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no speech files ({', '.join(sorted(SUFFIXES))}) in it")
    rounds: dict[str, int] = {}
    order = []
    for path in files:
        speaker = path.stem.split("_")[0]
        order.append((rounds.get(speaker, 0), speaker, path))
        rounds[speaker] = rounds.get(speaker, 0) + 1
    chosen = [path for *_, path in sorted(order)]
    return chosen[:clips] if clips else chosen


def load_judges(plan: Plan) -> Judges:
    """The metrics that the plan asks for. Raises CapabilityError when a package is missing."""
    return Judges(Plcmos() if plan.quality else None, Recogniser() if plan.words else None)


_WORKER: list[Judges] = []


def _start_worker(plan: Plan) -> None:
    _WORKER[:] = [load_judges(plan)]


def _clip_in_worker(task: tuple[int, str, bool], plan: Plan) -> list[dict[str, Any]]:
    return _clip(task, plan, _WORKER[0])


def _clip(task: tuple[int, str, bool], plan: Plan, judges: Judges) -> list[dict[str, Any]]:
    index, path, english = task
    return evaluate_clip(index, _read(Path(path), plan.seconds), Path(path).name, english, plan, judges)


def _work(tasks: Sequence[tuple[int, str, bool]], plan: Plan, judges: Judges, jobs: int) -> Any:
    """Records of each clip, in the order of the tasks."""
    if jobs <= 1:
        yield from (_clip(task, plan, judges) for task in tasks)
        return
    with ProcessPoolExecutor(jobs, get_context("spawn"), _start_worker, (plan,)) as pool:
        yield from pool.map(_clip_in_worker, tasks, [plan] * len(tasks))


def _read(path: Path, seconds: float) -> Pcm:
    from dredge_host.audio import read_audio

    pcm = read_audio(path).pcm
    return pcm[: int(seconds * RATE)] if seconds else pcm


def _known(conditions: Sequence[str]) -> tuple[str, ...]:
    for name in conditions:
        if name not in CONDITIONS:
            raise UsageError(f"condition '{name}' is unknown; expected {', '.join(CONDITIONS)}")
    return tuple(conditions)


def _english(folder: Path, files: Sequence[Path]) -> set[str]:
    """Names of the clips in English, as far as a MANIFEST.csv tells; without one, all of them."""
    for manifest in (folder / "MANIFEST.csv", folder.parent / "MANIFEST.csv"):
        if manifest.is_file():
            with manifest.open(encoding="utf-8", newline="") as text:
                rows = list(csv.DictReader(text))
            return {Path(r["file"]).name for r in rows if r.get("language", "").startswith("en")}
    return {p.name for p in files}


def _noise(judges: Judges, first: Path, seconds: float) -> float | None:
    if not isinstance(judges.plcmos, Plcmos):
        return None
    return round(judges.plcmos.noise(_read(first, seconds)), 4)


def tell(done: int, total: int, elapsed: float) -> None:
    """Clips done and the time that is left, on standard error."""
    left = elapsed / done * (total - done)
    print(f"evaluate: {done} of {total} clips, about {left / 60:.1f} min left", file=sys.stderr)
