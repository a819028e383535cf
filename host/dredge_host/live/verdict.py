# SPDX-License-Identifier: BSD-2-Clause
"""Did a stream do what it should? Every check with what was measured and what is allowed."""

from __future__ import annotations

from typing import Any

from dredge_device.units import PACKET_SECONDS
from dredge_host.live.result import timeline_rows
from dredge_host.live.stream import StreamOutcome
from dredge_host.settings import Settings

MIN_FILLED_PCT = 90.0
MAX_LATE_PCT = 1.0
MAX_P99_PCT = 50.0


def coverable(trace: list[bool], settings: Settings) -> set[int]:
    """Lost packets that a later packet describes before playout needs them.

    Packet n + d arrives d periods later and carries redundancy_s of history before itself: it
    helps packet n if d lies within the history and before packet n is played.
    """
    history = int(round(settings.redundancy_s / PACKET_SECONDS, 6))
    reach = min(history, settings.playout_ms // 20 - 1)
    found = set()
    next_arrival: int | None = None
    for number in range(len(trace) - 1, -1, -1):
        if not trace[number]:
            next_arrival = number
        elif next_arrival is not None and next_arrival - number <= reach:
            found.add(number)
    return found


def judge(outcome: StreamOutcome, settings: Settings) -> dict[str, Any]:
    """{"pass": bool, "checks": [{name, value, unit, limit, pass}]} for a stream with DRED.

    Late means: more CPU time than the period has. Wall-clock lateness also depends on what else
    the machine does; it is reported beside (stream.missed_deadlines_pct) but not judged.
    """
    report = outcome.report or {}
    rows = timeline_rows(outcome.report, outcome.first_sequence)
    source = {row[0]: row[1] for row in rows}
    budget = report.get("budget") or {}
    frames = max(1, budget.get("frames", 0))
    late = budget.get("late_frames", 0)
    wanted = coverable(outcome.trace, settings)
    filled = sum(source.get(number) in ("dred", "lbrr") for number in wanted)
    share = 100.0 * filled / len(wanted) if wanted else 100.0
    dred = sum(name == "dred" for name in source.values())
    return _verdict(
        [
            ("device report complete", len(rows), "packets", len(outcome.trace), True),
            ("packets filled by DRED", dred, "packets", 1, True),
            ("coverable losses filled", round(share, 2), "%", MIN_FILLED_PCT, True),
            ("late packets", round(100.0 * late / frames, 2), "%", MAX_LATE_PCT, False),
            ("CPU p99 per period", budget.get("p99_pct", 100.0), "%", MAX_P99_PCT, False),
        ]
    )


def _verdict(checks: list[tuple[str, float, str, float, bool]]) -> dict[str, Any]:
    """Each check: name, value, unit, limit, and whether the limit is a minimum."""
    judged = [
        {
            "name": name,
            "value": value,
            "unit": unit,
            "limit": limit,
            "pass": value >= limit if minimum else value <= limit,
        }
        for name, value, unit, limit, minimum in checks
    ]
    return {"pass": all(check["pass"] for check in judged), "checks": judged}
