# SPDX-License-Identifier: BSD-2-Clause
"""Statistics of playout: packet periods by source, losses and their bursts, delays."""

from collections import Counter
from typing import Protocol

from dredge_device.pi.schema.report import StatisticsReport
from dredge_device.telemetry import Bursts
from dredge_device.timeline import SOURCES
from dredge_kernels.histogram import Histogram


class Decided(Protocol):
    """The fields of a packet period that are counted."""

    source: str
    reason: str
    delay_us: int


class PlayoutStatistics:
    """Counts of decisions; every period has exactly one source, so the sources add up to all periods."""

    def __init__(self) -> None:
        self._sources: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._bursts = Bursts()
        self._periods = 0  # of the stream, including lost ones, without silence
        self._delays = Histogram()
        self._delay_sum_us = 0
        self._delay_max_us = 0

    def count(self, frame: Decided, lost: bool) -> None:
        """Count one packet period; lost: its packet had not arrived in time."""
        self._sources[frame.source] += 1
        if frame.reason:
            self._reasons[frame.reason] += 1
        self._bursts.step(lost)
        self._periods += 1
        self._delay_sum_us += frame.delay_us
        self._delay_max_us = max(self._delay_max_us, frame.delay_us)
        self._delays.add(frame.delay_us)

    def silence(self) -> None:
        """Count a period outside the stream."""
        self._sources["silence"] += 1

    def forget_open(self) -> None:
        """Forget the open burst, since a new sender begins and it is unknown whether its packets were ever sent."""
        self._periods -= self._bursts.forget()

    def settle(self, beyond: int) -> None:
        """Close the last burst at the known end: losses before it count, the periods beyond it do not."""
        self._periods -= self._bursts.forget(beyond)
        self._bursts.close()

    def report(self) -> StatisticsReport:
        """Return the counts as plain JSON values."""
        lost = self._bursts.lost
        expected = self._periods - self._bursts.open()
        p50_us, p95_us = self._delays.percentiles(500, 950)
        return {
            "packets": {"expected": expected, "lost": lost},
            "loss_pct": round(100 * lost / expected, 3) if expected else 0.0,
            "bursts": self._bursts.histogram(),
            "burst_mean": round(self._bursts.mean(), 3),
            "burst_longest": self._bursts.longest,
            "sources": {name: self._sources[name] for name in SOURCES},
            "reasons": dict(sorted(self._reasons.items())),
            "delay_ms": {
                "mean": round(self._delay_sum_us / 1000 / self._periods, 3) if self._periods else 0.0,
                "max": round(self._delay_max_us / 1000, 3),
                "p50": p50_us / 1000,
                "p95": p95_us / 1000,
            },
        }
