# SPDX-License-Identifier: BSD-2-Clause
"""A tick every 20 ms, and the statistics of late wake-ups."""

import time
from collections.abc import Callable

from dredge_device.budget import summary
from dredge_device.pi.clock import monotonic_us
from dredge_device.units import PACKET_US
from dredge_kernels.histogram import Histogram

_STALL = 10  # beyond this many periods the ticks restart instead of being caught up


class Pacer:
    """A clock of ticks; ``due_us`` is the next one. Ticks do not drift with the work done between them."""

    def __init__(
        self, clock: Callable[[], int] = monotonic_us, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self.ticked_us = clock()  # the last tick
        self.due_us = self.ticked_us + PACKET_US
        self.restart()

    def restart(self) -> None:
        """Restart the counts; the ticks are unchanged."""
        self.late = Histogram()  # microseconds between a tick that was slept for and waking up
        self.missed = 0  # ticks that had passed when ``wait`` was called
        self.stalls = 0

    def wait(self) -> None:
        """Return at the next tick, or at once when it has passed."""
        self.missed += not self.sleep()
        self.passed()

    def sleep(self) -> bool:
        """Sleep until the next tick; False when that has passed."""
        ahead_us = self.due_us - self._clock()
        if ahead_us <= 0:
            return False
        self._sleep(ahead_us / 1e6)
        self.late.add(max(0, self._clock() - self.due_us))
        return True

    def passed(self) -> bool:
        """Return True once for every tick that has passed, or only for the last one when far behind."""
        behind_us = self._clock() - self.due_us
        if behind_us < 0:
            return False
        if behind_us > _STALL * PACKET_US:
            self.stalls += 1
            self.due_us += behind_us // PACKET_US * PACKET_US
        self.ticked_us = self.due_us
        self.due_us += PACKET_US
        return True

    def session(self, late: int) -> dict[str, float]:
        """Return the report of a session with ``late`` late periods, and restart the counts."""
        self.missed = late
        report = self.report()
        self.restart()
        return report

    def report(self) -> dict[str, float]:
        """Return the wake-up lateness, missed deadlines and stalls as JSON values."""
        out = {f"wake_{name}": value for name, value in summary(self.late).items()}
        return {**out, "missed_deadlines": self.missed, "stalls": self.stalls}
