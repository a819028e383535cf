# SPDX-License-Identifier: BSD-2-Clause
"""The device's time: integer microseconds of the monotonic clock."""

import time


def monotonic_us() -> int:
    """Return the microseconds of the monotonic clock."""
    return time.monotonic_ns() // 1000


def microseconds(seconds: float) -> int:
    """Return seconds as whole microseconds, rounded to the nearest."""
    return round(seconds * 1e6)
