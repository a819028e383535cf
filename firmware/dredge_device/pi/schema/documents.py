# SPDX-License-Identifier: BSD-2-Clause
"""Other documents of a device: the answer to a greeting, a session's options, the status."""

from __future__ import annotations

from typing import TypedDict

from dredge_device.pi.schema.report import DeviceReport, Link, LoadReport, MachineReport


class Description(TypedDict, total=False):
    """The answer to a greeting: the device and its abilities. boot: identity of the process; error: reason of a
    refusal.
    """

    ok: bool
    error: str
    role: str
    protocol: int
    capabilities: list[str]
    models: list[str]
    dred_versions: list[int]
    simd: str
    opus: str
    opus_complexity: int
    board: str
    python: str
    vocoder: str
    boot: str | None


class SessionRequest(TypedDict, total=False):
    """The options of a session in a configure request (service.options.SessionOptions), and where the stream begins."""

    playout_ms: int
    adaptive: bool
    conceal: str
    lbrr: bool
    vocoder: str
    opus_complexity: int
    ssrc: int
    first_sequence: int
    first_timestamp: int


class Calibrated(TypedDict, total=False):
    """What a calibration chose (calibration.choice.Choice); key, measured, cached: of a whole calibration."""

    schema: str
    key: CalibrationKey
    measured: dict[str, dict[str, float]]
    cached: bool
    vocoder: str
    queue_periods: int
    levels: list[str]
    streams: int
    load_pct: dict[str, float]
    fits: bool
    why: str


class CalibrationKey(TypedDict):
    """The conditions that the costs of periods depend on."""

    board: str | None
    cpu: str | None
    cores: int | None
    architecture: str
    governor: str | None
    python: str
    simd: str
    models: list[str]
    opus: str
    version: str


class StreamCounts(TypedDict):
    """Counts of running streams, of the most at the same time, and of ended ones."""

    running: int
    most: int
    ended: int


class ProcessPart(TypedDict):
    """CPU time of the process since the last document (cpu_pct) and in all, its memory."""

    cpu_pct: float
    cpu_s: float
    rss_kb: int


class SessionPart(TypedDict):
    """One session of a status; ended: why, null while it runs; report: without its timeline."""

    peer: str
    plain: bool
    ended: str | None
    seconds: float
    heard_age_s: float
    report: DeviceReport


class Summary(TypedDict):
    """The figures of one row of a table, or of sensors."""

    state: str
    sessions: int
    peer: str | None
    loss_pct: float | None
    recovered_pct: float | None
    dred: int | None
    delay_ms: float | None
    late_periods: int | None
    cpu_pct: float
    temperature_c: float | None


class StatusCounts(TypedDict, total=False):
    """The parts of a status that the playing thread provides; talk: dredge_host.talk.documents.TalkState."""

    streams: StreamCounts
    governor: LoadReport
    link: Link
    talk: object


class Status(StatusCounts, total=False):
    """The status of a running device or talk."""

    schema: str
    role: str
    address: str
    device: Description
    healthy: bool
    age_s: float
    uptime_s: float
    process: ProcessPart
    machine: MachineReport
    sessions: list[SessionPart]
    last: SessionPart | None
    summary: Summary
