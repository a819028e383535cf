# SPDX-License-Identifier: BSD-2-Clause
"""The kind of the next 20 ms of a stream, and whether they can be rendered before their time."""

from typing import Protocol

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.synthesis import MUTE_AFTER
from dredge_device.pi.playing.settled_periods import SettledPeriods
from dredge_device.pi.playing.speech import SpeechQueue
from dredge_device.pi.quality import AFTER, FIRST, FOUND, NEXT, PLAIN
from dredge_device.pi.render_queue import LONGEST_RESERVE_US, LONGEST_US, RenderQueue
from dredge_device.playout import Playout

_SHARE = 4  # a reserve for two costly periods takes at most 1/4 of a constant delay


class Reserve(Protocol):
    """Returns how long before its time a period of this kind must begin to be ready in time, microseconds.

    together: all streams may have one at once; then: the kind of the next period, which has to be ready too.
    LONGEST_RESERVE_US at most.
    """

    def __call__(self, kind: int, together: bool, then: int | None = None) -> int: ...


class RenderAhead:
    """Rendering ahead of one stream; ``constant_delay``: several streams may have costly periods at once."""

    def __init__(
        self, buffer: JitterBuffer, playout: Playout, concealer: Concealer, speech: SpeechQueue, constant_delay: bool
    ) -> None:
        self._buffer, self._playout, self._concealer, self._speech = buffer, playout, concealer, speech
        self._constant = constant_delay
        self._settled_periods = SettledPeriods(buffer, concealer)

    def may_render(self, queue: RenderQueue, now_us: int, reserve_us: Reserve) -> bool:
        """Return whether the next period can be rendered now although its time may not have come.

        It can if no packet that may still arrive would change it, or if its time is nearer than periods of its kind
        need, as far as the playout delay allows. Its time is ``queue.next_us``.
        """
        assert queue.next_us is not None
        ahead_us = queue.ahead_us(now_us)
        if ahead_us > LONGEST_US:
            return False
        if self._over:
            queue.reserve_us = 0
        elif ahead_us <= LONGEST_RESERVE_US or not self._constant:  # an adaptive delay follows the needs of rendering
            first = FIRST if self._concealer.has_vocoder else PLAIN
            wanted, longest = self._wanted_us(reserve_us), reserve_us(first, False)
            queue.reserve_us = self._playout.reserve_us(wanted, longest, queue.next_us, self._speech.queued_us)
        return ahead_us <= queue.reserve_us or self._settled(now_us)

    def coming(self) -> int | None:
        """Return the kind of the next period (``pi.quality``), None where nothing is decoded or synthesised."""
        period, concealer = self._playout.coming(), self._concealer
        if period is None or not self._speech.needed:
            return None
        lost = period.packet is None and not concealer.in_dtx and not concealer.repeats(period)
        described = lost and concealer.undescribed > 0 and concealer.described_by(period) is not None
        if lost and concealer.undescribed >= MUTE_AFTER and not described:
            return None  # speech has faded, and the background alone is left
        if not concealer.synthesising:
            return FIRST if lost and concealer.has_vocoder else PLAIN
        if not lost:
            return AFTER
        return FOUND if described else NEXT

    def _wanted_us(self, reserve_us: Reserve) -> int:
        """Return the reserve for the costliest kind of the next period; with a constant delay also for what may follow
        it.

        A packet that describes the gap may arrive 20 ms after its beginning: then the two costliest kinds follow.
        """
        kind = self._costliest()
        wanted = reserve_us(kind, self._constant)
        if kind == FIRST and self._constant:
            wanted = max(wanted, min(reserve_us(kind, self._constant, FOUND), self._buffer.playout_us // _SHARE))
        return wanted

    def _costliest(self) -> int:
        """Return the kind that a lost period may have before a packet that describes it has arrived."""
        if not self._concealer.has_vocoder:
            return PLAIN
        if not self._concealer.synthesising:
            return FIRST
        return FOUND if self._concealer.undescribed else NEXT

    def _settled(self, now_us: int) -> bool:
        if self._buffer.next is None:
            return False
        for ahead in range(self._speech.needed):
            period = self._playout.coming(ahead)
            if period is None or not self._settled_periods.settled(period, now_us):
                return False
        return True

    @property
    def _over(self) -> bool:
        """True when the sender's last packet has been rendered."""
        buffer = self._buffer
        return buffer.last is not None and buffer.next is not None and buffer.next > buffer.last
