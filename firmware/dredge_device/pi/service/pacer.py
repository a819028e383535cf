# SPDX-License-Identifier: BSD-2-Clause
"""Absolute deadlines every 20 ms, and how well they were met."""

import time
from collections.abc import Callable
from typing import Any

from dredge_device.budget import Histogram
from dredge_device.units import PACKET_US

_PERIOD = PACKET_US / 1e6
_STALL = 10  # this many periods behind, the deadlines start anew instead of being caught up


class Pacer:
    """``wait`` sleeps until the next deadline; deadlines do not drift with the work done."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._due = clock()
        self.restart()

    def restart(self) -> None:
        """Count from here; the deadlines stay where they are."""
        self.late = Histogram()  # microseconds between deadline and waking up
        self.missed = 0  # periods whose work was not done when the next one was due
        self.stalls = 0

    def wait(self) -> None:
        """Returns at the next deadline, or at once when it has passed."""
        self._due += _PERIOD
        ahead = self._due - self._clock()
        if ahead > 0:
            self._sleep(ahead)
        else:
            self.missed += 1
            if ahead < -_STALL * _PERIOD:
                self.stalls += 1
                self._due = self._clock()
        self.late.add(max(0, round((self._clock() - self._due) * 1e6)))

    def report(self) -> dict[str, Any]:
        """Wake-up lateness, missed deadlines and stalls as JSON values."""
        out = {f"wake_{name}": value for name, value in self.late.summary().items()}
        return {**out, "missed_deadlines": self.missed, "stalls": self.stalls}
