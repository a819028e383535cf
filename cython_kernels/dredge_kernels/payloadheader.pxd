# SPDX-License-Identifier: BSD-2-Clause
"""C interface of the payload header."""

from dredge_kernels.rangecore cimport RangeDec, RangeEnc


cdef struct Header:
    int q0                     # [0, 15]
    int dq                     # [0, 7]
    int qmax                   # (q0, 15]; 15 where it is not coded
    int offset                 # [-8175, 16], 2.5 ms units
    int count                  # latents, [0, 26]; -1 where the format does not code it


cdef void put_header(RangeEnc *e, const Header *h) noexcept nogil
cdef void get_header(RangeDec *d, Header *h, bint counted) noexcept nogil
cdef bint has_qmax(int q0, int dq) noexcept nogil
