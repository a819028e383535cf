# SPDX-License-Identifier: BSD-2-Clause
"""What the next 20 ms of a stream will be, and whether they can be rendered before their time."""

from collections.abc import Callable

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.foresight import Foresight
from dredge_device.pi.playing.speech import SpeechQueue
from dredge_device.pi.quality import AFTER, FIRST, FOUND, NEXT, PLAIN
from dredge_device.pi.render_queue import LONGEST_US, RenderQueue
from dredge_device.playout import Playout


class Outlook:
    """Looks ahead in one stream; ``patient``: its delay is constant, so that several streams may be dear at once."""

    def __init__(
        self, buffer: JitterBuffer, playout: Playout, concealer: Concealer, speech: SpeechQueue, patient: bool
    ) -> None:
        self._buffer, self._playout, self._concealer, self._speech = buffer, playout, concealer, speech
        self._patient = patient
        self._foresight = Foresight(buffer, concealer)

    def may_render(self, queue: RenderQueue, now_us: int, reserve_us: Callable[[int, bool], int]) -> bool:
        """True when the next period can be rendered now although its time may not have come.

        That is when nothing that may still arrive would change it, or so long before its time as periods of its kind
        need, as far as the playout delay allows. Its time is ``queue.next_us``. ``reserve_us(kind, together)``: the
        time they need; together: all streams may have one at once.
        """
        assert queue.next_us is not None
        queue.reserve_us = 0
        if not self._over:
            first = FIRST if self._concealer.has_vocoder else PLAIN
            wanted = reserve_us(self._dearest(), self._patient), reserve_us(first, False)
            queue.reserve_us = self._playout.reserve_us(*wanted, queue.next_us, self._speech.queued_us)
        ahead_us = queue.ahead_us(now_us)
        return ahead_us <= queue.reserve_us or (ahead_us <= LONGEST_US and self._settled(now_us))

    def coming(self) -> int | None:
        """What the next period will be, a kind of ``pi.quality``; None where nothing is decoded."""
        period, concealer = self._playout.coming(), self._concealer
        if period is None or not self._speech.needed:
            return None
        lost = period.packet is None and not concealer.in_dtx
        if not concealer.speaking:
            return FIRST if lost and concealer.has_vocoder else PLAIN
        if not lost:
            return AFTER
        return FOUND if concealer.guessing and concealer.described_by(period) is not None else NEXT

    def _dearest(self) -> int:
        """The kind of period that a lost one may be as long as nothing that describes it has arrived."""
        if not self._concealer.has_vocoder:
            return PLAIN
        if not self._concealer.speaking:
            return FIRST
        return FOUND if self._concealer.guessing else NEXT

    def _settled(self, now_us: int) -> bool:
        periods = [self._playout.coming(i) for i in range(self._speech.needed)]
        return self._buffer.next is not None and all(p and self._foresight.settled(p, now_us) for p in periods)

    @property
    def _over(self) -> bool:
        """True when the sender's last packet has been rendered."""
        buffer = self._buffer
        return buffer.last is not None and buffer.next is not None and buffer.next > buffer.last
