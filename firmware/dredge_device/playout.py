# SPDX-License-Identifier: BSD-2-Clause
# The schedule of playout. fixed: every packet is played a constant time after its arrival; adaptive: the delay is the
# one worth its cost given the recent waits for packets, and changes in gaps and pauses. Time comes in as integer
# microseconds, once per period.
from dredge_device.lag import Lag
from dredge_device.units import PACKET_US
from dredge_device.waits import LONGEST, WaitHistory

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


WAIT = const(0)  # no stream before the first packet and after the end
PLAY = const(1)  # play this number now
HOLD = const(2)  # the next number is late: stand still for one period
SKIP = const(3)  # leave this number out: playout is behind, or was stopped

MAX_PLAYOUT_MS = const(5000)
_STOPPED_US = const(1000000)  # a lag this much above the policy means that the process was stopped: speech is left out


# Return (policy, milliseconds) of "fixed:<ms>", "adaptive" or "adaptive:<longest delay in ms>"; ValueError with a
# sentence for anything else.
def parse_playout(text):
    kind, colon, value = text.partition(":")
    if kind == "adaptive" and not colon:
        value = "1000"
    if kind not in ("fixed", "adaptive") or not value or value.strip("0123456789"):
        raise ValueError(
            "playout is '%s', expected fixed:<milliseconds>, e.g. fixed:200, or adaptive" % text
        )
    if int(value) > MAX_PLAYOUT_MS:
        raise ValueError("playout of %s ms is longer than 5000 ms" % value)
    return kind, int(value)


# One packet period as it is rendered: its number, its packet (None: lost; empty: left out in a pause of speech), the
# packet of the next number, and the lowest number above it that has arrived. description caches what a later packet
# describes of it, so that it is looked up once.
class Period:
    def __init__(self, buffer, number):
        self.number = number
        self.packet = buffer.get(number)
        self.following = buffer.get(number + 1)
        self.later = buffer.next_after(number)
        self.description = None


# Decides over a JitterBuffer. adaptive: its playout_us is then the longest delay; reach: packets before a packet that
# it can describe. lag: the lag of playout against the wanted delay.
class Playout:
    def __init__(self, buffer, adaptive=False, reach=LONGEST):
        self.adaptive = adaptive
        self.lag = Lag(adaptive)
        self.ahead_us = 0  # adaptive: the part of the delay that rendering needs
        self.holds = 0
        self._buffer = buffer
        buffer.waits = WaitHistory(reach) if adaptive else None
        self._newest = None  # the last Period returned, and
        self._changes = 0  # the buffer's changes when it was made
        self._open = False  # nothing has arrived after the next number
        self._leaping = False
        self._resyncs = 0

    # Begin another stream.
    def restart(self):
        self.lag.restart()
        self._open = False
        self._leaping = False

    # Return (action, Period) for these 20 ms, Period None where nothing is played; call again after SKIP. in_dtx: the
    # last packet announced a pause of speech; queued_us: speech that is decoded but not played yet.
    def step(self, now_us, in_dtx=False, queued_us=0):
        if self._buffer.resyncs != self._resyncs:  # the measurements refer to another clock
            self._resyncs = self._buffer.resyncs
            self.restart()
        buffer = self._buffer
        if self._leaps(now_us, queued_us):
            return SKIP, self._period(buffer.skip())
        if self.adaptive:
            action, number = self._adapt(now_us, in_dtx, queued_us)
        else:
            number = buffer.step(now_us)
            action = WAIT if number is None else PLAY
        return action, None if number is None else self._period(number)

    # Return the period that is rendered next, or the one `ahead` after it; None before and after the stream.
    def coming(self, ahead=0):
        buffer = self._buffer
        if buffer.next is None or (buffer.last is not None and buffer.next + ahead > buffer.last):
            return None
        return self._period(buffer.next + ahead)

    # Return the same Period object while the buffer does not change, so that its cached lookups are reused.
    def _period(self, number):
        period, changes = self._newest, self._buffer.changes
        if period is None or period.number != number or self._changes != changes:
            period = self._newest = Period(self._buffer, number)
            self._changes = changes
        return period

    # Return True when the process or the machine stood still and the waiting speech is far older than the policy
    # allows. Shortening the speech would take seconds to catch up, so playout jumps to its delay.
    def _leaps(self, now_us, queued_us):
        buffer = self._buffer
        if buffer.next is None or buffer.highest is None:
            return False
        end = buffer.highest if buffer.last is None else min(buffer.highest, buffer.last)
        late_us = self._behind(now_us, queued_us)
        if buffer.next > end:
            self._leaping = False
        elif self._leaping:
            self._leaping = late_us > self.lag.accepted_us()
        elif late_us + self.target_us() > buffer.playout_us + _STOPPED_US:
            self._leaping = True
            self.lag.settle()
        return self._leaping

    # While nothing newer has arrived, a gap is open and playout stands still, because the packets may be late and not
    # lost. After the first arrival, late packets are played; after a loss playout jumps back to its delay, and the part
    # of the gap that remains is recovered.
    def _adapt(self, now_us, in_dtx, queued_us):
        buffer = self._buffer
        if buffer.next is None and not buffer.begin(now_us, self.target_us()):
            return WAIT, None
        number = buffer.next
        self._open = False
        if buffer.get(number) is None and (buffer.last is None or number <= buffer.last):
            if buffer.next_after(number) is not None:
                if self._behind(now_us, queued_us) > PACKET_US // 2:
                    return SKIP, buffer.skip()
            elif not in_dtx and buffer.last is None and self._stand_still(now_us, queued_us):
                return HOLD, None
        number = buffer.step(now_us)
        return (WAIT, None) if number is None else (PLAY, number)

    def _stand_still(self, now_us, queued_us):
        self._open = True
        if self._behind(now_us, queued_us) + self.target_us() >= self._buffer.playout_us:
            return False
        self.holds += 1
        self.lag.settle()
        return True

    # Return the target delay: the one worth its cost on this path.
    def target_us(self):
        buffer = self._buffer
        if not self.adaptive:
            return buffer.playout_us
        return min(buffer.waits.worth_us() + self.ahead_us, buffer.playout_us)

    # Return how long before its time, at_us, the next number may be decided with the packets that have arrived, when
    # rendering asks for wanted_us: as far as the delay allows it without giving up a packet that comes in time.
    # adaptive: the target delay grows by the longest time that rendering may ask for.
    def reserve_us(self, wanted_us, longest_us, at_us, queued_us=0):
        buffer = self._buffer
        self.ahead_us = longest_us if self.adaptive else 0
        if not wanted_us or (self.adaptive and buffer.next is None):
            return wanted_us
        spread_us = buffer.delays.spread_us() if buffer.delays.known() else 0
        delay_us = buffer.playout_us
        if self.adaptive:
            delay_us = buffer.delay_us(buffer.next, at_us) + queued_us
        return max(0, min(wanted_us, delay_us - spread_us - PACKET_US))

    # Return how much later than wanted the next number would be played now; queued_us of decoded speech is played
    # before it.
    def _behind(self, now_us, queued_us=0):
        buffer = self._buffer
        return buffer.delay_us(buffer.next, now_us) + queued_us - self.target_us()

    # Note the lag of a played period; call it once per period.
    def observe(self, now_us, queued_us):
        if self._buffer.next is None:
            return
        if self._open:
            self.lag.pause()
            return
        self.lag.observe(self._behind(now_us, queued_us))
