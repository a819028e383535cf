# SPDX-License-Identifier: BSD-2-Clause
"""Extensions in the padding of Opus packets (draft-ietf-mlcodec-opus-extension): read, write, strip.

A decoder that knows nothing of them skips the padding (RFC 6716 section 3.2.5), so that a packet
with extensions sounds exactly like the packet without.
"""

from collections import namedtuple

from libc.stdint cimport uint8_t

from dredge_kernels.layout cimport Layout, require

from dredge_kernels.framing import build_packet, parse_packet

Extension = namedtuple("Extension", ("id", "frame", "data"))

MIN_ID = 2
MAX_ID = 127

cdef enum:
    PADDING = 0                # one filler byte, or everything up to the end
    SEPARATOR = 1              # the extensions that follow belong to a later frame
    FIRST_LONG = 32            # from here on extensions have a length


cdef tuple read_length(bytes data, Py_ssize_t at, Py_ssize_t end):
    """Length in lacing bytes (255: more to come) and where the payload begins."""
    cdef Py_ssize_t total = 0
    cdef unsigned char value = 255
    while value == 255:
        if at >= end:
            raise ValueError("extension length: expected a byte, got the end of the padding")
        value = data[at]
        total += value
        at += 1
    return total, at


cdef bytes length_bytes(Py_ssize_t size):
    return b"\xff" * (size // 255) + bytes([size % 255])


def parse_extensions(padding, frames=1):
    """Extensions in padding bytes of a packet of `frames` frames, in their order."""
    cdef bytes data = bytes(padding)
    cdef Py_ssize_t at = 0, end = len(data), size
    cdef int ident, flag, frame = 0
    found = []
    while at < end:
        ident = <unsigned char>data[at] >> 1
        flag = <unsigned char>data[at] & 1
        at += 1
        if ident == PADDING:
            if flag == 0:
                break
            continue
        if ident == SEPARATOR:
            frame, at = next_frame(data, at, end, frame, flag, frames)
            continue
        if ident < FIRST_LONG:
            size = flag
        elif flag:
            size, at = read_length(data, at, end)
        else:
            size = end - at
        if size > end - at:
            raise ValueError(f"extension {ident}: expected at most {end - at} bytes, got {size}")
        found.append(Extension(ident, frame, data[at:at + size]))
        at += size
    return found


cdef tuple next_frame(bytes data, Py_ssize_t at, Py_ssize_t end, int frame, int flag, int frames):
    cdef int step = 1
    if flag:
        if at >= end:
            raise ValueError("frame separator: expected an increment, got the end of the padding")
        step = <unsigned char>data[at]
        at += 1
    if frame + step >= frames:
        raise ValueError(f"frame separator: expected a frame below {frames}, got {frame + step}")
    return frame + step, at


def build_extensions(extensions, frames=1):
    """Padding bytes holding the extensions, ordered by frame; exactly as long as needed."""
    ordered = sorted(extensions, key=lambda extension: extension.frame)
    out = bytearray()
    at = 0
    for index, (ident, frame, data) in enumerate(ordered):
        check_extension(ident, data, frame, frames)
        if frame == at + 1:
            out.append(SEPARATOR << 1)
        elif frame > at:
            out += bytes([SEPARATOR << 1 | 1, frame - at])
        at = frame
        if ident < FIRST_LONG:
            out.append(ident << 1 | len(data))
        elif index == len(ordered) - 1:       # the last one runs to the end of the padding
            out.append(ident << 1)
        else:
            out.append(ident << 1 | 1)
            out += length_bytes(len(data))
        out += data
    return bytes(out)


def check_extension(ident, data, frame, frames):
    """ValueError for an extension that a packet of `frames` frames cannot carry."""
    if not MIN_ID <= ident <= MAX_ID:
        raise ValueError(f"extension id: expected {MIN_ID} to {MAX_ID}, got {ident}")
    if not 0 <= frame < frames:
        raise ValueError(f"extension frame: expected 0 to {frames - 1}, got {frame}")
    if ident < FIRST_LONG and len(data) > 1:
        raise ValueError(f"extension {ident}: expected 0 or 1 byte, got {len(data)}")


def read_extensions(packet):
    """Extensions of an Opus packet; an empty list when it has none."""
    cdef bytes data = bytes(packet)
    cdef Layout found
    require(<const uint8_t *><const char *>data, len(data), &found)
    if found.padding <= 0:
        return []
    return parse_extensions(data[found.padding_at:], found.count)


def add_extension(packet, ext_id, data, frame=0):
    """The packet as code 3 with one more extension in its padding.

    Extensions already there are kept, in front of the new one in the same frame; filler is not.
    The frames are not touched. Nothing is added but the bytes that the extension needs.
    """
    parsed = parse_packet(packet)
    kept = parse_extensions(parsed.padding or b"", len(parsed.frames))
    check_extension(ext_id, data, frame, len(parsed.frames))
    kept.append(Extension(ext_id, frame, bytes(data)))
    return build_packet(parsed.toc, parsed.frames, build_extensions(kept, len(parsed.frames)))


def strip_padding(packet):
    """The same frames in the smallest packet without padding; a packet without is returned as is."""
    parsed = parse_packet(packet)
    if parsed.padding is None:
        return bytes(packet)
    return build_packet(parsed.toc, parsed.frames)
