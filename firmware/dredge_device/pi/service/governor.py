# SPDX-License-Identifier: BSD-2-Clause
"""Load beyond what the board can do: quality goes first, then new hosts, the running streams' timing never.

Order and thresholds are in docs/hardening.md. A level is chosen before a period is decoded and holds for the gaps that
begin in it; inside a period the guard has the last word.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from dredge_device.budget import Histogram
from dredge_device.units import PACKET_US

FULL, SMALL, CLASSIC, CLOSED = range(4)  # levels
HURRIED = 4  # what the guard asks of one stream for one period
EFFORTS = ("full", "small", "classic", "closed", "hurried")
OVERLOAD = "device at its load limit"  # the reason of a period that is concealed although a vocoder is there
SPOKEN = ("dred", "plc")  # sources that the vocoder makes

HIGH_US = PACKET_US * 80 // 100  # CPU time of a period that is too much …
LOW_US = PACKET_US * 50 // 100  # … and so little that there is room for one level more
GUARD_US = PACKET_US * 90 // 100  # when all streams of a period must be decoded, from its beginning on
WINDOW = 50  # periods that are judged
OFTEN = 3  # of them too long: one or two are chance
SETTLE = 10  # periods after a change that say nothing: gaps that had begun are spoken to their end
PATIENCE, LONGEST_PATIENCE = 250, 3000  # calm periods before a step back; doubled by every relapse
_FORGET = 1 / 256  # of the dearest pull, per period: 5 s
_LEARN = 1 / 64  # of the mean pull, per pull
_KEPT = 64  # changes of level that a report names


class Costs:
    """CPU time of one stream's period, in microseconds: the dearest lately, and the usual one without a vocoder."""

    def __init__(self) -> None:
        self.dearest = 0.0
        self.plain = 0.0

    def add(self, cost_us: float, spoken: bool) -> None:
        """One pull of a receiver; spoken: the vocoder worked."""
        self.dearest = max(self.dearest, cost_us)
        if not spoken:
            self.plain += (cost_us - self.plain) * (_LEARN if self.plain else 1.0)

    def fade(self) -> None:
        """A period has passed."""
        self.dearest -= self.dearest * _FORGET


class Governor:
    """Watches how long the periods of all streams together take, and says how much work the next may be.

    ``clock`` and ``cpu_clock``: microseconds of real time, and of CPU time of the thread that decodes. Around every
    period: ``begin``, for every stream ``effort`` and ``served``, ``end``.
    """

    def __init__(self, clock: Callable[[], int], cpu_clock: Callable[[], int]) -> None:
        self._clock = clock
        self._cpu_clock = cpu_clock
        self.level = FULL
        self.refused = 0  # hosts that were turned away
        self.hurried = 0  # streams' periods that the guard cut short
        self.overruns = 0  # periods whose work took longer than the period, by the clock
        self.busy = Histogram()  # CPU time of the periods
        self.costs = Costs()
        self._periods = [0] * (CLOSED + 1)
        self._changes: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self._window: deque[tuple[int, bool]] = deque(maxlen=WINDOW)
        self._settling = 0
        self._calm = 0
        self._patience = PATIENCE
        self._since_back = LONGEST_PATIENCE  # periods since the last step back
        self._begun = self._begun_cpu = self._asked_cpu = 0
        self._hurry = False

    def begin(self) -> None:
        """The thread has woken up for a period."""
        self._begun, self._begun_cpu = self._clock(), self._cpu_clock()
        self._hurry = False

    def effort(self, waiting: int) -> int:
        """How much the next stream may do, when so many, itself included, wait for their turn in this period."""
        self._asked_cpu = self._cpu_clock()
        needed = self.costs.dearest + (waiting - 1) * self.costs.plain
        if self._clock() - self._begun + needed <= GUARD_US:
            return self.level
        self._hurry = True
        self.hurried += 1
        return HURRIED

    def served(self, source: str) -> None:
        """That stream has its 20 ms, made by this source."""
        self.costs.add(self._cpu_clock() - self._asked_cpu, source in SPOKEN)

    def end(self) -> None:
        """All is done and sent: chooses the level of the next period."""
        busy = self._cpu_clock() - self._begun_cpu
        over = self._clock() - self._begun > PACKET_US
        self.busy.add(busy)
        self.overruns += over
        self._periods[self.level] += 1
        self.costs.fade()
        self._since_back += 1
        if self._settling:
            self._settling -= 1
            return
        self._window.append((busy, over or self._hurry))
        if self._pressed():
            self._step(min(self.level + 1, CLOSED))
        elif self._rested():
            self._step(self.level - 1)

    def refusal(self, streams: int) -> str | None:
        """Why no other stream can be taken beside so many, as a sentence for its host; None if it can."""
        if not streams:
            return None
        if self.level == CLOSED:
            return (
                f"the device is at its load limit: it has {streams} streams and no time left to fill their gaps well; "
                "try again later or use another device"
            )
        wanted = (streams + 1) * self.costs.plain
        if wanted <= HIGH_US:
            return None
        return (
            f"the device is at its load limit: {streams + 1} streams would take {wanted / 1000:.1f} ms of every "
            f"{PACKET_US // 1000} ms without filling one gap; try again later or use another device"
        )

    def report(self) -> dict[str, Any]:
        """Levels over time, periods at each, what the guard did, who was turned away; since the process began."""
        return {
            "level": EFFORTS[self.level],
            "periods": dict(zip(EFFORTS, self._periods, strict=False)),
            "changes": [[round(at * PACKET_US / 1e6, 2), EFFORTS[level]] for at, level in self._changes],
            "hurried": self.hurried,
            "overruns": self.overruns,
            "refused": self.refused,
            "busy": self.busy.summary(),
        }

    def _pressed(self) -> bool:
        """Too often too long; a step may help unless there is none left."""
        long = sum(busy > HIGH_US or over for busy, over in self._window)
        return self.level < CLOSED and long >= OFTEN

    def _rested(self) -> bool:
        """So calm for so long that one level less is worth a try."""
        quiet = sum(busy > LOW_US or over for busy, over in self._window) < OFTEN
        self._calm = self._calm + 1 if quiet else 0
        return self.level > FULL and self._calm >= self._patience

    def _step(self, level: int) -> None:
        if level > self.level:
            relapse = self._since_back < self._patience
            self._patience = min(2 * self._patience, LONGEST_PATIENCE) if relapse else PATIENCE
        else:
            self._since_back = 0
        self.level = level
        self._calm = 0
        self._settling = SETTLE
        self._window.clear()
        self._changes.append((self.busy.count, level))
