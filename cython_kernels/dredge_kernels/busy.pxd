# SPDX-License-Identifier: BSD-2-Clause
"""A check for objects whose calls release the GIL: a second thread inside the same object would corrupt its state."""


cdef inline int must_be_idle(bint busy, str what) except -1:
    """Raise RuntimeError while another thread is inside the object."""
    if busy:
        raise RuntimeError(f"{what}: another thread is using it; every thread needs one of its own")
    return 0
