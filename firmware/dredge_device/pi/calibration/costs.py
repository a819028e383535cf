# SPDX-License-Identifier: BSD-2-Clause
"""Costs of periods by their kind, and the load that a pattern of losses makes of them."""

import math
from typing import Any, NamedTuple

from dredge_device.units import PACKET_US


class PeriodCosts(NamedTuple):
    """The CPU time per 20 ms with one vocoder, microseconds.

    plain: received; first: the first one of a gap (the highest cost measured); next: those after it; after: the
    first received one after a gap. gaps: how many were measured.
    """

    plain_us: float
    first_us: float
    next_us: float
    after_us: float
    gaps: int = 0

    def load(self, pattern: "Pattern") -> float:
        """Return the mean share of one core that a stream with this pattern of losses takes."""
        spent = (pattern.period - pattern.gap - 1) * self.plain_us + self.first_us
        spent += (pattern.gap - 1) * self.next_us + self.after_us
        return spent / (pattern.period * PACKET_US)

    @staticmethod
    def parse(document: Any) -> "PeriodCosts":
        """Return the costs of a JSON object. Raises ValueError unless it holds plausible costs."""
        try:
            found = PeriodCosts(**{name: document[name] for name in PeriodCosts._fields})
            sensible = all(isinstance(us, int | float) and 0 < us < 1e8 and math.isfinite(us) for us in found)
        except (TypeError, KeyError):
            sensible = False
        if not sensible:
            raise ValueError("these are no costs of periods")
        return found


class Pattern(NamedTuple):
    """Losses that repeat: of every `period` packets, `lost` are lost in one gap."""

    name: str
    gap: int
    period: int


BURSTS = Pattern("20 % in bursts", 5, 25)
GAPS = Pattern("gaps of 1 s", 50, 60)  # 1.2 s from one to the next, as in `dredge check`
