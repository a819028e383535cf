# SPDX-License-Identifier: BSD-2-Clause
"""Whether an Opus packet carries LBRR, the low-bitrate copy of what came before it."""

from __future__ import annotations

from .framing import parse_packet

_FIRST_HYBRID, _FIRST_CELT = 12, 16


def silk_frames(config: int) -> int:
    """SILK frames (at most 20 ms each) in one Opus frame; 0 for CELT (RFC 6716 section 4.2.2)."""
    if config >= _FIRST_CELT:
        return 0
    if config >= _FIRST_HYBRID:
        return 1
    return (1, 1, 2, 3)[config & 3]


def packet_has_lbrr(packet: bytes) -> bool:
    """Whether the first frame of a packet carries LBRR (RFC 6716 sections 4.2.3 and 4.2.4).

    Each channel begins with a voice activity bit per SILK frame and then its LBRR bit. All of
    them are the first symbols of the stream and have probability 1/2, so they are simply the top
    bits of the first byte. For longer frames, section 4.2.4 then says *which* SILK frames have a
    copy; "none" cannot be coded, so the one bit is the answer. False for CELT and for empty (DTX)
    frames. ValueError for a malformed packet.
    """
    parsed = parse_packet(packet)
    count = silk_frames(parsed.toc >> 3)
    if count == 0 or not parsed.frames[0]:
        return False
    first = parsed.frames[0][0]
    flags = first >> (7 - count) & 1
    if parsed.stereo:
        flags |= first >> (6 - 2 * count) & 1
    return bool(flags)
