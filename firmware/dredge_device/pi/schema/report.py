# SPDX-License-Identifier: BSD-2-Clause
"""The device report: what the device sends every second and at the end of a session, as the host reads it.

A new field is a line in a class below: the host's check then refuses reports in which it has another type or size, and
mypy checks the producer, the screen, the result and the verdict against it. A field may be absent or null unless its
class is total; unknown fields pass.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, TypedDict

from dredge_device.pi.schema.checks import Count, count, number, whole

# Two values in a list, as JSON has them: (value, periods), (upper edge in us, periods), (period, number), (s, level).
Run = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and number(v[0]) and count(v[1])]
Bin = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and count(v[0]) and count(v[1])]
Jump = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and count(v[0]) and whole(v[1])]
Change = Annotated[list[Any], lambda v: isinstance(v, list) and len(v) == 2 and number(v[0]) and isinstance(v[1], str)]
BurstName = re.compile(r"[0-9]{1,6}\+?")
Bursts = Annotated[
    dict[str, int], lambda v: isinstance(v, dict) and all(BurstName.fullmatch(k) and count(n) for k, n in v.items())
]


class TimesNeeded(TypedDict):
    """Percentiles of measured times; frames: how many were measured."""

    frames: Count
    p50_us: Count
    p99_us: Count
    max_us: Count


class Times(TimesNeeded, total=False):
    """Percentiles of measured times."""

    mean_us: Count
    p95_us: Count


class BudgetNeeded(Times):
    """CPU time per packet against its period."""

    period_us: Count
    late_frames: Count
    p99_pct: float


class BudgetReport(BudgetNeeded, total=False):
    """CPU time per packet. wall: the same by the monotonic clock; stages: by part of the receiver."""

    histogram: list[Bin]
    wall: Times
    stages: dict[str, Times]


class MachineReport(TypedDict, total=False):
    """The device's machine (dredge_device.pi.machine.Machine.facts)."""

    board: str | None
    soc: str | None
    cpu: str | None
    architecture: str
    os: str | None
    kernel: str
    python: str
    governor: str | None
    cores: Count | None
    l2_bytes: Count | None
    bits: Count
    clock_mhz: float | None
    temperature_c: float | None
    throttling: list[str] | None


class LoadReport(TypedDict, total=False):
    """The load of the whole device (service.governor): its level, periods at each, changes with their times, periods
    in which the guard reduced the quality, periods not ready in time, hosts turned away, CPU time of all streams.
    """

    level: str
    periods: dict[str, Count]
    changes: list[Change]
    degraded: Count
    overruns: Count
    refused: Count
    busy: Times
    load_pct: float
    headroom_pct: float


Link = dict[str, int | str]  # counters of an endpoint, and its kind


class PathReport(TypedDict, total=False):
    """Counts of the path from or to a board: datagrams of unknown senders, the counters of a serial line."""

    strangers: Count
    line: dict[str, Count]


class OutputReport(PathReport, total=False):
    """The report of an output about a session, and the process's part of a final report.

    dropped: periods left out because the output took none; vanished, unheard_ms: how often and how long a sound card
    was missing; followed_ms: time inserted to follow the clock of the card; packets, unsent: of a board.
    """

    kind: str
    file: str | None
    samples: Count
    rate: Count
    error: str
    advice: str
    clock: str
    underflows: Count
    vanished: Count
    unheard_ms: Count
    dropped: Count
    followed_ms: float
    packets: Count
    unsent: Count
    pacing: dict[str, float]
    load: LoadReport
    link: Link
    machine: MachineReport


class TimelineNeeded(TypedDict):
    """Every period in turn: a letter for its source, its delay, its CPU time (dredge_device.timeline)."""

    sources: str
    delay_ms: list[Run]
    cpu_us: list[float]


class TimelineReport(TimelineNeeded, total=False):
    """start: number of the first period; first_packet: its sequence number; jumps: where those do not go on by one."""

    start: Count
    first_packet: int
    jumps: list[Jump]
    reasons: str
    dropped: Count


class StreamPart(TypedDict, total=False):
    """The RTP stream: its SSRC, and the highest sequence number, running and as it was sent."""

    ssrc: Count | None
    highest: int | None
    sequence: int | None


class DelayPart(TypedDict, total=False):
    """Playout delay in ms; jitter: RFC 3550; buffered: waiting speech; target: the wanted delay."""

    mean: float
    max: float
    p50: float
    p95: float
    jitter: float
    buffered: float
    target: float


class PlayoutPart(TypedDict, total=False):
    """How often playout stood still and was corrected, and by how much speech was shortened and lengthened."""

    holds: Count
    corrections: Count
    shortened_ms: float
    lengthened_ms: float


class DredPart(TypedDict, total=False):
    """Counts of DRED payloads."""

    payloads_parsed: Count
    bytes_parsed: Count
    payloads_damaged: Count


class QueueLength(TypedDict):
    """Finished waiting periods, counted whenever another became ready."""

    mean: float
    least: Count
    most: Count


class QueuePart(TypedDict, total=False):
    """Rendering ahead: lateness, the queue's length, the mean load, the share of losses that was recovered."""

    periods: Count
    late_periods: Count
    underruns: Count
    latest_ms: float
    length: QueueLength
    reserve_ms: float
    longest_reserve_ms: float
    load_pct: float
    headroom_pct: float
    recovered: Count
    recovered_pct: float


class TalkPart(TypedDict, total=False):
    """The share of one end of a talk in the delays from mouth to ear, ms."""

    sent: dict[str, float] | None
    received: dict[str, float] | None


class ProbePart(TypedDict, total=False):
    """The counts of a probe."""

    too_long: Count


class StatisticsReport(TypedDict, total=False):
    """Counts of packet periods (dredge_device.pi.playout_statistics)."""

    packets: dict[str, Count]
    loss_pct: float
    bursts: Bursts
    burst_mean: float
    burst_longest: Count
    sources: dict[str, Count]
    reasons: dict[str, Count]
    delay_ms: DelayPart


class DeviceReport(StatisticsReport, total=False):
    """One report of a device. The receiver gives the figures, dredge_device.reports the rest of a report."""

    stream: StreamPart
    playout_ms: Count
    adaptive: bool
    conceal: str
    playout: PlayoutPart
    dred: DredPart
    load: dict[str, Count]
    budget: BudgetReport
    enhancement: dict[str, Count]
    queue: QueuePart
    talk: TalkPart
    probe: ProbePart
    output: OutputReport
    timeline: TimelineReport
    schema: str
    final: bool
    number: Count
    boot: str | None
    interrupted: bool
    control: dict[str, Count]
