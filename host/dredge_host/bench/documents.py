# SPDX-License-Identifier: BSD-2-Clause
"""The result of `dredge bench` and the comparison of two, declared once for those who make and read them."""

from __future__ import annotations

from typing import TypedDict

from dredge_device.pi.schema.report import MachineReport

Quantiles = dict[str, float]  # min, p50, p95, p99, max (dredge_host.timing.percentiles)


class CpuAndWall(TypedDict):
    """Times in us, of the thread's CPU and by the monotonic clock."""

    cpu_us: Quantiles
    wall_us: Quantiles


class StageRow(TypedDict):
    """One stage: back to back, and one call per 20 ms with cold caches."""

    stage: str
    side: str
    covers_ms: float
    throughput_us: Quantiles
    paced_us: Quantiles
    paced_wall_us: Quantiles
    times_real_time: float


class LiveRow(CpuAndWall):
    """The frames of a stream with burst losses."""

    loss: str
    frames: int
    p99_pct_of_period: float
    late_frames: int
    by_source_us: dict[str, Quantiles]


class BurstRow(TypedDict):
    """The end of a gap: its first 20 ms and all of it; recovered_pct: the share rendered from DRED."""

    gap_ms: int
    recovered_pct: float
    first_20_ms: CpuAndWall
    whole_gap: CpuAndWall


class LengthCost(TypedDict):
    """The sender with one length of history; bytes: mean of the redundancy in a packet."""

    redundancy_ms: int
    cpu_us: Quantiles
    bytes: float


class RedundancyRow(LengthCost):
    """The sender with one length of history, and a gap as long as the history."""

    gap: BurstRow


class StreamsRow(TypedDict):
    """A number of receivers in one thread."""

    streams: int
    cpu_us: Quantiles
    real_time: bool


class EncoderCost(TypedDict):
    """CPU time with the longest history divided by that with the shortest."""

    ratio: float


class Context(TypedDict):
    """The conditions of the measurement."""

    simd_level: str
    models: list[str]
    libopus: str
    neural_runtime: str
    machine: MachineReport


class Sections(TypedDict, total=False):
    """The requested sections."""

    stages: list[StageRow]
    live: LiveRow
    burst: dict[str, BurstRow]
    redundancy: list[RedundancyRow]
    encoder_cpu: EncoderCost
    streams: list[StreamsRow]


class Ratio(TypedDict):
    """One figure of both results."""

    figure: str
    old_us: float
    new_us: float
    ratio: float


class Comparison(TypedDict):
    """The ratios new / old, and the differences of the two set-ups."""

    rows: list[Ratio]
    differences: list[str]


class Compared(TypedDict, total=False):
    """The comparison with an earlier result, if one was given."""

    comparison: Comparison


class BenchResult(Context, Sections, Compared):
    """The result."""

    schema: str
    disturbance_bytes: int
