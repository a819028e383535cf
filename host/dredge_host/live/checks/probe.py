# SPDX-License-Identifier: BSD-2-Clause
"""The verdict of `dredge check` on a probe: a probe plays nothing, so the path to it and the recoverable losses are
judged.
"""

from __future__ import annotations

from dredge_device.pi.schema.documents import Description
from dredge_device.pi.schema.report import DeviceReport
from dredge_host.live.checks.verdict import MIN_RECOVERED_PCT, load_pct, recovered
from dredge_host.live.documents import Pattern
from dredge_host.live.result import accounting, by_source, cpu_part, played_rows
from dredge_host.live.stream import StreamOutcome
from dredge_host.settings import Settings

MAX_PATH_LOSS_PCT = 1.0  # beside the simulated losses


def is_probe(device: Description) -> bool:
    """Return whether the answer to a greeting is that of a probe."""
    return device.get("role") == "probe"


def judge(name: str, outcome: StreamOutcome, settings: Settings, budget_pct: float) -> Pattern:
    """Return one pattern's entry in the document of `dredge check`.

    It fails when the report never came, when more than MAX_PATH_LOSS_PCT of the sent packets did not arrive, when fewer
    than MIN_RECOVERED_PCT of the losses that a packet described in time could have been recovered from the arrived
    ones, or when the probe was busy for more than the budget: then it may have lost datagrams itself.
    """
    report: DeviceReport = outcome.report or {}
    packets, cpu = report.get("packets") or {}, report.get("budget")
    received = packets.get("received")
    missing = None if received is None else max(0, outcome.sent - received)
    path_pct = None if missing is None or not outcome.sent else round(100 * missing / outcome.sent, 2)
    filled, wanted = recovered(outcome, settings)
    share = round(100.0 * filled / wanted, 2) if wanted else None
    mean = load_pct(outcome.report or {})
    reasons = []
    if path_pct is None or cpu is None or cpu.get("mean_us") is None:
        reasons.append("the probe's report never came complete")
    else:
        if path_pct > MAX_PATH_LOSS_PCT:
            reasons.append(
                f"{missing} of {outcome.sent} packets were lost on the way to the probe ({path_pct:g} %), "
                f"expected at most {MAX_PATH_LOSS_PCT:g} %"
            )
        if share is not None and share < MIN_RECOVERED_PCT and settings.redundancy_s:
            reasons.append(
                f"{filled} of {wanted} losses that a packet described could have been recovered ({share:g} %), "
                f"expected {MIN_RECOVERED_PCT:g} %"
            )
        if mean > budget_pct:
            reasons.append(f"the probe was busy for {mean:g} % of the time, the budget is {budget_pct:g} %")
    return {
        "name": name,
        "loss": settings.loss,
        "pass": not reasons,
        "reasons": reasons,
        "sent": outcome.sent,
        "arrived": received,
        "path_loss_pct": path_pct,
        "recoverable": filled,
        "coverable": wanted,
        "recoverable_pct": share,
        "mean_pct": mean,
        "p99_pct": cpu["p99_pct"] if cpu else None,
        "jitter_ms": (report.get("delay_ms") or {}).get("jitter"),
        "too_long": (report.get("probe") or {}).get("too_long"),
        "cpu": cpu_part(cpu),
        "sources": by_source(played_rows(outcome), len(outcome.trace)),
        "accounting": accounting(outcome),
    }


def words(pattern: Pattern) -> str:
    """Return the findings of one pattern as text."""
    if pattern["arrived"] is None:
        return ""
    text = f"  arrived {pattern['arrived']} of {pattern['sent']}"
    if pattern["recoverable_pct"] is not None:
        text += f"  recoverable {pattern['recoverable']} of {pattern['coverable']}"
    if pattern["jitter_ms"] is not None:
        text += f"  jitter {pattern['jitter_ms']:.1f} ms"
    return text
