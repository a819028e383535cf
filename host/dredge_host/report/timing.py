# SPDX-License-Identifier: BSD-2-Clause
"""CPU time, buffer delay and lateness, over time and as distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.report import distribution
from dredge_host.report.charts import line_chart, linear_scale, log_scale
from dredge_host.report.document import part
from dredge_host.report.listen import Chart
from dredge_host.report.sections import section
from dredge_host.report.timeline import Row, number

PERIOD_MS = 20.0
_NAMES = ("p50", "p95", "p99", "max")


def charts(rows: Sequence[Row], packets: int) -> list[Chart]:
    """Return the charts of delay and CPU time of every packet on the common time axis."""
    out = []
    delay = [(r.packet + 0.5, r.delay_ms) for r in rows if r.delay_ms is not None]
    if delay:
        scale = linear_scale(max(value for _, value in delay))
        drawing = line_chart(delay, packets, scale, "Buffer delay over time, ms")
        out.append(Chart("Buffer delay", drawing, [(scale.at(t), f"{t:g} ms") for t in scale.ticks]))
    cpu = [(r.packet + 0.5, r.cpu_us / 1000.0) for r in rows if r.cpu_us is not None]
    if any(value > 0 for _, value in cpu):
        low = min(max(value, 0.01) for _, value in cpu)
        scale = log_scale(min(0.8 * low, 1.0), max(*(v for _, v in cpu), PERIOD_MS) * 1.25)
        drawing = line_chart(cpu, packets, scale, "CPU time per packet, ms; limit 20 ms", PERIOD_MS)
        labels = [(scale.at(t), f"{t:g} ms") for t in scale.ticks if t < PERIOD_MS / 2 or t > PERIOD_MS]
        out.append(Chart("CPU per packet", drawing, [*labels, (scale.at(PERIOD_MS), "20 ms, the period")]))
    return out


def distributions(result: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return the section with histograms and ranges; parts missing in the result are left out."""
    cpu = part(result, "cpu")
    body = _cpu(cpu, [r.cpu_us / 1000.0 for r in rows if r.cpu_us is not None])
    delays = [r.delay_ms for r in rows if r.delay_ms is not None and r.source != "silence"]
    if delays:
        body += distribution.figure(distribution.of_values(delays), "Buffer delay")
    if body:
        body = f'<div class="side">{body}</div><p class="hint">Heights grow with the square root of the count.</p>'
    key = "bar: p50 to p95, line: to the worst, red: 20 ms"
    body += distribution.ranges(_ranges(result), ("period", PERIOD_MS), key)
    late = cpu.get("late_frames")
    if body and number(late) is not None:
        body += f'<p class="hint">Packets that took more CPU time than their period: {late}.</p>'
    return section("cpu", "CPU time, delay and lateness", body)


def _cpu(cpu: Mapping[str, Any], times_ms: Sequence[float]) -> str:
    """Return the histogram of CPU times: the device's own, which counts every period, else one of the timeline."""
    given, marks = part(cpu, "histogram"), _times(cpu)
    try:
        edges = [float(edge) for edge in given.get("edges_us") or []]
        counts = [float(count) for count in given.get("counts") or []]
        histogram = distribution.of_bins(edges, counts, marks)
    except (TypeError, ValueError):
        if not any(time > 0 for time in times_ms):
            return ""
        histogram = distribution.of_times(times_ms)
    return distribution.figure(histogram, "CPU time per packet", ("period", _period(cpu)))


def _period(cpu: Mapping[str, Any]) -> float:
    return (number(cpu.get("period_us")) or 1000.0 * PERIOD_MS) / 1000.0


def _ranges(result: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    cpu = part(result, "cpu")
    pacing = part(result, "device_report", "output", "pacing")
    stages = {f"CPU, {name}": _times(part(cpu, "stages", name)) for name in part(cpu, "stages")}
    every = {
        "CPU, packet": _times(cpu),
        **stages,
        "by the clock": _times(part(cpu, "wall")),
        "device woke late": _times({k.removeprefix("wake_"): v for k, v in pacing.items()}),
        "sender woke late": _plain(part(result, "stream", "sender_late_ms")),
    }
    return {name: times for name, times in every.items() if times}


def _times(given: Mapping[str, Any]) -> dict[str, float]:
    """Return {"p50": ms, ...} of {"p50_us": us, ...}, as far as they are numbers."""
    found = {name: number(given.get(f"{name}_us")) for name in _NAMES}
    return {name: value / 1000.0 for name, value in found.items() if value is not None}


def _plain(given: Mapping[str, Any]) -> dict[str, float]:
    found = {name: number(given.get(name)) for name in _NAMES}
    return {name: value for name, value in found.items() if value is not None}
