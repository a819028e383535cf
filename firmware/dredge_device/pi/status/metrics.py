# SPDX-License-Identifier: BSD-2-Clause
"""A status for Prometheus: text exposition format 0.0.4. A new metric is a row of a table."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from dredge_device.pi.schema.documents import Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels = dict[str, str]
Values = Iterator[tuple[Labels, float | None]]


class Metric(NamedTuple):
    """One metric: its name without "dredge_", gauge or counter, its description, and its place in a document."""

    name: str
    kind: str
    help: str
    values: Callable[[Status], Values]


def text(document: Status) -> str:
    """Return all metrics of a status document as text; unknown ones are left out."""
    lines: list[str] = []
    for metric in METRICS:
        rows = [(labels, value) for labels, value in metric.values(document) if value is not None]
        if rows:
            lines += [f"# HELP dredge_{metric.name} {metric.help}", f"# TYPE dredge_{metric.name} {metric.kind}"]
            lines += [f"dredge_{metric.name}{_labels(labels)} {float(value):.12g}" for labels, value in rows]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _at(value: Any, path: str, scale: float = 1.0) -> float | None:
    """Return the number at a path of names, None where there is none."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value * scale if isinstance(value, int | float) else None


def _one(path: str, scale: float = 1.0) -> Callable[[Status], Values]:
    """Return a function that takes the number at a path of the document."""
    return lambda document: iter([({}, _at(document, path, scale))])


def _each(path: str, scale: float = 1.0) -> Callable[[Status], Values]:
    """Return a function that takes the number at a path of every running session."""
    return lambda document: (
        ({"peer": session["peer"]}, _at(session, path, scale)) for session in document["sessions"]
    )


def _split(path: str, label: str) -> Callable[[Status], Values]:
    """Return a function that takes the numbers of an object of every running session, by their names."""

    def values(document: Status) -> Values:
        for session in document["sessions"]:
            found = session["report"].get(path)
            for name, value in found.items() if isinstance(found, dict) else ():
                yield {"peer": session["peer"], label: name}, value

    return values


METRICS = (
    Metric("up", "gauge", "1 while the thread that plays goes on, else 0.", _one("healthy")),
    Metric("uptime_seconds", "gauge", "Since the process was ready.", _one("uptime_s")),
    Metric("cpu_seconds_total", "counter", "CPU time of the process.", _one("process.cpu_s")),
    Metric("resident_memory_bytes", "gauge", "Resident memory of the process.", _one("process.rss_kb", 1024)),
    Metric("temperature_celsius", "gauge", "Of the processor.", _one("machine.temperature_c")),
    Metric("sessions", "gauge", "Streams that run now.", _one("streams.running")),
    Metric("sessions_limit", "gauge", "Streams at the same time at most.", _one("streams.most")),
    Metric("sessions_ended_total", "counter", "Streams that are over.", _one("streams.ended")),
    Metric("refused_total", "counter", "Hosts that were turned away for load.", _one("governor.refused")),
    Metric("load_ratio", "gauge", "Mean share of a core that rendering takes.", _one("governor.load_pct", 0.01)),
    Metric("stream_seconds", "gauge", "How long a stream runs.", _each("seconds")),
    Metric("stream_heard_age_seconds", "gauge", "Since its sender was heard.", _each("heard_age_s")),
    Metric("stream_packets_expected_total", "counter", "Packets that were due.", _each("report.packets.expected")),
    Metric("stream_packets_lost_total", "counter", "Of them, those not there in time.", _each("report.packets.lost")),
    Metric("stream_periods_total", "counter", "Periods of 20 ms by what was played.", _split("sources", "source")),
    Metric("stream_recovered_ratio", "gauge", "Share of losses rebuilt from DRED or LBRR.",
           _each("report.queue.recovered_pct", 0.01)),
    Metric("stream_delay_seconds", "gauge", "Mean playout delay.", _each("report.delay_ms.mean", 0.001)),
    Metric("stream_jitter_seconds", "gauge", "Interarrival jitter (RFC 3550).", _each("report.delay_ms.jitter", 0.001)),
    Metric("stream_late_periods_total", "counter", "Periods that were not ready in time.",
           _each("report.queue.late_periods")),
    Metric("stream_cpu_p99_seconds", "gauge", "CPU time of a period, 99th percentile.",
           _each("report.budget.p99_us", 1e-6)),
    Metric("stream_load_ratio", "gauge", "Mean CPU time of a period in periods.", _each("report.queue.load_pct", 0.01)),
)  # fmt: skip
