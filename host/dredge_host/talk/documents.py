# SPDX-License-Identifier: BSD-2-Clause
"""The JSON documents of a talk, declared once for producers and readers."""

from __future__ import annotations

from typing import Any, TypedDict

from dredge_device.pi.schema.report import (
    BudgetReport,
    DelayPart,
    DeviceReport,
    Link,
    LoadReport,
    OutputReport,
    QueuePart,
    TimelineReport,
)
from dredge_host.audio_io.source import SourceReport
from dredge_host.live.documents import Accounting


class PathDelay(TypedDict):
    """The delay from mouth to ear in ms, in its parts (talk.delay); None: unknown to this end."""

    capture: float | None
    encode: float | None
    network: float | None
    playout: float | None
    card: float | None
    mouth_to_ear: float | None


class CallAccounting(Accounting):
    """The accounting of a call, and the bit rate of all sent datagrams."""

    bitrate_total_bps: float


class SentResult(TypedDict):
    """This end's speech, as the other end reports it."""

    accounting: CallAccounting | None
    by_source: dict[str, int] | None
    loss_pct: float | None
    delay_ms: PathDelay
    source: SourceReport


class ReceivedResult(TypedDict):
    """The other end's speech, as it was played here."""

    sessions: int
    by_source: dict[str, int] | None
    packets: dict[str, int] | None
    loss_pct: float | None
    delay_ms: PathDelay
    reasons: dict[str, int] | None
    timeline: TimelineReport | None
    queue: QueuePart | None
    governor: LoadReport | None
    playout_delay_ms: DelayPart | None
    budget: BudgetReport | None
    sink: OutputReport | None


class LastSession(DeviceReport, total=False):
    """The report of the session that runs or ended last; governor: the load when it ended."""

    governor: LoadReport


class TalkResult(TypedDict):
    """The result of a talk."""

    schema: str
    settings: dict[str, Any]
    seconds: float
    calls: int
    sent: SentResult
    received: ReceivedResult
    line: Link


class SentNow(TypedDict):
    """This end's speech, at most a second old."""

    loss_pct: float | None
    by_source: dict[str, int] | None
    bitrate_bps: float
    delay_ms: PathDelay
    report_age_s: float | None


class ReceivedNow(TypedDict):
    """The other end's speech, at most a second old; silent_s: since its last datagram."""

    loss_pct: float | None
    by_source: dict[str, int] | None
    cpu_p99_us: int | None
    delay_ms: PathDelay
    silent_s: float | None


class TalkState(TypedDict):
    """The displayed state of a running talk."""

    t_s: float
    state: str
    problem: str
    muted: bool
    ducked: bool
    mic_db: float
    speaker_db: float
    sent: SentNow
    received: ReceivedNow
