# SPDX-License-Identifier: BSD-2-Clause
"""The positions of the fields of an Opus packet (RFC 6716 section 3); every received packet passes through here."""

cdef enum:
    LARGEST_FRAME = 1275
    LONGEST_48K = 5760         # 120 ms
    TWO_BYTES = 252            # frame lengths from here on take two bytes
    MORE_PADDING = 255         # a padding length byte of this value stands for 254 and another follows
    VBR = 0x80
    PADDED = 0x40

# Sentences of the defects that lay_out finds, by number; the first has no number.
DEFECTS = (
    "",
    "packet: expected at least 1 byte, got 0",
    "code 1 packet: expected two equal frames, got {got} bytes",
    "frame length: expected a byte, got the end of the packet",
    "frame length: expected a second byte, got the end of the packet",
    "frame length: expected at most {expected} bytes, got {got}",
    "frame count: expected a byte, got the end of the packet",
    "frame count: expected 1 to 48 frames of at most 120 ms, got {got}",
    "padding length: expected a byte, got the end of the packet",
    "padding: expected at most {expected} bytes, got {got}",
    "frames: expected {expected} of one size, got {got} bytes",
    "frame: expected at most {expected} bytes, got {got}",
)

cdef enum:
    GOOD, EMPTY, ODD, NO_LENGTH, HALF_LENGTH, LENGTH, NO_COUNT, COUNT, NO_PADDING_LENGTH, PADDING, UNEQUAL, FRAME


cdef int frame_samples(int toc) noexcept nogil:
    """Samples of one frame at 48 kHz by its TOC byte (RFC 6716 table 2)."""
    cdef int config = toc >> 3
    if config < 12:
        return 480 if config & 3 == 0 else 960 * (config & 3)
    if config < 16:
        return 480 << (config & 1)
    return 120 << (config & 3)


cdef inline Defect defect(int number, long expected, long got) noexcept nogil:
    cdef Defect d
    d.number, d.expected, d.got = number, expected, got
    return d


cdef inline int frame_length(const uint8_t *data, long size, long *at, int *length) noexcept nogil:
    """Read a length of one or two bytes; returns the number of a defect."""
    if at[0] >= size:
        return NO_LENGTH
    length[0] = data[at[0]]
    at[0] += 1
    if length[0] >= TWO_BYTES:
        if at[0] >= size:
            return HALF_LENGTH
        length[0] += 4 * data[at[0]]
        at[0] += 1
    return GOOD


cdef Defect lay_out(const uint8_t *data, long size, Layout *found) noexcept nogil:
    """Find the positions of all fields of a packet; reads no byte beyond its size."""
    cdef long at = 1, half
    cdef int length = 0, bad, code
    if size < 1:
        return defect(EMPTY, 1, 0)
    found.toc, found.padding, found.padding_at = data[0], -1, 0
    code = found.toc & 3
    if code == 3:
        return lay_out_many(data, size, found)
    found.count = 1 if code == 0 else 2
    if code == 1:
        half = (size - 1) // 2
        if (size - 1) % 2:
            return defect(ODD, 0, size - 1)
        length = <int>min(half, LARGEST_FRAME + 1)
    elif code == 2:
        bad = frame_length(data, size, &at, &length)
        if bad:
            return defect(bad, 0, 0)
        if length > size - at:
            return defect(LENGTH, size - at, length)
    if code:
        found.at[0], found.size[0] = <int>at, length
        at += length
        found.at[1] = <int>at
    else:
        found.at[0] = <int>at
    if max(size - at, length) > LARGEST_FRAME:
        return defect(FRAME, LARGEST_FRAME, max(size - at, length))
    found.size[found.count - 1] = <int>(size - at)
    return defect(GOOD, 0, 0)


cdef Defect lay_out_many(const uint8_t *data, long size, Layout *found) noexcept nogil:
    """Find the positions in a packet of code 3: a count, optional padding, frames of equal or different sizes."""
    cdef long at = 2, pad = 0, total = 0, room
    cdef int k, bad, flags, length = 0
    if size < 2:
        return defect(NO_COUNT, 0, 0)
    flags = data[1]
    found.count = flags & 0x3F
    if not 1 <= found.count <= MOST_FRAMES or found.count * frame_samples(found.toc) > LONGEST_48K:
        return defect(COUNT, 0, found.count)
    if flags & PADDED:
        length = MORE_PADDING
        while length == MORE_PADDING:
            if at >= size:
                return defect(NO_PADDING_LENGTH, 0, 0)
            length = data[at]
            pad += min(length, MORE_PADDING - 1)
            at += 1
    if flags & VBR:
        for k in range(found.count - 1):
            bad = frame_length(data, size, &at, &found.size[k])
            if bad:
                return defect(bad, 0, 0)
            total += found.size[k]
    room = size - at
    if pad + total > room:
        return defect(PADDING, room, pad + total)
    room -= pad
    if flags & VBR:
        found.size[found.count - 1] = <int>min(room - total, LARGEST_FRAME + 1)
    elif room % found.count:
        return defect(UNEQUAL, found.count, room)
    else:
        for k in range(found.count):
            found.size[k] = <int>min(room // found.count, LARGEST_FRAME + 1)
    for k in range(found.count):
        if found.size[k] > LARGEST_FRAME:
            return defect(FRAME, LARGEST_FRAME, room - total if flags & VBR else room // found.count)
        found.at[k] = <int>at
        at += found.size[k]
    if flags & PADDED:
        found.padding, found.padding_at = <int>pad, <int>at
    return defect(GOOD, 0, 0)


cdef int require(const uint8_t *data, long size, Layout *found) except -1:
    """lay_out for callers with the GIL: ValueError naming the field, what it should be and what it is."""
    cdef Defect d = lay_out(data, size, found)
    if d.number:
        raise ValueError(DEFECTS[d.number].format(expected=d.expected, got=d.got))
    return 0
