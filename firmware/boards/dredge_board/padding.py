# SPDX-License-Identifier: BSD-2-Clause
# Finds the redundancy in an Opus packet: an extension in its padding (docs/reference/bitstream.md section 1, RFC 6716
# section 3). Works on offsets, so nothing is copied.

_DRED_ID = 126


# Return (start, stop) of the data of extension 126 in packet[begin:end], None when there is none; ValueError
# when the packet contradicts itself.
def find_dred(packet, begin=0, end=None):
    end = len(packet) if end is None else end
    padding = _padding(packet, begin, end)
    if padding == 0:
        return None
    at = end - padding
    while at < end:
        head = packet[at]
        at += 1
        kind = head >> 1
        if kind == 0 and not head & 1:
            return None  # the rest is filler
        start, at = _extension(packet, at, end, kind, head & 1)
        if kind == _DRED_ID:
            return start, at
    return None


# Return (start, stop) of the payload of an extension whose first byte was read.
def _extension(packet, at, end, kind, flag):
    if kind < 32:
        size = 0 if kind == 0 else flag
    elif not flag:
        size = end - at
    else:
        size = 0
        while True:
            if at >= end:
                raise ValueError("extension %d ends inside its length" % kind)
            part = packet[at]
            at += 1
            size += part
            if part != 255:
                break
    if at + size > end:
        raise ValueError("extension %d of %d bytes does not fit the padding" % (kind, size))
    return at, at + size


# Return the bytes of padding at the end of the packet, after its length field.
def _padding(packet, begin, end):
    if end - begin < 2 or packet[begin] & 3 != 3 or not packet[begin + 1] & 0x40:
        return 0
    at = begin + 2
    size = 0
    while True:
        if at >= end:
            raise ValueError("Opus packet ends inside its padding length")
        part = packet[at]
        at += 1
        if part != 255:
            size += part
            break
        size += 254
    if at + size > end:
        raise ValueError("Opus padding of %d bytes does not fit the packet" % size)
    return size
