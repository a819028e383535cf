# SPDX-License-Identifier: BSD-2-Clause
"""The lead of rendering over the output: when periods must be handed out, and which were ready too late."""

from dredge_device.pi.schema.report import QueuePart
from dredge_device.units import PACKET_US

LONGEST_US = 25 * PACKET_US  # finished periods that wait at most: half a second
LONGEST_RESERVE_US = 15 * PACKET_US  # longest time that a period is rendered before its turn
_BEHIND_US = 10 * PACKET_US  # beyond this delay the times restart instead of being caught up


class RenderQueue:
    """The times of one stream's finished periods; their samples are with the output.

    A period belongs to a time on a grid of 20 ms. It is late when it was not ready 20 ms after that time, when the next
    one has to be handed out. Times are microseconds of the device's monotonic clock.
    """

    def __init__(self) -> None:
        self.next_us: int | None = None  # time of the period that is rendered next
        self.reserve_us = 0  # an open period is rendered this long before its time with the packets at hand
        self.periods = 0  # rendered periods of the stream
        self.late = 0
        self.underruns = 0  # runs of late periods
        self.stalls = 0  # restarts of the times
        self._latest_us = 0
        self._total = self._most = 0
        self._least: int | None = None
        self._longest_reserve_us = 0
        self._dry = False

    @property
    def begun(self) -> bool:
        """True once there is a time for the next period."""
        return self.next_us is not None

    def begin(self, now_us: int) -> None:
        """Start with the period of this moment if not started, or restart when rendering is too far behind."""
        if self.next_us is None:
            self.next_us = now_us
        elif now_us - self.next_us > _BEHIND_US:
            missed = (now_us - self.next_us) // PACKET_US
            self.next_us += missed * PACKET_US
            self.stalls += 1
            if self.periods:
                self.late += missed
                self.underruns += not self._dry
                self._dry = True

    def ahead_us(self, now_us: int) -> int:
        """Return how long the finished periods last from now on; negative when one is missing already."""
        return 0 if self.next_us is None else self.next_us - now_us

    def deadline_us(self) -> int:
        """Return the time at which the next period must be ready."""
        return (self.next_us or 0) + PACKET_US

    def finished(self, now_us: int, of_stream: bool) -> int:
        """Count one more finished period and return its time; of_stream: it belongs to the stream."""
        assert self.next_us is not None
        at_us, self.next_us = self.next_us, self.next_us + PACKET_US
        if of_stream:
            self._count(max(0, at_us - now_us) // PACKET_US, now_us - at_us - PACKET_US)
        return at_us

    def _count(self, length: int, late_us: int) -> None:
        self.periods += 1
        self._total += length
        self._most = max(self._most, length)
        self._least = length if self._least is None else min(self._least, length)
        self._longest_reserve_us = max(self._longest_reserve_us, self.reserve_us)
        if late_us > 0:
            self.late += 1
            self.underruns += not self._dry
            self._latest_us = max(self._latest_us, late_us)
        self._dry = late_us > 0

    def report(self) -> QueuePart:
        """Return plain JSON values; length: finished waiting periods, counted whenever another became ready."""
        return {
            "periods": self.periods,
            "late_periods": self.late,
            "underruns": self.underruns,
            "latest_ms": self._latest_us / 1000,
            "length": {
                "mean": round(self._total / self.periods, 2) if self.periods else 0.0,
                "least": self._least or 0,
                "most": self._most,
            },
            "reserve_ms": self.reserve_us / 1000,
            "longest_reserve_ms": self._longest_reserve_us / 1000,
        }
