# SPDX-License-Identifier: BSD-2-Clause
"""The receiver: RTP datagrams in, one decision per 20 ms out, always."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dredge_device import playout
from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.dred_source import NO_LATER, DredSource
from dredge_device.pi.concealment.gap_ends import GapEnds
from dredge_device.pi.concealment.time_stretch import TimeStretch
from dredge_device.pi.factory import Parts, real_parts
from dredge_device.pi.foresight import Foresight
from dredge_device.pi.fullband.fullband import beyond_speech
from dredge_device.pi.input.payloads import NOT_AGREED, PayloadTypes
from dredge_device.pi.input.rtp_input import RtpInput
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.interface import SPEECH, Format
from dredge_device.pi.playout_statistics import PlayoutStatistics
from dredge_device.pi.quality import AFTER, FIRST, FOUND, FULL, NEXT, PLAIN, QUALITY
from dredge_device.pi.render_queue import LONGEST_US, RenderQueue
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import CONCEAL_MODES, PACKET_SAMPLES, PACKET_US
from dredge_models import vocoders

_MOST_FRAMES = 2  # decoded in one period; more would endanger the deadline
_ROOM = 160  # samples wanted beyond the period while speech is being shortened


@dataclass
class Frame:
    """One packet period: number, source, why DRED could not help, delay, CPU time."""

    packet: int
    source: str
    reason: str
    delay_ms: float
    cpu_us: int = 0


@dataclass
class Played:
    """20 ms of output.

    pcm: int16[320], or as the receiver's ``form`` says; frames: the packet periods decoded for it: one, or when the
    speech is shortened or lengthened sometimes none or two; spoken: it belongs to the stream; source,
    packet, reason, delay_ms: of the last frame, ``silence`` or ``hold`` without one, and why;
    cpu_us: CPU time.
    """

    pcm: Pcm
    source: str
    packet: int | None
    reason: str
    delay_ms: float
    cpu_us: int
    frames: list[Frame] = field(default_factory=list)
    spoken: bool = True


class Receiver:
    """Plays a stream of RTP packets and fills what is lost.

    playout_ms is the constant delay, or with ``adaptive`` the longest one (dredge_device.playout).
    ``clock`` returns seconds, on the same time base as ``push``'s now. Without one the monotonic
    clock is used and CPU time is measured; with one everything is deterministic and CPU time is 0
    unless ``cpu_clock`` (nanoseconds) is given too. ``parts`` replaces decoder and models.
    Not thread-safe: the caller holds a lock around push and pull.

    ``payload_types``: what was agreed on (dredge_device.pi.input.payloads); else Opus is found by its packets.

    ``vocoder``: a name of dredge_models.vocoders; ``opus_complexity``: of libopus' decoder (5: its network conceals, 6
    and 7: its networks enhance what was decoded), see ``enhancer``; ``form``: of what is played (pi.fullband).

    Raises ValueError for an unknown concealment mode or vocoder, or an impossible delay.
    """

    def __init__(
        self,
        playout_ms: int = 1000,
        conceal: str = "dred",
        use_lbrr: bool = True,
        clock: Callable[[], float] | None = None,
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
        if cpu_clock is None:
            cpu_clock = time.thread_time_ns if clock is None else _no_time
        parts = parts if parts is not None else real_parts(conceal, vocoder, opus_complexity=opus_complexity)
        self.enhancer = parts.enhancer
        self.conceal = conceal
        self.playout_ms = playout_ms
        self.adaptive = adaptive
        self._clock = clock if clock is not None else time.monotonic
        self._buffer = JitterBuffer(playout_ms)
        self._playout = playout.Playout(self._buffer, adaptive)
        self._input = RtpInput(self._buffer, parts.reader, payload_types.opus, payload_types.red)
        self._timer = StageTimer(cpu_clock, time.monotonic_ns if clock is None else None)
        dred_source = DredSource(self._buffer, parts.reader, parts.dred) if parts.dred else None
        self._concealer = Concealer(parts, dred_source, GapEnds(parts, self._buffer, use_lbrr), use_lbrr, self._timer)
        self._foresight = Foresight(self._buffer, self._concealer)
        self._beyond = beyond_speech(form, self._timer)
        self._stretch = TimeStretch(self._beyond.queue)
        self.queue = RenderQueue()
        self._statistics = PlayoutStatistics()
        self._skipped: list[Frame] = []
        self._qualities = [0] * len(QUALITY)
        self._started = False
        self._stood = 0  # periods for which playout has been standing still

    def push(self, datagram: bytes, now: float) -> None:
        """A datagram arrived at this time (seconds). Whatever it holds, nothing is raised."""
        if self._input.push(datagram, _micros(now)):
            self._concealer.restart()
            self._playout.restart()
            self._stretch.clear()
            self._beyond.restart()
            self._statistics.forget_open()

    def rekeyed(self) -> None:
        """The next packet comes under other keys: a new stream, of which the old one knows nothing."""
        self._input.rekeyed()

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """The sender's first packet, so that losses before the first arrival count as losses."""
        self._input.announce(ssrc, sequence, timestamp)

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """The sender's last packet (16-bit sequence number): after it there is only silence."""
        self._input.finish(sequence, timestamp)

    @property
    def ended(self) -> bool:
        """True once a finished stream has been played to its end."""
        return self._buffer.ended and not self._stretch.queued

    @property
    def ssrc(self) -> int | None:
        """The sender that is heard."""
        return self._input.ssrc

    @property
    def packet_ms(self) -> float | None:
        """Length of the newest packet, None before the first."""
        return self._input.packet_ms

    @property
    def payload_type(self) -> int | None:
        """The payload type that carries the speech, once that is known."""
        return self._input.payload_type

    def pull(self, quality: int = FULL) -> Played:
        """The 20 ms of this moment, by the receiver's clock; call it once per period or use ``render``."""
        return self.render(_micros(self._clock()), quality)

    def may_render(self, now_us: int, reserve_us: Callable[[int, bool], int]) -> bool:
        """True when the next period can be rendered now although its time may not have come.

        That is when nothing that may still arrive would change it, or so long before its time as periods of its kind
        need, as far as the playout delay allows. Its time is ``queue.next_us``. ``reserve_us(kind, together)``: the
        time they need; together: all streams may have one at once.
        """
        queue, playout = self.queue, self._playout
        assert queue.next_us is not None
        queue.reserve_us = 0
        if not self._over:
            first = FIRST if self._concealer.has_vocoder else PLAIN
            wanted = reserve_us(self._dearest(), not self.adaptive), reserve_us(first, False)
            queue.reserve_us = playout.reserve_us(*wanted, queue.next_us, self._queued_us)
        ahead_us = queue.ahead_us(now_us)
        return ahead_us <= queue.reserve_us or (ahead_us <= LONGEST_US and self._settled(now_us))

    def _settled(self, now_us: int) -> bool:
        periods = [self._playout.coming(i) for i in range(self._needed)]
        return self._buffer.next is not None and all(p and self._foresight.settled(p, now_us) for p in periods)

    @property
    def _needed(self) -> int:
        """How many packet periods have to be decoded for the next 20 ms."""
        return max(0, -(-(self._wanted() - self._stretch.queued) // PACKET_SAMPLES))

    @property
    def _over(self) -> bool:
        """True when the sender's last packet has been rendered."""
        buffer = self._buffer
        return buffer.last is not None and buffer.next is not None and buffer.next > buffer.last

    @property
    def _queued_us(self) -> int:
        return self._stretch.queued * PACKET_US // PACKET_SAMPLES

    @property
    def speaking(self) -> bool:
        """True while the vocoder speaks: in a gap, or before the first packet after one."""
        return self._concealer.speaking

    def coming(self) -> int | None:
        """What the next period will be, a kind of ``pi.quality``; None where nothing is decoded."""
        period, concealer = self._playout.coming(), self._concealer
        if period is None or not self._needed:
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

    def render(self, now_us: int, quality: int = FULL) -> Played:
        """The 20 ms of this time, with what has arrived; once for every period, in order.

        quality: how much work it may be (``pi.quality``).
        """
        self._timer.start()
        self._concealer.set_quality(quality)
        self._qualities[quality] += 1
        queued = self._stretch.queued
        frames: list[Frame] = []
        idle = ""
        while not idle and len(frames) < _MOST_FRAMES and self._stretch.queued < self._wanted():
            idle = self._advance(now_us, frames)
        if idle == "silence" and not queued and not frames:
            return self._silent()
        self._started = True
        if idle:
            concealer = self._concealer
            self._queue_period(concealer.hold() if idle == "hold" else concealer.silence(), None)
        elif self._buffer.next is not None:
            self._correct_lag(now_us)
        pcm = self._beyond.joined(self._stretch.pop())
        if idle == "silence":
            self._stretch.clear()
        cpu_us = self._timer.stop()
        for frame in frames:
            frame.cpu_us = cpu_us // len(frames)
        return self._played(pcm, frames, idle, cpu_us)

    def _wanted(self) -> int:
        return PACKET_SAMPLES + (_ROOM if self._playout.lag_us > 0 else 0)

    def _advance(self, now_us: int, frames: list[Frame]) -> str:
        """Decode the next packet period into the queue; "hold" or "silence" when there is none."""
        queued_us = self._queued_us
        step, concealer = self._playout.step, self._concealer
        action, period = step(now_us, concealer.in_dtx, queued_us)
        if action == playout.HOLD:
            self._stood += 1
            return "hold"
        if period is None:
            return "silence"
        delay_ms = (self._buffer.delay_us(period.number, now_us) + queued_us) / 1000
        if action == playout.SKIP:
            self._pass_over(period, delay_ms)
            return ""
        self._stood = 0
        choice = concealer.render(period)
        self._queue_period(choice.pcm, period.packet if choice.source == "opus" else None)
        frame = Frame(period.number, choice.source, choice.reason, delay_ms)
        frames.append(frame)
        lost = period.packet is None and choice.source != "dtx"
        self._statistics.count(frame, lost)
        return ""

    def _queue_period(self, speech: Pcm, packet: Any) -> None:
        """20 ms are decoded; packet: what they were decoded from, None for speech from elsewhere."""
        self._stretch.push(speech)
        self._beyond.add(packet)

    def _pass_over(self, period: playout.Period, delay_ms: float) -> None:
        """Count a period that is left out, or that turns out to be what was concealed while playout stood still."""
        number, lost = period.number, period.packet is None
        if lost and self._stood:
            source = "conceal" if self.conceal == "opus" else "plc"
            frame = Frame(number, source, NO_LATER, delay_ms - self._stood * PACKET_US / 1000)
            self._stood -= 1
        else:
            frame = Frame(number, "skipped", "", delay_ms)
        self._statistics.count(frame, lost)
        self._skipped.append(frame)

    def _correct_lag(self, now_us: int) -> None:
        """Notice when playout is late or early, and shorten or lengthen the speech."""
        self._playout.observe(now_us, self._queued_us)
        lag = self._playout.lag_us
        if lag:
            hurry = self._playout.hurry()
            samples = self._stretch.shorten(hurry) if lag > 0 else -self._stretch.lengthen(hurry)
            self._playout.corrected(int(samples * PACKET_US / PACKET_SAMPLES))

    def _played(self, pcm: Pcm, frames: list[Frame], idle: str, cpu_us: int) -> Played:
        every = [*self._given_up(), *frames]
        if not frames:
            return Played(pcm, idle or "hold", None, "", 0.0, cpu_us, every)
        last = frames[-1]
        return Played(pcm, last.source, last.packet, last.reason, last.delay_ms, cpu_us, every)

    def _given_up(self) -> list[Frame]:
        """The skipped periods that nobody has been told of."""
        skipped, self._skipped = self._skipped, []
        return skipped

    def _silent(self) -> Played:
        if self._buffer.ended:
            reason = "stream ended"
            self._statistics.settle(self._buffer.beyond_last())
        else:
            reason = "buffering anew" if self._started else "before the stream"
        pcm = self._beyond.silent(self._concealer.silence())
        self._statistics.silence()
        return Played(pcm, "silence", None, reason, 0.0, self._timer.stop(), self._given_up(), spoken=False)

    def report(self) -> dict[str, Any]:
        """Everything counted so far, as plain JSON values with units in the names."""
        statistics = self._statistics.report()
        return {
            "stream": {"ssrc": self.ssrc, "highest": self._buffer.highest, "sequence": self._input.sequence},
            "playout_ms": self.playout_ms,
            "adaptive": self.adaptive,
            "conceal": self.conceal,
            **statistics,
            "packets": {**self._packets(), **statistics["packets"]},
            "delay_ms": {
                **statistics["delay_ms"],
                "jitter": round(self._input.jitter.units() / 48, 3),
                "buffered": self._buffer.depth() * PACKET_US // 1000,
                "target": self._playout.target_us() / 1000,
            },
            "playout": {
                "holds": self._playout.holds,
                "corrections": self._playout.corrections,
                "shortened_ms": self._stretch.removed / 16,
                "lengthened_ms": self._stretch.inserted / 16,
            },
            "dred": self._dred(),
            "load": dict(zip(QUALITY, self._qualities, strict=True)),
            "budget": self._timer.budget.report(),
            **({"enhancement": self.enhancer.report()} if self.enhancer else {}),
            **({"queue": self._queue_report(statistics)} if self.queue.periods else {}),
        }

    def _queue_report(self, statistics: dict[str, Any]) -> dict[str, Any]:
        """What rendering ahead achieved: the queue, the mean load, and the share of losses that was recovered."""
        busy = self._timer.budget.total
        load = 100 * busy.total / (busy.count * PACKET_US) if busy.count else 0.0
        sources, lost = statistics["sources"], statistics["packets"]["lost"]
        recovered = sources["dred"] + sources["lbrr"]
        return {
            **self.queue.report(),
            "load_pct": round(load, 2),
            "headroom_pct": round(100 - load, 2),
            "recovered": recovered,
            "recovered_pct": round(100 * recovered / lost, 2) if lost else 100.0,
        }

    def _packets(self) -> dict[str, int]:
        counts = self._input.counts()
        for name in ("duplicate", "late", "reordered", "beyond", "resyncs"):
            counts[name] = getattr(self._buffer, name)
        arrivals = self._input.arrivals
        counts["sent"] = arrivals.expected()
        counts["arrived"] = arrivals.arrived
        counts["missing"] = arrivals.missing()
        counts["undecodable"] = self._concealer.damaged
        return counts

    def _dred(self) -> dict[str, int]:
        dred_source = self._concealer.dred_source
        return {
            "payloads_parsed": dred_source.parsed if dred_source else 0,
            "bytes_parsed": dred_source.parsed_bytes if dred_source else 0,
            "payloads_damaged": dred_source.damaged if dred_source else 0,
        }


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _no_time() -> int:
    return 0
