# SPDX-License-Identifier: BSD-2-Clause
"""Objects whose calls let go of the interpreter's lock: a second thread inside the same one would spoil its state."""


cdef inline int must_be_idle(bint busy, str what) except -1:
    """RuntimeError while another thread is inside the object."""
    if busy:
        raise RuntimeError(f"{what}: another thread is using it; every thread needs one of its own")
    return 0
