# SPDX-License-Identifier: BSD-2-Clause
"""The JSON documents of a live stream, declared once for producers and readers: its result, the verdict
on it, `dredge check`, and the figures of the live display.
"""

from __future__ import annotations

from typing import Any, TypedDict

from dredge_device.pi.schema.documents import Description
from dredge_device.pi.schema.report import DeviceReport, MachineReport, QueuePart, Times
from dredge_host.audio_io.source import SourceReport
from dredge_host.offline.quality import Quality
from dredge_host.sending.adaptive_redundancy import Steering
from dredge_host.sending.loss_statistics import LossPart


class LiveFigures(TypedDict, total=False):
    """The figures of a display (live.screen.display.Display.update); absent figures keep their last value.

    by_source: packets so far; cpu_us: the slowest packet of the last report; split_bps: bit rate by part; report_age_s:
    since the device's last report, None where none is expected; fault: of the device's output, as a sentence.
    """

    t_s: float
    loss_pct: float | None
    by_source: dict[str, int] | None
    delay_ms: float
    cpu_us: float
    cpu_p99_us: float
    bitrate_bps: float
    split_bps: dict[str, float]
    redundancy_s: float
    muted: bool
    report_age_s: float | None
    fault: str


class LineCheck(TypedDict):
    """The check of a serial line: its baud rate and the needed one, probes sent and answered, their times."""

    baud: int
    needed_baud: int
    probes: int
    answered: int
    trip_ms: dict[str, float]


class Accounting(TypedDict):
    """The fate of every packet (live.result.accounting)."""

    made: int
    dropped_by_model: int
    sent: int
    copies: int
    refused: int
    withheld: int
    arrived: int | None
    missing_at_device: int | None
    device_restarts: int
    arrived_before_restart: int
    unaccounted: int
    periods: int
    complete: bool


class EdgesAndCounts(TypedDict):
    """A histogram: one edge more than counts."""

    edges_us: list[int]
    counts: list[int]


class CpuPart(TypedDict, total=False):
    """CPU time per packet; wall: by the monotonic clock; stages: by part of the receiver."""

    frames: int
    mean_us: int
    p50_us: int
    p95_us: int
    p99_us: int
    max_us: int
    period_us: int
    late_frames: int
    p99_pct: float
    wall: Times
    stages: dict[str, Times]
    histogram: EdgesAndCounts


class MeasuredLoss(LossPart):
    """The losses of a stream: the requested ones and the measured ones."""

    model: str
    seed: int
    measured_pct: float


class SentPart(TypedDict):
    """The sent packets, and the behaviour of the path and of the device's clock."""

    bitrate_total_bps: float
    bitrate_bps: dict[str, float]
    loss: MeasuredLoss
    redundancy_s: float
    playout_ms: int
    sender_late_ms: dict[str, float]
    accounting: Accounting
    line: LineCheck | None
    missed_deadlines_pct: float | None
    longest_silence_s: float


class FramesPart(TypedDict):
    """Packets by the source of the speech played for them; reasons: why no better source served."""

    by_source: dict[str, int]
    total: int
    reasons: dict[str, int]


class Environment(TypedDict):
    """The two machines."""

    host: MachineReport
    device: Description


# "pass" is a keyword of Python, so these are written as calls.
Check = TypedDict("Check", {"name": str, "value": float, "unit": str, "limit": float, "at_least": bool, "pass": bool})
Verdict = TypedDict("Verdict", {"pass": bool, "checks": list[Check]})
_Passed = TypedDict("_Passed", {"pass": bool})


class Pattern(_Passed, total=False):
    """One pattern of `dredge check`, on a device that plays and (path_loss_pct, recoverable, …) on a probe."""

    name: str
    loss: str
    reasons: list[str]
    late_periods: float | None
    recovered: int
    coverable: int
    recovered_pct: float | None
    mean_pct: float
    headroom: float | None
    p99_pct: float | None
    queue: QueuePart | None
    wall: Times | None
    cpu: CpuPart
    pacing: dict[str, float]
    sources: dict[str, int]
    accounting: Accounting
    sent: int
    arrived: int | None
    path_loss_pct: float | None
    recoverable: int
    recoverable_pct: float | None
    jitter_ms: float | None
    too_long: int | None


class CheckResult(_Passed):
    """The result of `dredge check`."""

    schema: str
    budget_pct: float
    seconds_per_pattern: float
    settings: dict[str, Any]
    device: Description
    board: MachineReport | None
    patterns: list[Pattern]


class StreamResultNeeded(TypedDict):
    """The fields of every result of a stream; timeline: [packet, source, delay in ms, CPU time in us]."""

    schema: str
    settings: dict[str, Any]
    packets: int
    stream: SentPart
    frames: FramesPart
    cpu: CpuPart
    timeline: list[list[int | str | float]]
    models: list[str] | None
    environment: Environment
    device_report: DeviceReport


class StreamResult(StreamResultNeeded, total=False):
    """The result of `dredge stream` or `dredge demo`.

    receiver: of a plain RTP receiver (live.plain); adaptation: changes of the redundancy; files: of a demo, by signal;
    quality: scores by metric; gain: one sentence.
    """

    input: str
    source: SourceReport
    receiver: dict[str, float]
    adaptation: list[Steering]
    seconds: float
    files: dict[str, str]
    verdict: Verdict
    quality: Quality
    gain: str
