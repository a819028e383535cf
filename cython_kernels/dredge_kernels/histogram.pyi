# SPDX-License-Identifier: BSD-2-Clause
class Histogram:
    """Microseconds in 16 bins per octave up to 2 s: an edge is at most 6.25 % above the values in its bin."""

    count: int
    total: int
    max: int

    def add(self, us: int) -> None:
        """Enter one value."""

    def percentiles(self, *permilles: int) -> list[int]:
        """Of each of these rising shares: the smallest edge that at least permille/1000 of the values do not exceed."""

    def bins(self) -> list[list[int]]:
        """[[edge in microseconds, count], ...] of the bins that are not empty, lowest first."""
