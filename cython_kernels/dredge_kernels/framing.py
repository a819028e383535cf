# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets taken apart and put together again (RFC 6716 section 3): TOC, frames, padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MAX_FRAME_BYTES = 1275
MAX_FRAMES = 48
MAX_PACKET_48K = 5760  # 120 ms

_SILK_48K = (480, 960, 1920, 2880)
_HYBRID_48K = (480, 960)
_CELT_48K = (120, 240, 480, 960)


def frame_samples_48k(toc: int) -> int:
    """Samples of one frame at 48 kHz by its TOC byte (RFC 6716 table 2)."""
    config = toc >> 3
    if config < 12:
        return _SILK_48K[config & 3]
    if config < 16:
        return _HYBRID_48K[config & 1]
    return _CELT_48K[config & 3]


@dataclass(frozen=True, slots=True)
class Packet:
    """An Opus packet: its TOC byte, its compressed frames, its padding (None without any)."""

    toc: int
    frames: tuple[bytes, ...]
    padding: bytes | None = None

    @property
    def stereo(self) -> bool:
        """Whether the frames are stereo."""
        return bool(self.toc & 4)

    @property
    def samples_48k(self) -> int:
        """Duration of all frames in samples at 48 kHz."""
        return len(self.frames) * frame_samples_48k(self.toc)


def parse_packet(packet: bytes) -> Packet:
    """Take a packet apart; ValueError naming the field, what it should be and what it is."""
    data = bytes(packet)
    if not data:
        raise ValueError("packet: expected at least 1 byte, got 0")
    toc, body = data[0], data[1:]
    code = toc & 3
    padding: bytes | None = None
    if code == 0:
        frames = [body]
    elif code == 1:
        if len(body) % 2:
            raise ValueError(f"code 1 packet: expected two equal frames, got {len(body)} bytes")
        frames = [body[: len(body) // 2], body[len(body) // 2 :]]
    elif code == 2:
        size, used = _frame_length(body, 0)
        frames = [body[used : used + size], body[used + size :]]
        _check_room("frame length", size, len(body) - used)
    else:
        frames, padding = _parse_code3(toc, body)
    for frame in frames:
        if len(frame) > MAX_FRAME_BYTES:
            raise ValueError(f"frame: expected at most {MAX_FRAME_BYTES} bytes, got {len(frame)}")
    return Packet(toc, tuple(frames), padding)


def build_packet(toc: int, frames: Sequence[bytes], padding: bytes | None = None) -> bytes:
    """The smallest packet of these frames; with padding (even empty) it is of code 3."""
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"frames: expected 1 to {MAX_FRAMES}, got {len(frames)}")
    if len(frames) * frame_samples_48k(toc) > MAX_PACKET_48K:
        raise ValueError(f"frames: expected at most 120 ms, got {len(frames)} frames")
    for frame in frames:
        if len(frame) > MAX_FRAME_BYTES:
            raise ValueError(f"frame: expected at most {MAX_FRAME_BYTES} bytes, got {len(frame)}")
    equal = len({len(frame) for frame in frames}) == 1
    base = toc & 0xFC
    body = b"".join(frames)
    if padding is None and len(frames) == 1:
        return bytes([base]) + body
    if padding is None and len(frames) == 2:
        if equal:
            return bytes([base | 1]) + body
        return bytes([base | 2]) + _length_bytes(len(frames[0])) + body
    count = len(frames) | (0 if equal else 0x80) | (0 if padding is None else 0x40)
    head = bytes([base | 3, count])
    if padding is not None:
        head += _padding_length(len(padding))
    if not equal:
        head += b"".join(_length_bytes(len(frame)) for frame in frames[:-1])
    return head + body + (padding or b"")


def _parse_code3(toc: int, body: bytes) -> tuple[list[bytes], bytes | None]:
    if not body:
        raise ValueError("frame count: expected a byte, got the end of the packet")
    count = body[0] & 0x3F
    if not 1 <= count <= MAX_FRAMES or count * frame_samples_48k(toc) > MAX_PACKET_48K:
        raise ValueError(f"frame count: expected 1 to 48 frames of at most 120 ms, got {count}")
    at, pad = 1, 0
    if body[0] & 0x40:
        pad, at = _read_padding_length(body, at)
    sizes: list[int] = []
    if body[0] & 0x80:
        for _ in range(count - 1):
            size, at = _frame_length(body, at)
            sizes.append(size)
    _check_room("padding", pad + sum(sizes), len(body) - at)
    end = len(body) - pad
    if body[0] & 0x80:
        sizes.append(end - at - sum(sizes))
    else:
        if (end - at) % count:
            raise ValueError(f"frames: expected {count} of one size, got {end - at} bytes")
        sizes = [(end - at) // count] * count
    frames = []
    for size in sizes:
        frames.append(body[at : at + size])
        at += size
    return frames, body[end:] if body[0] & 0x40 else None


def _frame_length(body: bytes, at: int) -> tuple[int, int]:
    """Length of a frame in one or two bytes, and where the next field begins."""
    if at >= len(body):
        raise ValueError("frame length: expected a byte, got the end of the packet")
    if body[at] < 252:
        return body[at], at + 1
    if at + 1 >= len(body):
        raise ValueError("frame length: expected a second byte, got the end of the packet")
    return body[at] + 4 * body[at + 1], at + 2


def _length_bytes(size: int) -> bytes:
    if size < 252:
        return bytes([size])
    first = 252 + (size & 3)
    return bytes([first, (size - first) >> 2])


def _read_padding_length(body: bytes, at: int) -> tuple[int, int]:
    total = 0
    while True:
        if at >= len(body):
            raise ValueError("padding length: expected a byte, got the end of the packet")
        value = body[at]
        at += 1
        total += min(value, 254)  # 255: 254 bytes, and another length byte follows
        if value < 255:
            return total, at


def _padding_length(size: int) -> bytes:
    if size == 0:
        return b"\0"
    more = (size - 1) // 254
    return b"\xff" * more + bytes([size - 254 * more])


def _check_room(field: str, need: int, room: int) -> None:
    if need > room:
        raise ValueError(f"{field}: expected at most {room} bytes, got {need}")
