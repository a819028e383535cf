# SPDX-License-Identifier: BSD-2-Clause
from collections.abc import Sequence

MAX_FRAME_BYTES: int
MAX_FRAMES: int
MAX_PACKET_48K: int

def frame_samples_48k(toc: int) -> int:
    """Return the samples of one frame at 48 kHz by its TOC byte (RFC 6716 table 2)."""

class Packet:
    """An Opus packet: its TOC byte, its compressed frames, its padding (None without any)."""

    toc: int
    frames: tuple[bytes, ...]
    padding: bytes | None

    def __init__(self, toc: int, frames: Sequence[bytes], padding: bytes | None = None) -> None: ...
    @property
    def stereo(self) -> bool:
        """Whether the frames are stereo."""

    @property
    def samples_48k(self) -> int:
        """Duration of all frames in samples at 48 kHz."""

def parse_packet(packet: bytes) -> Packet:
    """Take a packet apart; ValueError naming the field, what it should be and what it is."""

def build_packet(toc: int, frames: Sequence[bytes], padding: bytes | None = None) -> bytes:
    """Return the smallest packet of these frames; with padding (even empty) it is of code 3.

    ValueError for frames that RFC 6716 does not allow: none, more than 48 or 120 ms, above 1275 bytes.
    """
