# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`: clips x loss traces x methods, every cell on its own, judged by several metrics.

Every method of a clip meets the same losses, and the same simulated raters judge all of them. There
are no transcripts: the words of a method are compared with those that the same recogniser finds in the
original recording, so the error rate measures the effect of the link and not of the recogniser.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from dredge_host.errors import DredgeError
from dredge_host.evaluation.judging.judges import Judges, load_judges, noise_of
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.material import Material, Task
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.results.document import EvaluateResult, Tables, Timing
from dredge_host.evaluation.results.strata import by_loss_rate, by_stratum
from dredge_host.evaluation.results.table import summarise
from dredge_host.evaluation.running.cache import Cache, cell_key, digest_of
from dredge_host.evaluation.running.cell import CellRunner, Failure
from dredge_host.evaluation.running.identity import Identity, identity
from dredge_host.evaluation.running.workers import Result, run_here, run_in_processes
from dredge_host.progress import Bar

SCHEMA = "dredge.evaluate/2"
MOST_FAILURES = 5  # after so many, all cells are assumed to fail
WORD_REFERENCE = "the same recogniser on the original recording"

Place = tuple[int, str]  # of a cell: number of its task, method


def run(
    material: Material,
    plan: Plan,
    *,
    jobs: int = 0,
    scheduler: str | None = None,
    cache: Path | None = None,
    on_cell: Callable[[], None] | None = None,
) -> EvaluateResult:
    """Evaluate a grid and return a `dredge.evaluate/2` document.

    jobs: processes, each with one thread, 0 for this process only (where ESTOI may differ in its last digits, since
    NumPy sums in as many threads as there are cores); scheduler: tcp://host:port of a Dask cluster instead; cache:
    folder of finished cells, None does without; on_cell: called after every fresh cell. Raises CapabilityError when a
    metric's package is missing, DredgeError naming the cells that could not be computed (the others are in the cache).
    """
    started = time.monotonic()
    judges = load_judges(plan)  # here, so that a missing package raises before hours of work
    store, same = Cache(cache), identity(plan)
    tasks = material.tasks(plan.methods)
    keys = {
        (task.number, method): cell_key(plan, task.clip, task.trace, method, same)
        for task in tasks
        for method in task.methods
    }
    found = {place: cell for place, key in keys.items() if (cell := store.get(key)) is not None}
    fresh = _missing(tasks, found)
    with closing(_executor(plan, fresh, jobs, scheduler, judges)) as results:
        computed = _collect(results, keys, store, on_cell, len(found))
    cells = found | computed
    records = [_record(tasks[place[0]], place[1], cells[place], place in found) for place in keys]
    workers = scheduler or max(1, min(jobs, len(fresh)))
    return {
        "schema": SCHEMA,
        "plan": _plan_part(material, plan),
        "environment": _environment(same),
        "word_reference": WORD_REFERENCE,
        "plcmos_noise_sd": _noise(judges, material, store, same),
        **_tables(records, plan),
        "records": records,
        "timing": _timing(computed, len(found), workers, time.monotonic() - started),
    }


def _missing(tasks: Sequence[Task], found: dict[Place, Measurement]) -> list[Task]:
    """Return the tasks with the methods that are not computed yet."""
    left = [
        task._replace(methods=tuple(method for method in task.methods if (task.number, method) not in found))
        for task in tasks
    ]
    return [task for task in left if task.methods]


def _executor(
    plan: Plan, tasks: Sequence[Task], jobs: int, scheduler: str | None, judges: Judges
) -> Generator[Result, None, None]:
    if scheduler and tasks:
        from dredge_host.evaluation.running.cluster import run_on_cluster

        return run_on_cluster(plan, tasks, scheduler)
    if jobs and tasks:
        return run_in_processes(plan, tasks, jobs)
    return run_here(plan, tasks, CellRunner(plan, judges))


def _collect(
    results: Iterator[Result],
    keys: dict[Place, str],
    store: Cache,
    on_cell: Callable[[], None] | None,
    before: int,
) -> dict[Place, Measurement]:
    """Keep every cell as soon as it is there. Raises DredgeError after the last one if some have failed."""
    cells: dict[Place, Measurement] = {}
    failed: list[str] = []
    with Bar("evaluate", len(keys), "cells", before) as bar:
        for task, method, cell in results:
            if isinstance(cell, Failure):
                failed.append(f"{task.name(method)}: {cell.text}")
                if len(failed) >= MOST_FAILURES:
                    break
                continue
            place = task.number, method
            store.put(keys[place], cell)
            cells[place] = cell
            bar.step()
            if on_cell:
                on_cell()
    if failed:
        done = f"{before + len(cells)} of {len(keys)} cells are done"
        kept = "and kept, the same command goes on from there" if store.keeps else "but not kept without a cache"
        raise DredgeError("; ".join([*failed, f"{done} {kept}"]))
    return cells


def _record(task: Task, method: str, cell: Measurement, cached: bool) -> Measurement:
    """Return a cell with its place in the grid."""
    measured = {key: value for key, value in cell.items() if key != "seconds"}
    return {
        "clip": task.clip.name,
        "method": method,
        "stratum": task.trace.stratum,
        "trace_seed": task.trace.seed,
        "trace_loss_pct": round(100.0 * task.trace.rate, 3),
        **measured,
        "cached": cached,
    }


def _tables(records: list[Measurement], plan: Plan) -> Tables:
    tables: Tables = {
        "summary": summarise(records, plan.methods, plan.seed),
        "strata": by_stratum(records, plan.methods, plan.seed),
        "loss_rates": by_loss_rate(records, plan.methods, plan.seed),
    }
    for record in records:  # the recovered speech of one clip is too short; the rows pool it
        record.pop("lag_recovered_scores", None)
    return tables


def _plan_part(material: Material, plan: Plan) -> dict[str, object]:
    return {
        "folder": material.name,
        "clips": [clip.name for clip in material.clips],
        "seconds_of_speech": round(sum(clip.seconds for clip in material.clips), 1),
        "strata": material.strata,
        **plan.as_dict(),
        "intervals": "95 % percentile bootstrap over recordings, the same draws for every method",
        "notes": material.notes,
    }


def _environment(same: Identity) -> dict[str, object]:
    """Return the machine, and everything that determined the results."""
    from dredge_device.pi.machine import Machine
    from dredge_host.simd import simd_level
    from dredge_models.registry import model_ids

    passing = ("clock_mhz", "temperature_c", "throttling")
    machine = {key: value for key, value in Machine().facts().items() if key not in passing}
    return {**machine, **same, "model_ids": model_ids(), "simd_level": simd_level()}


def _noise(judges: Judges, material: Material, store: Cache, same: Identity) -> float | None:
    """Return the standard error of a single score, measured on the first clip and kept like a cell."""
    clip = material.clips[0]
    key = digest_of({"plcmos noise": clip.digest, "metrics": same["metrics"]})
    known = store.get(key)
    if known is None:
        known = {"sd": noise_of(judges, clip.pcm)}
        store.put(key, known)
    sd: float | None = known["sd"]
    return sd


def _timing(cells: dict[Place, Measurement], cached: int, workers: str | int, taken: float) -> Timing:
    """Return the wall-clock seconds of this run; by_part_s: summed over its workers, fresh cells only."""
    parts: dict[str, float] = {}
    for cell in cells.values():
        for part, seconds in cell.get("seconds", {}).items():
            parts[part] = parts.get(part, 0.0) + seconds
    mean = round(sum(parts.values()) / len(cells), 3) if cells else 0.0
    return {
        "seconds_taken": round(taken, 1),
        "workers": workers,
        "cells": len(cells) + cached,
        "cells_cached": cached,
        "cell_seconds_mean": mean,
        "by_part_s": {part: round(seconds, 1) for part, seconds in parts.items()},
    }
