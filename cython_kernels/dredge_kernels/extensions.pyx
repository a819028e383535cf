# SPDX-License-Identifier: BSD-2-Clause
"""Extensions in the padding of Opus packets (draft-ietf-mlcodec-opus-extension-05): read, write, strip.

A decoder that knows nothing of them skips the padding (RFC 6716 section 3.2.5), so that a packet
with extensions sounds exactly like the packet without.
"""

from collections import namedtuple

from libc.stdint cimport uint8_t

from dredge_kernels.layout cimport Layout, require

from dredge_kernels.framing import build_packet, parse_packet

Extension = namedtuple("Extension", ("id", "frame", "data"))

MIN_ID = 3                     # ids below are filler, separator and repetition
MAX_ID = 127
MAX_EXTENSIONS = 4096          # a repetition costs less bytes than it makes extensions

cdef enum:
    PADDING = 0                # one filler byte, or everything up to the end
    SEPARATOR = 1              # the extensions that follow belong to a later frame
    REPEAT = 2                 # the extensions of this frame once more for every later one
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


cdef class Reader:
    """Reads one padding from left to right; `extension` interprets the first byte of each extension."""

    cdef bytes data
    cdef Py_ssize_t at, end
    cdef int frame, frames
    cdef list found
    cdef list region           # (id, L) since the last separator with an increment, filler left out

    def __init__(self, data, frames):
        self.data = bytes(data)
        self.at, self.end = 0, len(self.data)
        self.frame, self.frames = 0, frames
        self.found, self.region = [], []

    cdef list read(self):
        cdef int ident, flag
        while self.at < self.end:
            ident = <unsigned char>self.data[self.at] >> 1
            flag = <unsigned char>self.data[self.at] & 1
            self.at += 1
            if ident == PADDING:
                if flag == 0:
                    break
            elif ident == SEPARATOR:
                self.separate(flag)
            elif ident == REPEAT:
                self.repeat(flag)
            else:
                self.extension(ident, flag, self.frame, 0)
                self.region.append((ident, flag))
        return self.found

    cdef separate(self, int flag):
        """Go on to a later frame; an increment of 0 changes nothing."""
        cdef int step = 1
        if flag:
            if self.at >= self.end:
                raise ValueError("frame separator: expected an increment, got the end of the padding")
            step = <unsigned char>self.data[self.at]
            self.at += 1
        if step == 0:
            return
        if self.frame + step >= self.frames:
            raise ValueError(f"frame separator: expected a frame below {self.frames}, got {self.frame + step}")
        self.frame += step
        self.region = []

    cdef repeat(self, int flag):
        """The region's extensions once more for every later frame; only their payloads follow.

        With L = 0 the last extension of the last frame that has a length carries no length field: it ends where the
        payloads of the short ones behind it begin.
        """
        cdef int frame, ident, given, last_long = -1, short_bytes = 0, index
        region = self.region
        for index, (ident, given) in enumerate(region):
            if ident >= FIRST_LONG:
                last_long, short_bytes = index, 0
            else:
                short_bytes += given
        for frame in range(self.frame + 1, self.frames):
            for index, (ident, given) in enumerate(region):
                if flag == 0 and frame == self.frames - 1 and index == last_long:
                    self.extension(ident, 0, frame, short_bytes)
                else:
                    self.extension(ident, given, frame, 0)
        self.region = []
        if flag == 0:
            self.frame += 1
            if self.frame >= self.frames:
                self.at = self.end     # whatever is left is padding

    cdef extension(self, int ident, int flag, int frame, Py_ssize_t behind):
        """Read an extension whose first byte was read. behind: bytes at the end that belong to later extensions."""
        cdef Py_ssize_t size, left
        if ident < FIRST_LONG:
            size = flag
        elif flag:
            size, self.at = read_length(self.data, self.at, self.end)
        else:
            size = self.end - self.at - behind
        left = self.end - self.at
        if not 0 <= size <= left:
            raise ValueError(f"extension {ident}: expected at most {left} bytes, got {size if size >= 0 else behind}")
        if len(self.found) >= MAX_EXTENSIONS:
            raise ValueError(f"extensions: expected at most {MAX_EXTENSIONS}, got more")
        self.found.append(Extension(ident, frame, self.data[self.at:self.at + size]))
        self.at += size


def parse_extensions(padding, frames=1):
    """Return the extensions in the padding bytes of a packet of `frames` frames, in the order of their bytes.

    Repeated ones (id 2) are there for every frame that they stand for. Raises ValueError for a length, a frame or a number
    of extensions (MAX_EXTENSIONS) that cannot be. Source: draft-ietf-mlcodec-opus-extension-05.
    """
    cdef Reader reader = Reader(padding, frames)
    return reader.read()


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
    """Raise ValueError for an extension that a packet of `frames` frames cannot carry."""
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
