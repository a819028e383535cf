# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the Opus packet parser: positions only, no copies, no Python objects."""

from libc.stdint cimport uint8_t

cdef enum:
    MOST_FRAMES = 48


cdef struct Layout:
    int toc                    # TOC byte
    int count                  # frames, [1, 48]
    int padding                # bytes of padding, -1 in a packet without
    int padding_at             # where they begin
    int[48] at                 # where each frame begins
    int[48] size               # its bytes, [0, 1275]


cdef struct Defect:
    int number                 # 0: the packet is well formed; else the sentence to raise
    long expected
    long got


cdef int frame_samples(int toc) noexcept nogil
cdef Defect lay_out(const uint8_t *data, long size, Layout *found) noexcept nogil
cdef int require(const uint8_t *data, long size, Layout *found) except -1
