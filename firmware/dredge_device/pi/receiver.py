# SPDX-License-Identifier: BSD-2-Clause
"""The receiver: it takes RTP datagrams and returns 20 ms of speech per period."""

import time
from collections.abc import Callable

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.dred_source import DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.factory import Parts, real_parts
from dredge_device.pi.fullband.fullband import beyond_speech
from dredge_device.pi.input.payloads import NOT_AGREED, PayloadTypes
from dredge_device.pi.input.rtp_input import RtpInput
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.playing import figures
from dredge_device.pi.playing.played import Played, played
from dredge_device.pi.playing.render_ahead import RenderAhead, Reserve
from dredge_device.pi.playing.speech import HOLD, SILENCE, SpeechQueue
from dredge_device.pi.playout_statistics import PlayoutStatistics
from dredge_device.pi.quality import FULL, QUALITY
from dredge_device.pi.render_queue import RenderQueue
from dredge_device.pi.schema.report import DeviceReport
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.playout import Playout
from dredge_device.units import CONCEAL_MODES
from dredge_device.waits import LONGEST
from dredge_models import vocoders


class Receiver:
    """The receiver of one stream of RTP packets, which recovers or conceals lost packets.

    playout_ms is the constant delay, or with ``adaptive`` the longest one (dredge_device.playout). ``clock_us`` returns
    microseconds, on the same time base as ``push``'s ``now_us``. Without one the monotonic clock is used and CPU time
    is measured; with one everything is deterministic and CPU time is 0 unless ``cpu_clock`` (nanoseconds) is given too.
    ``parts`` replaces decoder and models. Not thread-safe: the caller holds a lock around push and pull.

    ``payload_types``: the agreed ones (dredge_device.pi.input.payloads); without them Opus is recognised by its
    packets; ``vocoder``: a name of dredge_models.vocoders; ``opus_complexity``: of libopus' decoder (5: its network
    conceals, 6 and 7: its networks enhance decoded speech), see ``enhancer``; ``form``: format of the output
    (pi.fullband). Raises ValueError for an unknown concealment mode or vocoder, or an impossible delay.
    """

    def __init__(
        self,
        playout_ms: int = 1000,
        conceal: str = "dred",
        use_lbrr: bool = True,
        clock_us: Callable[[], int] | None = None,
        cpu_clock: Callable[[], int] | None = None,
        parts: Parts | None = None,
        adaptive: bool = False,
        vocoder: str = vocoders.DEFAULT,
        payload_types: PayloadTypes = NOT_AGREED,
        opus_complexity: int = 0,
        form: Format = SPEECH,
    ) -> None:
        if conceal not in CONCEAL_MODES:
            raise ValueError(f"conceal is '{conceal}', expected one of {', '.join(CONCEAL_MODES)}")
        parts = parts if parts is not None else real_parts(conceal, vocoder, opus_complexity=opus_complexity)
        self.enhancer = parts.enhancer
        self.conceal = conceal
        self.playout_ms = playout_ms
        self.adaptive = adaptive
        self._clock_us = clock_us if clock_us is not None else monotonic_us
        self._buffer = JitterBuffer(playout_ms)
        self._playout = Playout(self._buffer, adaptive, reach=LONGEST if conceal == "dred" else int(use_lbrr))
        self._input = RtpInput(self._buffer, parts.reader, payload_types.opus, payload_types.red)
        self._timer = _timer(clock_us is None, cpu_clock)
        dred_source = DredSource(self._buffer, parts.reader, parts.dred) if parts.dred else None
        self._concealer = Concealer(parts, dred_source, GapEnds(parts, self._buffer, use_lbrr), use_lbrr, self._timer)
        self._statistics = PlayoutStatistics()
        way = (self._buffer, self._playout, self._concealer)
        self._speech = SpeechQueue(*way, beyond_speech(form, self._timer), self._statistics, conceal == "opus")
        self._render_ahead = RenderAhead(*way, self._speech, constant_delay=not adaptive)
        self.queue = RenderQueue()
        self._qualities = [0] * len(QUALITY)
        self._started = False

    def push(self, datagram: bytes, now_us: int) -> None:
        """Take in a datagram that arrived at this time. It never raises, whatever the datagram holds."""
        if self._input.push(datagram, now_us):
            self._concealer.restart()
            self._playout.restart()
            self._speech.restart()
            self._statistics.forget_open()

    def rekeyed(self) -> None:
        """Begin a new stream with the next packet, which comes under other keys, and reuse no state of the old one."""
        self._input.rekeyed()

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """Note the sender's first packet, so that losses before the first arrival count as losses."""
        self._input.announce(ssrc, sequence, timestamp)

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """Note the sender's last packet (16-bit sequence number); after it there is only silence."""
        self._input.finish(sequence, timestamp)

    @property
    def ended(self) -> bool:
        """True once a finished stream has been played to its end."""
        return self._buffer.ended and not self._speech.queued

    @property
    def ssrc(self) -> int | None:
        """The SSRC of the current sender."""
        return self._input.ssrc

    @property
    def packet_us(self) -> int | None:
        """The length of the newest packet in microseconds, None before the first."""
        return self._input.packet_us

    @property
    def payload_type(self) -> int | None:
        """The payload type that carries the speech, None until it is known."""
        return self._input.payload_type

    def pull(self, quality: int = FULL) -> Played:
        """Return the 20 ms due now, by the receiver's clock; call it once per period or use ``render``."""
        return self.render(self._clock_us(), quality)

    def may_render(self, now_us: int, reserve_us: Reserve) -> bool:
        """Return whether the next period can be rendered before its time (playing.render_ahead)."""
        return self._render_ahead.may_render(self.queue, now_us, reserve_us)

    @property
    def synthesising(self) -> bool:
        """True while the vocoder synthesises: in a gap, or before the first packet after one."""
        return self._concealer.synthesising

    def coming(self) -> int | None:
        """Return the kind of the next period (``pi.quality``), None where nothing is decoded or synthesised."""
        return self._render_ahead.coming()

    def render(self, now_us: int, quality: int = FULL) -> Played:
        """Return the 20 ms of this time from the packets that have arrived; call it once for every period, in order.

        quality: a level of ``pi.quality``, which limits the work.
        """
        self._timer.start()
        self._concealer.set_quality(quality)
        self._qualities[quality] += 1
        queued = self._speech.queued
        frames, idle = self._speech.fill(now_us)
        if idle == SILENCE and not queued and not frames:
            return self._silent()
        self._started = True
        pcm = self._speech.take(idle, now_us)
        return played(pcm, frames, self._speech.given_up(), idle or HOLD, self._timer.stop())

    def _silent(self) -> Played:
        if self._buffer.ended:
            reason = "stream ended"
            self._statistics.settle(self._buffer.beyond_last())
        else:
            reason = "buffering anew" if self._started else "before the stream"
        pcm = self._speech.silence()
        self._statistics.silence()
        return Played(pcm, SILENCE, None, reason, 0, self._timer.stop(), self._speech.given_up(), of_stream=False)

    def report(self) -> DeviceReport:
        """Return all counts so far, as plain JSON values with units in the names."""
        statistics = self._statistics.report()
        return {
            "stream": {"ssrc": self.ssrc, "highest": self._buffer.highest, "sequence": self._input.sequence},
            "playout_ms": self.playout_ms,
            "adaptive": self.adaptive,
            "conceal": self.conceal,
            **figures.document(
                self._input, self._buffer, self._playout, self._speech.stretch, self._concealer, statistics
            ),
            "load": dict(zip(QUALITY, self._qualities, strict=True)),
            "budget": self._timer.budget.report(),
            **({"enhancement": self.enhancer.report()} if self.enhancer else {}),
            **({"queue": figures.ahead(self.queue, self._timer, statistics)} if self.queue.periods else {}),
        }


def _timer(real_time: bool, cpu_clock: Callable[[], int] | None) -> StageTimer:
    """Return the timer of stages: without a CPU clock by the thread's in real time, else by one that stands still."""
    own = time.thread_time_ns if real_time else _no_time
    return StageTimer(cpu_clock or own, time.monotonic_ns if real_time else None)


def _no_time() -> int:
    return 0
