# SPDX-License-Identifier: BSD-2-Clause
"""The load governor. Under overload it lowers quality first, then refuses new hosts; running streams stay on time.

Order and thresholds are in docs/notes/hardening.md. It judges by the time until a finished period is missing and by the
mean load; a single costly period does not matter while others wait in the queue.
"""

from collections import deque
from collections.abc import Callable

from dredge_device.budget import summary
from dredge_device.pi.calibration.costs import PeriodCosts
from dredge_device.pi.quality import AFTER, CLASSIC, CLOSED, FIRST, FOUND, FULL, LATE, NEXT, PLAIN, QUALITY, SMALL
from dredge_device.pi.render_queue import LONGEST_RESERVE_US
from dredge_device.pi.schema.report import LoadReport
from dredge_device.units import PACKET_US
from dredge_kernels.histogram import Histogram

WINDOW_US = 2_000_000  # over which the mean load is taken
JUDGE_US = 200_000  # time between two judgements
SETTLE_US = 1_000_000  # time after a change until the new cost of gaps is known
HIGH = 0.92  # a level whose mean load would exceed this does not fit several streams …
MOST = 0.96  # … and full quality does not fit one stream, …
HEAVY = 2.0  # … unless the small vocoder has time for at least half of its gaps
HYSTERESIS = 0.87  # share of these limits below which a better level is worth returning to while queues are short
DRY_US = 4 * PACKET_US  # quality is lowered only if a stream's queue was at most this short lately
MARGIN = 1.25  # a period is begun this many times its usual cost before its time …
GUARD = 1.1  # … and must have this many times its cost left then
ASSUMED = (1.0, 11.0, 60.0, 25.0, 53.0)  # cost of each kind relative to a plain period, until it is measured
UNMEASURED_US = 100_000  # with a constant delay: the reserve for a gap until one has been measured
DEVIATIONS = 4  # with an adaptive delay a period is begun its cost and so many mean deviations of it before its time
UNSURE = 0.25  # the deviation, relative to the cost, of a cost that was assumed or measured once
ASSUMED_SMALL = 0.75  # the same for the small vocoder, relative to the standard one
_LEARN, _LEARN_PLAIN, _LEARN_DEVIATION = 1 / 8, 1 / 32, 1 / 4
_FORGET = 1 / 16  # decay per period of a kind of the costliest one's excess over the usual cost
_WARM_UP = 50  # plain periods before the mean is used
_CONFIDENCE = 0.97  # decay per judgement of the weight of a better level's former cost
_LONGEST = 64  # after relapses, improvements come at most this many times slower
_KEPT = 64  # changes of level that a report names

Expected = tuple[PeriodCosts | None, PeriodCosts | None]


class Costs:
    """The usual time, in microseconds of the clock, of one period of each kind at each quality.

    full, small: costs that a calibration measured with the vocoders of these levels; others are assumed until measured.
    """

    def __init__(self, full: PeriodCosts | None = None, small: PeriodCosts | None = None) -> None:
        self.plain = full.plain_us if full is not None else 0.0
        self._plain_periods = 0
        self._known: dict[tuple[int, int], float] = {}
        self._costliest: dict[tuple[int, int], float] = {}
        self._deviation: dict[tuple[int, int], float] = {}
        for quality, costs in ((FULL, full), (SMALL, small)):
            if costs is not None:
                self._known |= {(FIRST, quality): costs.first_us, (NEXT, quality): costs.next_us,
                                (AFTER, quality): costs.after_us}  # fmt: skip
        self._deviation.update(dict.fromkeys(self._known, 0.0))

    def add(self, kind: int, quality: int, us: float) -> None:
        """Add the time of one period; an outlier counts as twice the usual time."""
        if kind == PLAIN:
            self._add_plain(us)
        if kind == PLAIN or quality >= CLASSIC:
            return
        usual = self.of(kind, quality)
        known = (kind, quality) in self._known
        limited = min(us, 2 * usual) if usual else us
        self._deviate(kind, quality, abs(limited - usual) if known else UNSURE * us)
        usual += (limited - usual) * (_LEARN if known else 1.0)
        self._known[kind, quality] = usual
        before = self._costliest.get((kind, quality), 0.0)
        self._costliest[kind, quality] = max(limited, before - (before - usual) * _FORGET)

    def _deviate(self, kind: int, quality: int, us: float) -> None:
        """Add the deviation of one period from the usual time."""
        mean = self._deviation.get((kind, quality), us)
        self._deviation[kind, quality] = mean + (us - mean) * _LEARN_DEVIATION

    def _add_plain(self, us: float) -> None:
        """Add the time of a received period: the cheapest of the first second (caches are cold), then a mean without
        outliers.
        """
        self._plain_periods += 1
        if self._plain_periods <= _WARM_UP:
            self.plain = min(self.plain or us, us)
        else:
            self.plain += (min(us, 2 * self.plain) - self.plain) * _LEARN_PLAIN

    def of(self, kind: int, quality: int) -> float:
        """Return the expected time of a period of this kind, microseconds."""
        if kind == PLAIN or quality >= CLASSIC:
            return self.plain
        known = self._known.get((kind, quality))
        return self._assumed(kind, quality) if known is None else known

    def at_most(self, kind: int, quality: int, margin: float) -> float:
        """Return ``margin`` times the usual cost, or the highest recent one: a long gap begins with a costly period."""
        return max(margin * self.of(kind, quality), self._costliest.get((kind, quality), 0.0))

    def seldom_more(self, kind: int, quality: int) -> float:
        """Return the time that few periods of this kind exceed, while other threads take turns on the same core."""
        usual = self.of(kind, quality)
        return usual + DEVIATIONS * self._deviation.get((kind, quality), UNSURE * usual)

    def described_first(self, quality: int) -> float:
        """Return the time of a gap's first period if the packet that describes the whole gap arrives just before it."""
        description = self.of(FOUND, quality) - self.of(NEXT, quality)
        return self.of(FIRST, quality) + max(0.0, description)

    def reserve_us(self, kind: int, quality: int, others: int, together: bool, then: int | None) -> int:
        """Return how long before its time a period must begin to be ready in time, in whole periods, microseconds.

        others: streams beside this one; together: the delay is constant, and all may have such a period at once, as
        when the link that they share is interrupted; then: the kind of the next period, which must be ready too.
        """
        after = 0.0 if then is None else self.at_most(then, quality, MARGIN) - PACKET_US
        one = self.at_most(kind, quality, MARGIN) + max(0.0, after)
        if not together:
            one = max(one, self.seldom_more(kind, quality))
        elif kind == FIRST:
            one = max(one, GUARD * self.described_first(quality))
        needed = one + others * (one if together else MARGIN * self.plain)
        if together and kind == FIRST and not {(kind, FULL), (kind, quality)} & self._known.keys():
            needed = max(needed, UNMEASURED_US + PACKET_US)
        return min(LONGEST_RESERVE_US, max(0, -int(-(needed - PACKET_US) // PACKET_US)) * PACKET_US)

    def _assumed(self, kind: int, quality: int) -> float:
        return ASSUMED_SMALL * self.of(kind, FULL) if quality == SMALL else ASSUMED[kind] * self.plain


class Governor:
    """Chooses the quality level of the next period of a stream, and how long before its time it is rendered.

    ``clock`` and ``cpu_clock``: microseconds of real time, and of CPU time of the rendering thread. Call ``begin`` and
    ``rendered`` around every period and ``judge`` every 20 ms, all in one thread. expected: costs that a calibration
    measured, of the vocoder and of the one of level SMALL.
    """

    def __init__(
        self, clock: Callable[[], int], cpu_clock: Callable[[], int], expected: Expected = (None, None)
    ) -> None:
        self._expected = expected
        self._clock = clock
        self._cpu_clock = cpu_clock
        self.refused = 0  # hosts that were turned away
        self.restart()

    def restart(self) -> None:
        """Forget the past load, since no stream is running now."""
        self.level = FULL
        self.degraded = 0  # periods in which the guard stopped a vocoder or did not start it
        self.overruns = self._reported = 0  # periods that were not ready in time
        self.busy = Histogram()  # CPU time of all streams in 20 ms
        self.costs = Costs(*self._expected)
        self._streams = 1
        self._periods = [0] * (CLOSED + 1)
        self._changes: deque[tuple[int, int]] = deque(maxlen=_KEPT)
        self._begun_us = self._begun_cpu = self._busy_us = 0
        self._recent: deque[tuple[int, int]] = deque()  # end and kind of the periods in the window
        self._since_us = self._judged_us = self._clock()
        self._work_us = 0
        self._dry_us = self._since_us - WINDOW_US
        self._confidence = 1.0  # weight of the better level's former load
        self._backoff = 1
        self._changed_us = self._since_us - SETTLE_US
        self._better_us = self._since_us - 2 * WINDOW_US  # time of the last attempt

    def reserve_us(self, kind: int, others: int, together: bool = False, then: int | None = None) -> int:
        """Return how long before its time a period must begin at the present level (Costs.reserve_us)."""
        return self.costs.reserve_us(kind, self.level, others, together, then)

    def quality(self, kind: int | None, slack_us: int, begun: int = FULL) -> int:
        """Return the quality level at which a period of this kind finishes within ``slack_us``.

        begun: the level at which its gap began, whose vocoder is kept to its end.
        """
        if not kind or (kind == FIRST and self.level >= CLASSIC):
            return self.level
        if kind != FIRST and self.costs.at_most(kind, begun, GUARD) <= slack_us:
            return self.level
        for level in range(self.level, CLASSIC) if kind == FIRST else ():
            if self.costs.at_most(kind, level, GUARD) <= slack_us:
                return level
        self.degraded += 1
        return CLASSIC if kind == FIRST else LATE

    def begin(self) -> None:
        """Note that the rendering of a period begins."""
        self._begun_us, self._begun_cpu = self._clock(), self._cpu_clock()

    def rendered(self, kind: int | None, quality: int, ahead_us: int, late: bool, in_gap: bool = False) -> None:
        """Note that the rendering of a period has ended; kind is None without a stream.

        ahead_us: how long the stream's finished periods last; late: this one was not ready in time; in_gap: the one
        before it had been lost.
        """
        now_us = self._clock()
        took_us = now_us - self._begun_us
        cpu_us = self._cpu_clock() - self._begun_cpu
        self._busy_us += cpu_us
        self._work_us += cpu_us
        self.overruns += late
        if kind is None:
            return
        self.costs.add(kind, quality, took_us)
        self._recent.append((now_us, _demanded(kind, in_gap)))
        if ahead_us < DRY_US:
            self._dry_us = now_us

    def judge(self, streams: int = 1) -> None:
        """Choose the quality level of gaps that begin from now on; called every 20 ms with the number of streams."""
        self._streams = streams
        self.busy.add(self._busy_us)
        self._busy_us = 0
        self._periods[self.level] += 1
        now_us = self._clock()
        while self._recent and now_us - self._recent[0][0] > WINDOW_US:
            self._recent.popleft()
        if now_us - self._judged_us >= JUDGE_US:
            self._judged_us = now_us
            self._choose(now_us)

    def _choose(self, now_us: int) -> None:
        dry = now_us - self._dry_us <= WINDOW_US
        self._confidence *= _CONFIDENCE ** (1 / self._backoff)
        learnt = now_us - self._changed_us >= SETTLE_US
        if dry and learnt and self.level < CLOSED and not self._fits(self.level):
            failed = now_us - self._better_us <= 2 * WINDOW_US
            self._backoff = min(2 * self._backoff, _LONGEST) if failed else 1
            self._step(self.level + 1)
        elif self.level > FULL and self._fits(self.level - 1, self._confidence / (HYSTERESIS if dry else 1.0)):
            self._better_us = now_us
            self._step(self.level - 1)

    def _fits(self, level: int, weight: float = 1.0) -> bool:
        """Return whether the mean load at this level times ``weight`` leaves enough time for received packets."""
        # With several streams, the guard would take the vocoder from single gaps of one stream, which is unfair.
        load = weight * self.expected_load(level)
        if self._streams == 1 and level == FULL:
            return load <= MOST
        if self._streams == 1 and level == SMALL:
            return load <= HEAVY and weight * self.expected_load(CLASSIC) <= HIGH
        return load <= HIGH

    def _step(self, level: int) -> None:
        self.level = level
        self._changed_us = self._judged_us
        self._confidence = 1.0
        self._changes.append((self.busy.count, level))

    def expected_load(self, level: int) -> float:
        """Return the share of real time that the periods of the last two seconds would have taken at this level."""
        now_us = self._clock()
        span_us = max(PACKET_US, min(WINDOW_US, now_us - self._since_us))
        return sum(self.costs.of(kind, level) for _, kind in self._recent) / span_us

    def late(self) -> int:
        """Return how many periods of all streams were not ready in time since the last call."""
        late, self._reported = self.overruns - self._reported, self.overruns
        return late

    def refusal(self, streams: int) -> str | None:
        """Return as a sentence for the host why no further stream fits beside ``streams``; None if one fits."""
        return _refusal(self.level, streams, self.costs.plain)

    def report(self) -> LoadReport:
        """Return the levels over time, periods at each, the guard's actions, the refused hosts, and the mean load."""
        elapsed_us = max(1, self._clock() - self._since_us)
        load = 100 * self._work_us / elapsed_us
        return {
            "level": QUALITY[self.level],
            "periods": dict(zip(QUALITY, self._periods, strict=False)),
            "changes": [[round(at * PACKET_US / 1e6, 2), QUALITY[level]] for at, level in self._changes],
            "degraded": self.degraded,
            "overruns": self.overruns,
            "refused": self.refused,
            "busy": summary(self.busy),
            "load_pct": round(load, 2),
            "headroom_pct": round(100 - load, 2),
        }


def _demanded(kind: int, in_gap: bool) -> int:
    """Return the kind that a period would have at full quality, independently of the levels in the gap so far."""
    if kind == PLAIN and in_gap:
        return AFTER
    return NEXT if kind == FIRST and in_gap else kind


def _refusal(level: int, streams: int, plain: float) -> str | None:
    """Return as a sentence why no further stream fits beside ``streams``; plain: usual time of a received period,
    microseconds.
    """
    if not streams:
        return None
    wanted = (streams + 1) * plain
    if level == CLOSED:
        why = f"it has {streams} streams and no time left to fill their gaps well"
    elif wanted > HIGH * PACKET_US:
        every = f"{wanted / 1000:.1f} ms of every {PACKET_US // 1000} ms"
        why = f"{streams + 1} streams would take {every} without filling one gap"
    else:
        return None
    return f"the device is at its load limit: {why}; try again later or use another device"
