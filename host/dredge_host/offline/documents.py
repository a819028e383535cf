# SPDX-License-Identifier: BSD-2-Clause
"""The results of offline runs, declared once for producers and readers."""

from __future__ import annotations

from typing import Any, TypedDict

from dredge_device.pi.schema.report import DredPart, MachineReport
from dredge_host.offline.quality import Quality
from dredge_host.sending.loss_statistics import LossPart


class Alignment(TypedDict):
    """The position of sample i of the output relative to sample i of the input."""

    opus_lookahead_samples: int
    offset_samples: int


class PipelineCpu(TypedDict):
    """CPU time of the whole run, and of the receiver per packet."""

    pipeline_seconds: float
    times_real_time: float
    receiver_us_per_packet: dict[str, float]
    machine: MachineReport


class PlayedResult(TypedDict):
    """The fields of every run: packets by source (frames) and losses."""

    packets: int
    loss: LossPart


class RunResult(PlayedResult, total=False):
    """The result of `dredge simulate`: of speech that was sent (bitrate_bps, cpu, …), or of a capture that was replayed
    (format, versions, dred, reasons). timeline: [packet, source, delay in ms, CPU time in us].
    """

    schema: str
    settings: dict[str, Any]
    seconds: float
    bitrate_total_bps: float
    bitrate_bps: dict[str, float]
    frames: dict[str, int]
    seed: int
    alignment: Alignment
    models: list[str]
    simd_level: str
    cpu: PipelineCpu
    format: str
    versions: list[int]
    dred: DredPart | None
    reasons: dict[str, int] | None
    notes: list[str]
    input: str
    output: str
    timeline: list[list[int | str | float]]
    delay_ms: dict[str, float]
    quality: Quality


class Capacity(TypedDict):
    """The number of streams that a core decodes; runs: times per period by number of streams."""

    streams: int
    resolution: int
    loss: str
    runs: dict[str, dict[str, float]]


class ReceiverCard(TypedDict):
    """The cost of a receiver per 20 ms, and the share of losses that it recovers."""

    cpu_us: dict[str, float]
    by_source_us: dict[str, dict[str, float]]
    first_of_a_gap_us: dict[str, float]
    load_pct: float
    headroom: float | None
    recovered: int
    coverable: int
    lost: int
    recovered_pct: float | None


class ReportCard(TypedDict):
    """The cost and gain of DRED on this machine; receiver: by vocoder; sender_us_per_packet: with and without DRED."""

    schema: str
    machine: MachineReport
    simd_level: str
    seconds: float
    loss: LossPart
    playout_ms: int
    bitrate_bps: dict[str, float]
    sender_us_per_packet: dict[str, float]
    receiver: dict[str, ReceiverCard]
    memory_kb: dict[str, int]
    quality: Quality
