# SPDX-License-Identifier: BSD-2-Clause
"""Opus packets taken apart and put together again (RFC 6716 section 3): TOC, frames, padding.

No kernel has a list comprehension: Cython 3.3 frees the element twice when the list cannot grow.
"""

from libc.stdint cimport uint8_t

from dredge_kernels.layout cimport Layout, frame_samples, require

MAX_FRAME_BYTES = 1275
MAX_FRAMES = 48
MAX_PACKET_48K = 5760          # 120 ms

cdef enum:
    TWO_BYTES = 252            # frame lengths from here on take two bytes
    MORE_PADDING = 255         # a padding length byte of this value stands for 254 and another follows
    VBR = 0x80
    PADDED = 0x40


def frame_samples_48k(toc):
    """Samples of one frame at 48 kHz by its TOC byte (RFC 6716 table 2)."""
    return frame_samples(toc)


cdef class Packet:
    """An Opus packet: its TOC byte, its compressed frames, its padding (None without any)."""

    cdef readonly int toc
    cdef readonly tuple frames
    cdef readonly bytes padding

    def __init__(self, toc, frames, padding=None):
        self.toc, self.frames, self.padding = toc, tuple(frames), padding

    @property
    def stereo(self):
        """Whether the frames are stereo."""
        return bool(self.toc & 4)

    @property
    def samples_48k(self):
        """Duration of all frames in samples at 48 kHz."""
        return len(self.frames) * frame_samples(self.toc)


def parse_packet(packet):
    """Take a packet apart; ValueError naming the field, what it should be and what it is."""
    cdef bytes data = bytes(packet)
    cdef Layout found
    cdef int k
    require(<const uint8_t *><const char *>data, len(data), &found)
    cdef list frames = []
    for k in range(found.count):
        frames.append(data[found.at[k]:found.at[k] + found.size[k]])
    padding = None if found.padding < 0 else data[found.padding_at:]
    return Packet(found.toc, frames, padding)


def build_packet(toc, frames, padding=None):
    """The smallest packet of these frames; with padding (even empty) it is of code 3."""
    check_frames(toc, frames)
    equal = len({len(frame) for frame in frames}) == 1
    base = toc & 0xFC
    body = b"".join(frames)
    if padding is None and len(frames) == 1:
        return bytes([base]) + body
    if padding is None and len(frames) == 2:
        if equal:
            return bytes([base | 1]) + body
        return bytes([base | 2]) + length_bytes(len(frames[0])) + body
    head = bytes([base | 3, len(frames) | (0 if equal else VBR) | (0 if padding is None else PADDED)])
    if padding is not None:
        head += padding_length(len(padding))
    if not equal:
        for frame in frames[:len(frames) - 1]:
            head += length_bytes(len(frame))
    return head + body + (padding or b"")


cdef int check_frames(toc, frames) except -1:
    if not 1 <= len(frames) <= MAX_FRAMES:
        raise ValueError(f"frames: expected 1 to {MAX_FRAMES}, got {len(frames)}")
    if len(frames) * frame_samples(toc) > MAX_PACKET_48K:
        raise ValueError(f"frames: expected at most 120 ms, got {len(frames)} frames")
    for frame in frames:
        if len(frame) > MAX_FRAME_BYTES:
            raise ValueError(f"frame: expected at most {MAX_FRAME_BYTES} bytes, got {len(frame)}")
    return 0


cdef bytes length_bytes(int size):
    if size < TWO_BYTES:
        return bytes([size])
    first = TWO_BYTES + (size & 3)
    return bytes([first, (size - first) >> 2])


cdef bytes padding_length(Py_ssize_t size):
    if size == 0:
        return b"\0"
    more = (size - 1) // (MORE_PADDING - 1)
    return b"\xff" * more + bytes([size - (MORE_PADDING - 1) * more])
