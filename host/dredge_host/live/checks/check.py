# SPDX-License-Identifier: BSD-2-Clause
"""`dredge check`: it streams loss patterns to a device, whose own clocks measure whether it keeps up."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from dredge_device.pi.schema.report import BudgetReport
from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, PACKET_US
from dredge_host.links.link import Link
from dredge_host.live.checks import probe
from dredge_host.live.checks.verdict import MIN_RECOVERED_PCT, load_pct, recovered
from dredge_host.live.control_channel import Update
from dredge_host.live.documents import CheckResult, Pattern
from dredge_host.live.result import accounting, by_source, cpu_part, played_rows
from dredge_host.live.session import Session
from dredge_host.live.stream import StreamOutcome, stream
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import Settings

SCHEMA = "dredge.check/1"

# Loss patterns from no load to the highest one: gaps of one second, 1.2 s apart.
PATTERNS = {
    "no loss": "none",
    "5 % loss": "5%",
    "20 % in bursts": "gilbert:rate=20%,burst=5",
    "gaps of 1 s": "burst:ms=1000,every=2.2s",
}

OpenLink = Callable[[], Link]


def check(
    pcm: Pcm, open_link: OpenLink, settings: Settings, budget_pct: float, seconds: float,
    models: list[str] | None = None, update: Update | None = None, begin: Callable[[str], None] | None = None,
) -> CheckResult:  # fmt: skip
    """Stream every pattern for `seconds` and return the result document with the verdict.

    A pattern fails when a period was not ready when it had to be handed out, when fewer than MIN_RECOVERED_PCT of the
    losses that a packet described in time were recovered, when the mean CPU time is above the budget (in % of the
    period), or when its report never came. One period may cost more than its 20 ms, since the device renders ahead: the
    p99 is reported beside. A probe has a verdict of its own (dredge_host.live.checks.probe). begin(pattern) is called
    when a pattern begins. Raises the errors of greeting a device.
    """
    results = []
    for name, loss in PATTERNS.items():
        if begin:
            begin(f"{name}: {seconds:g} s")
        link = open_link()
        try:
            outcome = _one(pcm, link, replace(settings, loss=loss), seconds, models, update)
        finally:
            link.close()
        judged = probe.judge if probe.is_probe(outcome.device) else _judge
        results.append(judged(name, outcome, replace(settings, loss=loss), budget_pct))
    return {
        "schema": SCHEMA,
        "budget_pct": budget_pct,
        "seconds_per_pattern": seconds,
        "settings": settings.as_dict(),
        "device": outcome.device,
        "board": ((outcome.report or {}).get("output") or {}).get("machine"),
        "patterns": results,
        "pass": all(result["pass"] for result in results),
    }


def _one(
    pcm: Pcm, link: Link, settings: Settings, seconds: float, models: list[str] | None, update: Update | None
) -> StreamOutcome:
    import numpy as np

    count = max(1, round(seconds / PACKET_SECONDS))
    loss = parse_loss(settings.loss, settings.seed)
    pieces = packets(np.resize(pcm, count * PACKET_SAMPLES), count)
    return stream(pieces, Session(link, update=update), settings, loss, models=models, update=update)


def _lateness(late: float, budget: BudgetReport) -> str:
    """Return how many periods were late, and that another program took the core where none of them cost too much."""
    text = f"{late:g} of {budget['frames']} periods were not ready when they had to be handed out"
    if budget["max_us"] >= PACKET_US / 2:
        return text
    most = f"none took more than {budget['max_us'] / 1000:.1f} of its {PACKET_US / 1000:g} ms of CPU time"
    return f"{text}; {most}, so another program probably had the core"


def _judge(name: str, outcome: StreamOutcome, settings: Settings, budget_pct: float) -> Pattern:
    report = outcome.report or {}
    budget = report.get("budget")
    pacing = (report.get("output") or {}).get("pacing") or {}
    late, p99, mean = pacing.get("missed_deadlines"), budget["p99_pct"] if budget else None, load_pct(report)
    filled, wanted = recovered(outcome, settings)
    share = round(100.0 * filled / wanted, 2) if wanted else None
    reasons = []
    if budget is None or late is None or budget.get("mean_us") is None:
        reasons.append("the device's report never came complete")
    else:
        if late:
            reasons.append(_lateness(late, budget))
        if share is not None and share < MIN_RECOVERED_PCT and settings.conceal == "dred" and settings.redundancy_s:
            reasons.append(
                f"{filled} of {wanted} losses that a packet described were recovered ({share:g} %), "
                f"expected {MIN_RECOVERED_PCT:g} %"
            )
        if mean > budget_pct:
            reasons.append(f"mean CPU time is {mean:g} % of the period, the budget {budget_pct:g} %")
    return {
        "name": name,
        "loss": settings.loss,
        "pass": not reasons,
        "reasons": reasons,
        "late_periods": late,
        "recovered": filled,
        "coverable": wanted,
        "recovered_pct": share,
        "mean_pct": mean,
        "headroom": round(100 / mean, 1) if mean else None,
        "p99_pct": p99,
        "queue": report.get("queue"),
        "wall": budget.get("wall") if budget else None,
        "cpu": cpu_part(budget),
        "pacing": pacing,
        "sources": by_source(played_rows(outcome), len(outcome.trace)),
        "accounting": accounting(outcome),
    }


def lines(result: CheckResult) -> list[str]:
    """Return the verdict, then each pattern, then the board, as lines of text."""
    probed = probe.is_probe(result["device"])
    out = [("PASS" if result["pass"] else "FAIL") + (" (a probe: the path to it; it plays nothing)" if probed else "")]
    for pattern in result["patterns"]:
        cpu = pattern["cpu"]
        text = f"{'ok    ' if pattern['pass'] else 'FAILED'}  {pattern['name']:<15}"
        if probed:
            text += probe.words(pattern)
        elif cpu.get("p99_us") is not None:
            share = pattern["recovered_pct"]
            text += f"  late {pattern['late_periods']}"
            text += f"  recovered {pattern['recovered']} of {pattern['coverable']}" if share is not None else ""
            text += f"  mean load {pattern['mean_pct']:g} % of {result['budget_pct']:g} %  (per period{_times(cpu)})"
        out.append(text)
        out += [f"        {reason}" for reason in pattern["reasons"]]
        out += [
            f"        {stage:<9}{_times(times)}"
            for stage, times in (cpu.get("stages") or {}).items()
            if times["frames"] and not probed
        ]
    return out + board_lines(result)


def _times(cpu: Mapping[str, Any]) -> str:
    return "".join(f"  {name} {cpu[f'{name}_us'] / 1000:5.2f}" for name in ("p50", "p99", "max")) + " ms"


def board_lines(result: CheckResult) -> list[str]:
    """Return the facts about the board; unknown ones are left out."""
    board, device = result["board"] or {}, result["device"]
    throttling = board.get("throttling")
    facts = [
        ("board", board.get("board") or device.get("board")),
        ("CPU", board.get("cpu")),
        ("clock", f"{board['clock_mhz']:.0f} MHz" if board.get("clock_mhz") else None),
        ("governor", board.get("governor")),
        ("temperature", f"{board['temperature_c']:.1f} °C" if board.get("temperature_c") is not None else None),
        ("throttling", None if throttling is None else ", ".join(throttling) or "none"),
        ("kernels", device.get("simd")),
        ("vocoder", device.get("vocoder")),
        ("libopus", device.get("opus")),
    ]
    return [f"{name:<12} {value}" for name, value in facts if value]


def junit(result: CheckResult) -> bytes:
    """Return the verdict as JUnit XML: one test case per pattern."""
    cases = result["patterns"]
    failed = sum(not case["pass"] for case in cases)
    suite = ET.Element("testsuite", name="dredge check", tests=str(len(cases)), failures=str(failed), errors="0")
    for case in cases:
        seconds = str(result["seconds_per_pattern"])
        element = ET.SubElement(suite, "testcase", classname="dredge.check", name=case["name"], time=seconds)
        if not case["pass"]:
            ET.SubElement(element, "failure", message="; ".join(case["reasons"]))
    root = ET.Element("testsuites")
    root.append(suite)
    xml: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return xml
