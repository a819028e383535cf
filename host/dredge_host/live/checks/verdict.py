# SPDX-License-Identifier: BSD-2-Clause
"""The verdict on a stream: every check with the measured value and its limit."""

from __future__ import annotations

from dredge_device.pi.schema.report import DeviceReport
from dredge_device.units import PACKET_SECONDS
from dredge_host.live.documents import Check, Verdict
from dredge_host.live.result import played_rows
from dredge_host.live.stream import StreamOutcome
from dredge_host.sending.coverage import coverable
from dredge_host.settings import Settings

MIN_RECOVERED_PCT = 95.0
MAX_LOAD_PCT = 50.0


def recovered(outcome: StreamOutcome, settings: Settings) -> tuple[int, int]:
    """Return (losses recovered, losses that a packet described in time): from DRED or the low-rate copy, by the
    timeline.
    """
    rows = played_rows(outcome)
    source = {row[0]: row[1] for row in rows}
    delays_us = {row[0]: round(1000 * row[2]) for row in rows} if settings.adaptive else None
    wanted = coverable(outcome.trace, settings, delays_us)
    return sum(source.get(number) in ("dred", "lbrr") for number in wanted), len(wanted)


def load_pct(report: DeviceReport) -> float:
    """Return the mean CPU time of a period in percent of the period; 100 without a report."""
    budget = report.get("budget")
    mean_us = budget.get("mean_us") if budget else None
    return 100.0 if mean_us is None else round(mean_us / (1e4 * PACKET_SECONDS), 2)


def judge(outcome: StreamOutcome, settings: Settings) -> Verdict:
    """Return {"pass": bool, "checks": [{name, value, unit, limit, at_least, pass}]} for a stream with DRED.

    One period may cost more than its 20 ms: the device renders ahead. Wall-clock lateness also depends on the load of
    the machine; it is reported beside (stream.missed_deadlines_pct) but not judged.
    """
    report = outcome.report or {}
    rows = played_rows(outcome)
    filled, wanted = recovered(outcome, settings)
    share = 100.0 * filled / wanted if wanted else 100.0
    dred = sum(row[1] == "dred" for row in rows)
    return _verdict(
        [
            ("device report complete", len(rows), "packets", len(outcome.trace), True),
            ("packets filled by DRED", dred, "packets", 1, True),
            ("coverable losses filled", round(share, 2), "%", MIN_RECOVERED_PCT, True),
            ("mean CPU per period", load_pct(report), "%", MAX_LOAD_PCT, False),
        ]
    )


def _verdict(checks: list[tuple[str, float, str, float, bool]]) -> Verdict:
    """Return each check: name, value, unit, limit, and whether the limit is the least (else the greatest) value."""
    judged: list[Check] = [
        {
            "name": name,
            "value": value,
            "unit": unit,
            "limit": limit,
            "at_least": minimum,
            "pass": value >= limit if minimum else value <= limit,
        }
        for name, value, unit, limit, minimum in checks
    ]
    return {"pass": all(check["pass"] for check in judged), "checks": judged}
