# SPDX-License-Identifier: BSD-2-Clause
"""A simulated network: delay, jitter, reordering and duplication of packets that are not lost.

All of it is simulated on the sending side with a seed, like losses.
"""

from __future__ import annotations

import heapq
import random

from dredge_device.units import PACKET_SECONDS
from dredge_host.errors import UsageError

GRAMMAR = """--delay 40ms                 every packet is that late
--jitter 20ms                uniform between 0 and 20 ms more
--jitter normal:10ms         normal, standard deviation 10 ms, never below 0
--jitter pareto:10ms         mean 10 ms with a heavy tail (shape 3)
--reorder 5%,by=5            5 % of the packets come 5 packets late, the others overtake them
--duplicate 1%               1 % come twice"""

SHAPES = ("uniform", "normal", "pareto")
_PARETO_SHAPE = 3.0


class Network:
    """The packets inside the simulated network; times are seconds and are passed in.

    Raises UsageError for a malformed value, see GRAMMAR.
    """

    def __init__(
        self, delay: str = "", jitter: str = "", reorder: str = "", duplicate: str = "", seed: int = 1
    ) -> None:
        self.delay_s = _seconds("delay", delay) if delay else 0.0
        self.shape, self.jitter_s = _jitter(jitter)
        self.reorder, self.by = _reorder(reorder)
        self.duplicate = _share("duplicate", duplicate) if duplicate else 0.0
        self._rng = random.Random(seed ^ 0x5EED)
        self._held: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._counters = {"delayed": 0, "reordered": 0, "duplicated": 0}

    def put(self, now: float, datagram: bytes) -> None:
        """Put a packet into the network at this time."""
        self._hold(now + self.lag(), datagram)
        if self.duplicate and self._rng.random() < self.duplicate:
            self._counters["duplicated"] += 1
            self._hold(now + self.lag(), datagram)

    def lag(self) -> float:
        """Return the delay of the next packet, in seconds."""
        lag = self.delay_s + self._jitter()
        if self.reorder and self._rng.random() < self.reorder:
            self._counters["reordered"] += 1
            lag += self.by * PACKET_SECONDS
        self._counters["delayed"] += lag > 0
        return lag

    def due(self) -> float | None:
        """Return the time at which the next packet leaves, in seconds; None when none is held."""
        return self._held[0][0] if self._held else None

    def take(self, now: float) -> list[bytes]:
        """Return the packets that leave by now, in the order of their times."""
        out = []
        while self._held and self._held[0][0] <= now:
            out.append(heapq.heappop(self._held)[2])
        return out

    def counters(self) -> dict[str, int]:
        """Return the numbers of packets delayed, reordered and duplicated so far."""
        return dict(self._counters)

    def _hold(self, when: float, datagram: bytes) -> None:
        heapq.heappush(self._held, (when, self._count, datagram))
        self._count += 1

    def _jitter(self) -> float:
        if not self.jitter_s:
            return 0.0
        if self.shape == "uniform":
            return self._rng.uniform(0, self.jitter_s)
        if self.shape == "normal":
            return max(0.0, self._rng.gauss(0, self.jitter_s))
        mean = 1 / (_PARETO_SHAPE - 1)  # mean of a Pareto variable that starts at 0
        return (self._rng.paretovariate(_PARETO_SHAPE) - 1) / mean * self.jitter_s


def _jitter(text: str) -> tuple[str, float]:
    if not text:
        return "uniform", 0.0
    shape, colon, value = text.partition(":")
    if not colon:
        shape, value = "uniform", text
    if shape not in SHAPES:
        raise UsageError(f"jitter '{text}': unknown shape '{shape}', expected one of {', '.join(SHAPES)}")
    return shape, _seconds("jitter", value)


def _reorder(text: str) -> tuple[float, int]:
    if not text:
        return 0.0, 0
    share, comma, rest = text.partition(",")
    name, equals, count = rest.partition("=")
    digits = count.isascii() and count.isdigit() and len(count) <= 3
    if comma and (name != "by" or not equals or not digits or not 1 <= int(count) <= 100):
        raise UsageError(f"reorder '{text}': expected a share and by=<packets up to 100>, e.g. 5%,by=5")
    return _share("reorder", share), int(count) if comma else 1


def _seconds(name: str, text: str) -> float:
    try:
        value = float(text.removesuffix("ms")) / 1000
    except ValueError:
        value = -1.0
    if not 0 <= value <= 60:
        raise UsageError(f"{name} '{text}': expected milliseconds from 0 to 60000, e.g. 40ms")
    return value


def _share(name: str, text: str) -> float:
    try:
        value = float(text.removesuffix("%")) / 100
    except ValueError:
        value = -1.0
    if not text.endswith("%") or not 0 <= value <= 1:
        raise UsageError(f"{name} '{text}': expected a share from 0% to 100%")
    return value
