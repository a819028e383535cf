# SPDX-License-Identifier: BSD-2-Clause
"""The documents of `dredge inspect`, declared once for producers and readers."""

from __future__ import annotations

from typing import TypedDict


class Toc(TypedDict):
    """The TOC byte (RFC 6716 section 3.1)."""

    config: int
    mode: str
    bandwidth: str
    frames: int
    frame_ms: float
    stereo: bool
    code: int


class Span(TypedDict, total=False):
    """The time that latents cover, in ms from the packet's first decoded sample; the symbols on request.
    """

    latents: int | None
    span_ms: int | None
    begins_ms: float | None
    ends_ms: float | None
    bits_per_latent: float | None
    state_symbols: list[int]
    latent_symbols: list[list[int]]


class Dred(Span):
    """DRED of one packet; None for what cannot be read, and reason says why."""

    version: int
    q0: int | None
    dq: int | None
    qmax: int | None
    offset: int | None
    bytes: int
    frame: int
    reason: str | None


class PacketNeeded(TypedDict):
    """One packet; toc: None for a malformed one; no_dred: why there is no DRED."""

    index: int
    bytes: int
    toc: Toc | None
    lbrr: bool | None
    dred: Dred | None
    no_dred: str | None


class PacketEntry(PacketNeeded, total=False):
    """One packet with its place in the stream, as far as the capture has it."""

    sequence: int
    time_s: float


class Totals(TypedDict):
    """Counts, rates and means over all packets."""

    packets: int
    seconds: float
    bytes: int
    bitrate_bps: float | None
    with_dred: int
    with_lbrr: int
    malformed: int
    dred_bitrate_bps: float | None
    versions: dict[str, int]
    latents_mean: float | None
    span_ms_max: int | None
    bits_per_latent_mean: float | None
    modes: dict[str, int]
    no_dred: dict[str, int]
    unread: dict[str, int]


class CaptureTotals(Totals):
    """The same, and the packets that are missing in the capture."""

    lost: int


class InspectNeeded(TypedDict):
    """A whole capture."""

    schema: str
    format: str
    ssrc: int | None
    packets: list[PacketEntry]
    totals: CaptureTotals
    notes: list[str]


class InspectResult(InspectNeeded, total=False):
    """The same; input: the capture's name."""

    input: str


class NamedLimits(TypedDict):
    """The limits of a comparison."""

    name: str
    err4: float
    err16: float
    pitch: float


_Passed = TypedDict("_Passed", {"pass": bool})  # a keyword of Python


class CompareResult(_Passed):
    """The comparison of two decodings (inspection.comparison); exceeded: the exceeded limits in words."""

    schema: str
    reference: str
    output: str
    seconds: float
    skip: int
    err4: float
    err16: float
    pitch: float
    frames: int
    voiced: int
    limits: NamedLimits
    exceeded: list[str]
