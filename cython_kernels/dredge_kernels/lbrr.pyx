# SPDX-License-Identifier: BSD-2-Clause
"""Whether an Opus packet carries LBRR, the low-bitrate copy of the frame before it."""

from libc.stdint cimport uint8_t

from dredge_kernels.layout cimport Layout, require

cdef enum:
    FIRST_HYBRID = 12
    FIRST_CELT = 16
    STEREO = 4


cdef int silk_count(int config) noexcept nogil:
    """SILK frames (at most 20 ms each) in one Opus frame; 0 for CELT (RFC 6716 section 4.2.2)."""
    if config >= FIRST_CELT:
        return 0
    if config >= FIRST_HYBRID:
        return 1
    return max(1, config & 3)


def silk_frames(config):
    """SILK frames (at most 20 ms each) in one Opus frame of a configuration 0 to 31; 0 for CELT."""
    return silk_count(config)


def packet_has_lbrr(packet):
    """Whether the first frame of a packet carries LBRR (RFC 6716 sections 4.2.3 and 4.2.4).

    Each channel begins with a voice activity bit per SILK frame and then its LBRR bit. All of
    them are the first symbols of the stream and have probability 1/2, so they are simply the top
    bits of the first byte. For longer frames, section 4.2.4 then says *which* SILK frames have a
    copy; "none" cannot be coded, so the one bit is the answer. False for CELT and for empty (DTX)
    frames. ValueError for a malformed packet.
    """
    cdef bytes data = bytes(packet)
    cdef const uint8_t *at = <const uint8_t *><const char *>data
    cdef Layout found
    cdef int count, first, flags
    require(at, len(data), &found)
    count = silk_count(found.toc >> 3)
    if count == 0 or found.size[0] == 0:
        return False
    first = at[found.at[0]]
    flags = first >> (7 - count) & 1
    if found.toc & STEREO:
        flags |= first >> (6 - 2 * count) & 1
    return bool(flags)
