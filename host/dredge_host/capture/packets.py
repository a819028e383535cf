# SPDX-License-Identifier: BSD-2-Clause
"""The packets of one captured stream."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

MAX_BYTES = 1 << 28
FORMATS = "pcap, pcapng, rtpdump, Ogg Opus, opus_demo .bit, WebM, Matroska or MP4"


@dataclass(frozen=True)
class Captured:
    """One Opus packet.

    time_s: when it was captured, None in formats without time; sequence: running RTP number, None in formats without;
    timestamp: 48 kHz ticks since the first packet, by the sender's clock; None: right after the packet before.
    """

    data: bytes
    time_s: float | None = None
    sequence: int | None = None
    timestamp: int | None = None


@dataclass
class Capture:
    """The packets of one stream, and remarks for the user about what was left out."""

    format: str
    packets: list[Captured] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    ssrc: int | None = None
    lost: int = 0                      #: packets between the first and the last one that are missing
    left_out: Counter[str] = field(default_factory=Counter)  #: counts of data that was no packet of any stream
    doubt: str = ""                    #: why the payload is probably not Opus

    def why_empty(self) -> str:
        """Return a text about the data found instead of packets; empty if nothing was found."""
        return ", ".join(f"{count} {what}" for what, count in self.left_out.most_common(6))


@dataclass(frozen=True)
class Choice:
    """The choice of a stream: by SSRC, by the number given in the notes, or by default the one with most Opus packets.
    """

    ssrc: int | None = None
    stream: int | None = None

    def refuse(self, name: str) -> None:
        """Raise ValueError when a stream is chosen although the format has only one."""
        if self.ssrc is not None:
            raise ValueError(f"{name} has no SSRC")
        if self.stream not in (None, 1):
            raise ValueError(f"{name} has one stream, there is no number {self.stream}")


ANY = Choice()
Reader = Callable[[bytes, Choice], Capture]
