# SPDX-License-Identifier: BSD-2-Clause
"""Statistics of a loss pattern: rate and burst lengths."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypedDict

from dredge_device.units import PACKET_MS


class LossPart(TypedDict):
    """Statistics of losses for JSON, with units in the names; burst_histogram: bursts by length in packets."""

    packets: int
    lost_packets: int
    rate: float
    bursts: int
    mean_burst_packets: float
    longest_burst_packets: int
    longest_burst_ms: float
    burst_histogram: dict[str, int]


@dataclass
class LossStats:
    """Measured loss; `histogram` maps burst length in packets to its count."""

    packets: int = 0
    lost: int = 0
    histogram: Counter[int] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.lost / self.packets if self.packets else 0.0

    @property
    def bursts(self) -> int:
        return sum(self.histogram.values())

    @property
    def mean_burst(self) -> float:
        return self.lost / self.bursts if self.bursts else 0.0

    @property
    def longest_burst(self) -> int:
        return max(self.histogram, default=0)

    def __add__(self, other: LossStats) -> LossStats:
        """Return the statistics of both patterns together; no burst continues from one to the other."""
        histogram = self.histogram + other.histogram
        return LossStats(self.packets + other.packets, self.lost + other.lost, histogram)

    def as_dict(self) -> LossPart:
        """Return the statistics for JSON, with units in the names."""
        return {
            "packets": self.packets,
            "lost_packets": self.lost,
            "rate": round(self.rate, 6),
            "bursts": self.bursts,
            "mean_burst_packets": round(self.mean_burst, 3),
            "longest_burst_packets": self.longest_burst,
            "longest_burst_ms": float(self.longest_burst * PACKET_MS),
            "burst_histogram": {str(k): v for k, v in sorted(self.histogram.items())},
        }

    def sentence(self) -> str:
        """Return the statistics as a sentence."""
        if not self.lost:
            return f"no packet of {self.packets} was lost"
        return (
            f"{self.lost} of {self.packets} packets lost ({100 * self.rate:.1f} %) in "
            f"{self.bursts} bursts, {self.mean_burst:.1f} packets on average, "
            f"longest {self.longest_burst} ({self.longest_burst * PACKET_MS:.0f} ms)"
        )


def measure_loss(trace: Iterable[bool]) -> LossStats:
    """Count a finished trace (True = lost)."""
    stats = LossStats()
    run = 0
    for lost in trace:
        stats.packets += 1
        if lost:
            stats.lost += 1
            run += 1
        elif run:
            stats.histogram[run] += 1
            run = 0
    if run:
        stats.histogram[run] += 1
    return stats
