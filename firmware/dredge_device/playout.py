# SPDX-License-Identifier: BSD-2-Clause
# When to play what. fixed: every packet so long after its arrival, whatever happens; adaptive: as
# far behind the arrivals as the waits of late make it worth, changed in gaps and pauses.
# Time comes in as integer microseconds, once per period.
from dredge_device.lag import Lag
from dredge_device.units import PACKET_US
from dredge_device.waits import LONGEST, WaitHistory

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


WAIT = const(0)  # no stream yet, or none any more
PLAY = const(1)  # this number now
HOLD = const(2)  # the next number is late: stand still for one period
SKIP = const(3)  # this number is left out: we are behind, or were stopped

MAX_PLAYOUT_MS = const(5000)
_STOPPED_US = const(1000000)  # this much later than the policy allows we were stopped: speech is left out


# (policy, milliseconds) of "fixed:<ms>", "adaptive" or "adaptive:<longest delay in ms>";
# ValueError with a sentence for anything else.
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


# One packet period as it is rendered: its number, its packet (None: lost; empty: left out because nobody
# spoke), the packet of the next number, and the lowest number above it that has arrived.
# description is for whoever looks up what a later packet tells of it: it is looked up once.
class Period:
    def __init__(self, buffer, number):
        self.number = number
        self.packet = buffer.get(number)
        self.following = buffer.get(number + 1)
        self.later = buffer.next_after(number)
        self.description = None


# Decides over a JitterBuffer. adaptive: its playout_us is then the longest delay; reach: packets before a packet that
# it can describe.
# lag: how much the listener is later than wanted.
class Playout:
    def __init__(self, buffer, adaptive=False, reach=LONGEST):
        self.adaptive = adaptive
        self.lag = Lag(adaptive)
        self.ahead_us = 0  # adaptive: so much longer is the delay because rendering needs time
        self.holds = 0
        self._buffer = buffer
        buffer.waits = WaitHistory(reach) if adaptive else None
        self._newest = None  # the Period that was asked for last, and
        self._changes = 0  # the buffer's when it was made
        self._open = False  # nothing has arrived after the next number
        self._leaping = False
        self._resyncs = 0

    # The stream is another one now.
    def restart(self):
        self.lag.restart()
        self._open = False
        self._leaping = False

    # (action, Period) for these 20 ms, Period None where nothing is played; call again after SKIP.
    # in_dtx: the last packet said that nobody speaks; queued_us: speech that is decoded but not
    # heard yet.
    def step(self, now_us, in_dtx=False, queued_us=0):
        if self._buffer.resyncs != self._resyncs:  # what was measured is of another clock
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

    # The period that is rendered next, or one so many after it; None before and after the stream.
    def coming(self, ahead=0):
        buffer = self._buffer
        if buffer.next is None or (buffer.last is not None and buffer.next + ahead > buffer.last):
            return None
        return self._period(buffer.next + ahead)

    # The same Period as long as the buffer is the same, so that what is found out about it is found out once.
    def _period(self, number):
        period, changes = self._newest, self._buffer.changes
        if period is None or period.number != number or self._changes != changes:
            period = self._newest = Period(self._buffer, number)
            self._changes = changes
        return period

    # This process or the machine stood still, and what waits is older than the policy allows by far.
    # Shortened speech would need seconds to catch up, so playout leaps to where it should be.
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

    # A gap is open while nothing newer has arrived: playout stands still, since the packets may be
    # late and not lost. The first arrival tells: if they are late they are played, if they are
    # lost playout leaps back to its delay, and what that leaves of the gap is recovered.
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

    # The delay that is aimed at: the one that is worth its price on this path.
    def target_us(self):
        buffer = self._buffer
        if not self.adaptive:
            return buffer.playout_us
        return min(buffer.waits.worth_us() + self.ahead_us, buffer.playout_us)

    # How long before its time, at_us, the next number may be decided with what has arrived, when
    # rendering would like to have so much: as far as the delay allows it without a packet that
    # comes in time being given up. adaptive: the delay that is aimed at grows by the longest that
    # rendering may want.
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

    # How much later than wanted the next number would be played now; queued_us of speech is
    # decoded and waits to be heard before it.
    def _behind(self, now_us, queued_us=0):
        buffer = self._buffer
        return buffer.delay_us(buffer.next, now_us) + queued_us - self.target_us()

    # Call once per period that played: notices a lag that persists.
    def observe(self, now_us, queued_us):
        if self._buffer.next is None:
            return
        if self._open:
            self.lag.pause()
            return
        self.lag.observe(self._behind(now_us, queued_us))
