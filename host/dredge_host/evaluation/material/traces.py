# SPDX-License-Identifier: BSD-2-Clause
"""Loss traces for an evaluation: three strata by longest burst, a fixed seed, about 20 % loss."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat
from typing import NamedTuple

from dredge_device.units import PACKET_MS
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.sending.loss_statistics import measure_loss

TRIES = 2000
AFTER_THE_END = 3  # packets that follow a clip and always arrive, so that losses at its end can be recovered
BEYOND = "beyond"  # stratum of a recorded trace with a burst longer than any drawn one


class Stratum(NamedTuple):
    """Bursts up to `longest_ms`, above `shortest_ms`; the intended loss rate is part of `spec`."""

    name: str
    spec: str
    shortest_ms: int
    longest_ms: int


STRATA = (
    Stratum("short", "gilbert:rate=13%,burst=1.8,max=6", 0, 120),
    Stratum("medium", "gilbert:rate=20%,burst=4,max=16", 120, 320),
    Stratum("long", "gilbert:rate=27%,burst=9,max=50", 320, 1000),
)


class Trace(NamedTuple):
    """One decision per packet (True = lost) and its origin, so that it can be replayed.

    seed: of the draw, None for a recorded trace.
    """

    lost: tuple[bool, ...]
    stratum: str
    spec: str
    seed: int | None

    @property
    def rate(self) -> float:
        """Share of the packets that are lost."""
        return sum(self.lost) / max(1, len(self.lost))

    def model(self, packets: int | None = None) -> LossModel:
        """Return a loss model that plays this trace, or so many packets of it, then loses nothing."""
        spec = self.spec if self.seed is None else f"{self.spec} (seed {self.seed})"
        return LossModel(spec, self.rate, chain(self.lost[:packets], repeat(False)))


def draw_trace(stratum: Stratum, packets: int, seed: int) -> Trace:
    """Return the first trace from `seed` on whose longest burst and rate fit the stratum.

    Fitting: longest burst in (shortest_ms, longest_ms], rate within a third of the aim. Speech shorter than a few
    bursts may not allow that: then the trace nearest in rate is taken.
    """
    best, best_miss = None, float("inf")
    for number in range(seed * TRIES, (seed + 1) * TRIES):
        model = parse_loss(stratum.spec, number)
        lost = tuple(model.lost() for _ in range(packets))
        stats = measure_loss(lost)
        longest = stats.longest_burst * 20
        miss = abs(stats.rate / model.expected_rate - 1.0)
        fits = stratum.shortest_ms < longest <= stratum.longest_ms
        miss += 0.0 if fits else 10.0
        if miss < best_miss:
            best, best_miss = Trace(lost, stratum.name, stratum.spec, number), miss
        if best_miss <= 1 / 3:
            break
    assert best is not None
    return best


def trace_for_clip(index: int, packets: int, seed: int) -> Trace:
    """Return the trace of clip number `index`: the strata in turn, every clip its own draw."""
    return draw_trace(STRATA[index % len(STRATA)], packets, 1000 * seed + index)


def crossed_traces(index: int, packets: int, seed: int) -> list[Trace]:
    """Return one trace of every stratum for clip number `index`; that of `trace_for_clip` is among them."""
    return [draw_trace(stratum, packets, 1000 * seed + index) for stratum in STRATA]


def recorded_trace(name: str, lost: Sequence[bool]) -> Trace:
    """Return a recorded trace in the stratum of its longest burst, `beyond` where that has none."""
    longest = measure_loss(lost).longest_burst * PACKET_MS
    fitting = (stratum.name for stratum in STRATA if longest <= stratum.longest_ms)
    return Trace(tuple(map(bool, lost)), next(fitting, BEYOND), name, None)
