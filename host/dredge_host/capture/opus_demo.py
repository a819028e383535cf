# SPDX-License-Identifier: BSD-2-Clause
"""`opus_demo` bit files: per packet its length and the encoder's final range (both u32 big endian), then its bytes."""

from __future__ import annotations

import struct

from dredge_host.capture.packets import ANY, FORMATS, Capture, Captured, Choice

_HEAD = struct.Struct(">II")
MAX_PACKET = 1276 * 48       # above the largest packet of RFC 6716


def read(data: bytes, choice: Choice = ANY) -> Capture:
    """Return the packets of a bit file. Raises ValueError for bytes that are none."""
    choice.refuse("an opus_demo file")
    capture = Capture("opus_demo")
    at = 0
    while at < len(data):
        left = len(data) - at - _HEAD.size
        size = _HEAD.unpack_from(data, at)[0] if left >= 0 else 0
        if size > MAX_PACKET:
            raise ValueError(f"not {FORMATS}: at byte {at} a packet of {size} bytes")
        if left < size:
            _cut(capture, size - left)
            break
        at += _HEAD.size + size
        capture.packets.append(Captured(data[at - size : at]))
    return capture


def _cut(capture: Capture, missing: int) -> None:
    """Note that the last packet is incomplete. Raises ValueError where it is the first: then this is another kind of
    file.
    """
    if not capture.packets:
        raise ValueError(f"not {FORMATS}")
    capture.notes.append(f"the file ends inside a packet ({missing} bytes are missing)")


def write(packets: list[tuple[bytes, int]]) -> bytes:
    """Return the bit file of (packet, final range of its encoder); range 0 means unknown and is not checked by the
    decoder.
    """
    return b"".join(_HEAD.pack(len(packet), final_range) + packet for packet, final_range in packets)
