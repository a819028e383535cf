# SPDX-License-Identifier: BSD-2-Clause
"""The choice of what a machine can do: which vocoder, how long a queue, which quality levels."""

import math
from typing import NamedTuple

from dredge_device.pi.calibration.costs import BURSTS, GAPS, PeriodCosts
from dredge_device.pi.schema.documents import Calibrated
from dredge_device.units import PACKET_US
from dredge_models import vocoders

CANDIDATES = ("standard", "small")  # the best first
SHARE = 0.8  # share of a core that rendering may take on the mean, so that a delay can be caught up
MARGIN = 1.25  # a period is begun this many times its usual cost before its time
LONGEST_QUEUE = 15  # periods


class Choice(NamedTuple):
    """The choice of vocoder, queue length and quality levels.

    vocoder: a name of dredge_models.vocoders; queue: finished periods that must wait when a gap may begin, so that its
    first period is ready in time; levels: quality levels that fit, the best first; streams: how many a core serves at
    20 % loss in bursts; loads: share of a core by pattern; fits: gaps of one second back to back do; why: one sentence.
    """

    vocoder: str
    queue: int
    levels: tuple[str, ...]
    streams: int
    loads: dict[str, float]
    fits: bool
    why: str

    def as_dict(self) -> Calibrated:
        """Return JSON values."""
        loads = {name: round(100 * load, 1) for name, load in self.loads.items()}
        return {"vocoder": self.vocoder, "queue_periods": self.queue, "levels": list(self.levels),
                "streams": self.streams, "load_pct": loads, "fits": self.fits, "why": self.why}  # fmt: skip


def choose(costs: dict[str, PeriodCosts]) -> Choice:
    """Return the best vocoder with which gaps of one second back to back fit, the cheapest where none does.

    costs: by vocoder, at least one of CANDIDATES.
    """
    known = [name for name in CANDIDATES if name in costs]
    fitting = [name for name in known if costs[name].load(GAPS) <= SHARE]
    vocoder = fitting[0] if fitting else known[-1]
    own = costs[vocoder]
    loads = {pattern.name: own.load(pattern) for pattern in (BURSTS, GAPS)}
    stand_in = vocoders.VOCODERS[vocoder].stand_in
    levels = ["full"] if own.load(BURSTS) <= SHARE else []
    levels += ["small"] if stand_in in costs and costs[stand_in].load(BURSTS) <= SHARE else []
    return Choice(
        vocoder, queue_periods(own), (*levels, "classic"), int(SHARE / own.load(BURSTS)), loads, bool(fitting),
        _why(vocoder, known, loads[GAPS.name], costs),
    )  # fmt: skip


def queue_periods(costs: PeriodCosts) -> int:
    """Return how many finished periods have to wait so that the first one of a gap is ready in time."""
    return min(LONGEST_QUEUE, max(0, math.ceil(MARGIN * costs.first_us / PACKET_US) - 1))


def _why(vocoder: str, known: list[str], load: float, costs: dict[str, PeriodCosts]) -> str:
    text = f"gaps of 1 s back to back take {100 * load:.0f} % of a core with '{vocoder}'"
    if load > SHARE:
        return f"{text}, more than {100 * SHARE:.0f} %: long gaps will be filled in part"
    costlier = known[: known.index(vocoder)]
    return text + "".join(f", {100 * costs[name].load(GAPS):.0f} % with '{name}'" for name in costlier)
