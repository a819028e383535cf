# SPDX-License-Identifier: BSD-2-Clause
"""The time inside the device: integer microseconds of the monotonic clock."""

import time


def monotonic_us() -> int:
    """Microseconds of the monotonic clock."""
    return time.monotonic_ns() // 1000


def microseconds(seconds: float) -> int:
    """Seconds as whole microseconds, rounded to the nearest."""
    return round(seconds * 1e6)
