# SPDX-License-Identifier: BSD-2-Clause
"""The packets of one captured stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

MAX_BYTES = 1 << 28
FORMATS = "pcap, pcapng, rtpdump, Ogg Opus or opus_demo .bit"


@dataclass(frozen=True)
class Captured:
    """One Opus packet. time_s: when it was captured, None in formats without time; sequence: running RTP number."""

    data: bytes
    time_s: float | None = None
    sequence: int | None = None


@dataclass
class Capture:
    """The packets of one stream, and remarks for the user about what was left out."""

    format: str
    packets: list[Captured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ssrc: int | None = None
    lost: int = 0                      #: RTP numbers between the first and the last packet that are not there


Reader = Callable[[bytes, int | None], Capture]
