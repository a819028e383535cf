# SPDX-License-Identifier: BSD-2-Clause
"""The speech between the concealer and the output."""

from typing import Any

from dredge_device import playout
from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.dred_source import NO_LATER
from dredge_device.pi.concealment.time_stretch import TimeStretch
from dredge_device.pi.fullband.fullband import Fullband, SpeechOnly
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.playing.played import Frame
from dredge_device.pi.playout_statistics import PlayoutStatistics
from dredge_device.playout import Period, Playout
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES, PACKET_US

HOLD, SILENCE = "hold", "silence"  # the idle states of playout: it stands still, or no stream is playing
_MOST_FRAMES = 2  # decoded per period at most, because more would endanger the deadline
_MARGIN = FRAME_SAMPLES  # samples wanted beyond the period while speech is being shortened


class SpeechQueue:
    """The queue of decoded speech: packet periods go in, 20 ms come out, shortened or lengthened while playout is late
    or early.

    beyond: the part of the output that is not speech (pi.fullband); classic: losses are concealed by the decoder.
    """

    def __init__(
        self,
        buffer: JitterBuffer,
        playout: Playout,
        concealer: Concealer,
        beyond: Fullband | SpeechOnly,
        statistics: PlayoutStatistics,
        classic: bool,
    ) -> None:
        self._buffer, self._playout, self._concealer = buffer, playout, concealer
        self._beyond = beyond
        self._statistics = statistics
        self._classic = classic
        self.stretch = TimeStretch(beyond.queue)
        self._skipped: list[Frame] = []
        self._stood = 0  # periods for which playout has been standing still

    @property
    def queued(self) -> int:
        """The waiting samples of speech."""
        return self.stretch.queued

    @property
    def queued_us(self) -> int:
        """The waiting speech in microseconds."""
        return self.stretch.queued * PACKET_US // PACKET_SAMPLES

    @property
    def needed(self) -> int:
        """The number of packet periods to decode for the next 20 ms."""
        return max(0, -(-(self._wanted() - self.stretch.queued) // PACKET_SAMPLES))

    def restart(self) -> None:
        """Begin another stream."""
        self.stretch.clear()
        self._beyond.restart()

    def fill(self, now_us: int) -> tuple[list[Frame], str]:
        """Decode for the next 20 ms; return the packet periods, and HOLD or SILENCE when none was left."""
        frames: list[Frame] = []
        idle = ""
        while not idle and len(frames) < _MOST_FRAMES and self.stretch.queued < self._wanted():
            idle = self._advance(now_us, frames)
        return frames, idle

    def take(self, idle: str, now_us: int) -> Pcm:
        """Return the next 20 ms, after ``fill``."""
        if idle:
            self._push(self._concealer.hold() if idle == HOLD else self._concealer.silence(), None)
        elif self._buffer.next is not None:
            self._correct_lag(now_us)
        pcm = self._beyond.joined(self.stretch.pop())
        if idle == SILENCE:
            self.stretch.clear()
        return pcm

    def silence(self) -> Pcm:
        """Return 20 ms that belong to no stream."""
        return self._beyond.silent(self._concealer.silence())

    def given_up(self) -> list[Frame]:
        """Return the skipped periods that were not reported yet."""
        skipped, self._skipped = self._skipped, []
        return skipped

    def _wanted(self) -> int:
        return PACKET_SAMPLES + (_MARGIN if self._playout.lag.us > 0 else 0)

    def _advance(self, now_us: int, frames: list[Frame]) -> str:
        """Decode the next packet period into the queue; HOLD or SILENCE when there is none."""
        queued_us = self.queued_us
        step, concealer = self._playout.step, self._concealer
        action, period = step(now_us, concealer.in_dtx, queued_us)
        if action == playout.HOLD:
            self._stood += 1
            return HOLD
        if period is None:
            return SILENCE
        delay_us = self._buffer.delay_us(period.number, now_us) + queued_us
        if action == playout.SKIP:
            self._pass_over(period, delay_us)
            return ""
        self._stood = 0
        choice = concealer.render(period)
        self._push(choice.pcm, period.packet if choice.source == "opus" else None)
        frame = Frame(period.number, choice.source, choice.reason, delay_us)
        frames.append(frame)
        lost = period.packet is None and choice.source != "dtx"
        self._statistics.count(frame, lost)
        return ""

    def _push(self, speech: Pcm, packet: Any) -> None:
        """Append 20 ms; packet: the one they were decoded from, None for other speech."""
        self.stretch.push(speech)
        self._beyond.add(packet)

    def _pass_over(self, period: Period, delay_us: int) -> None:
        """Count a period that is left out, or that was already concealed while playout stood still."""
        number, lost = period.number, period.packet is None
        if lost and self._stood:
            source = "conceal" if self._classic else "plc"
            frame = Frame(number, source, NO_LATER, delay_us - self._stood * PACKET_US)
            self._stood -= 1
        else:
            frame = Frame(number, "skipped", "", delay_us)
        self._statistics.count(frame, lost)
        self._skipped.append(frame)

    def _correct_lag(self, now_us: int) -> None:
        """Detect when playout is late or early, and shorten or lengthen the speech."""
        self._playout.observe(now_us, self.queued_us)
        lag = self._playout.lag
        if lag.us:
            urgent = lag.urgent()
            samples = self.stretch.shorten(urgent) if lag.us > 0 else -self.stretch.lengthen(urgent)
            lag.corrected(int(samples * PACKET_US / PACKET_SAMPLES))
