# SPDX-License-Identifier: BSD-2-Clause
"""The receiver: RTP datagrams in, one decision per 20 ms out, always."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from dredge_device import playout
from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.concealment.dred_source import TOO_LONG
from dredge_device.pi.concealment.time_stretch import TimeStretch
from dredge_device.pi.factory import Parts, real_parts
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.playout_statistics import PlayoutStatistics
from dredge_device.pi.rtp_input import RtpInput
from dredge_device.pi.service.governor import EFFORTS, FULL
from dredge_device.pi.stage_timer import StageTimer
from dredge_device.units import CONCEAL_MODES, PACKET_SAMPLES, PACKET_US
from dredge_models import vocoders

RATE_US = 62.5  # one sample
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

    pcm: int16[320]; frames: the packet periods decoded for it: one, or when the speech is
    shortened or lengthened sometimes none or two; spoken: it belongs to the stream; source,
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

    ``vocoder``: a name of dredge_models.vocoders.

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
    ) -> None:
        if conceal not in CONCEAL_MODES:
            raise ValueError(f"conceal is '{conceal}', expected one of {', '.join(CONCEAL_MODES)}")
        if cpu_clock is None:
            cpu_clock = time.thread_time_ns if clock is None else _no_time
        parts = parts if parts is not None else real_parts(conceal, vocoder)
        self.conceal = conceal
        self.playout_ms = playout_ms
        self.adaptive = adaptive
        self._clock = clock if clock is not None else time.monotonic
        self._buffer = JitterBuffer(playout_ms)
        self._playout = playout.Playout(self._buffer, adaptive)
        self._intake = RtpInput(self._buffer, parts.carrier)
        self._meter = StageTimer(cpu_clock, time.monotonic_ns if clock is None else None)
        self._ladder = Concealer(parts, self._buffer, use_lbrr, self._meter)
        self._stretch = TimeStretch()
        self._tally = PlayoutStatistics()
        self._skipped: list[Frame] = []
        self._efforts = [0] * len(EFFORTS)
        self._started = False

    def push(self, datagram: bytes, now: float) -> None:
        """A datagram arrived at this time (seconds). Whatever it holds, nothing is raised."""
        if self._intake.push(datagram, _micros(now)):
            self._ladder.restart()
            self._playout.restart()
            self._stretch.clear()
            self._tally.forget_open()

    def rekeyed(self) -> None:
        """The next packet comes under other keys: a new stream, of which the old one knows nothing."""
        self._intake.rekeyed()

    def announce(self, ssrc: int, sequence: int, timestamp: int | None = None) -> None:
        """The sender's first packet, so that losses before the first arrival count as losses."""
        self._intake.announce(ssrc, sequence, timestamp)

    def finish(self, sequence: int, timestamp: int | None = None) -> None:
        """The sender's last packet (16-bit sequence number): after it there is only silence."""
        self._intake.finish(sequence, timestamp)

    @property
    def ended(self) -> bool:
        """True once a finished stream has been played to its end."""
        return self._buffer.ended and not self._stretch.queued

    @property
    def ssrc(self) -> int | None:
        """The sender that is heard."""
        return self._intake.ssrc

    def pull(self, effort: int = FULL) -> Played:
        """The next 20 ms; call it once per period. effort: how much work it may be (pi.load)."""
        now_us = _micros(self._clock())
        self._meter.start()
        self._ladder.spend(effort)
        self._efforts[effort] += 1
        queued = self._stretch.queued
        frames: list[Frame] = []
        idle = ""
        while not idle and len(frames) < _MOST_FRAMES and self._stretch.queued < self._wanted():
            idle = self._advance(now_us, frames)
        if idle == "silence" and not queued and not frames:
            return self._silent()
        self._started = True
        if idle:
            self._stretch.push(self._idle_speech(idle))
        elif self._buffer.next is not None:
            self._settle_debt(now_us)
        pcm = self._stretch.pop()
        if idle == "silence":
            self._stretch.clear()
        cpu_us = self._meter.stop()
        for frame in frames:
            frame.cpu_us = cpu_us // len(frames)
        return self._played(pcm, frames, idle, cpu_us)

    def _wanted(self) -> int:
        return PACKET_SAMPLES + (_ROOM if self._playout.debt_us > 0 else 0)

    def _advance(self, now_us: int, frames: list[Frame]) -> str:
        """Decode the next packet period into the queue; "hold" or "silence" when there is none."""
        queued_us = int(self._stretch.queued * RATE_US)
        step, ladder = self._playout.step, self._ladder
        action, number = step(now_us, ladder.describable, ladder.resting, queued_us)
        if action == playout.HOLD:
            return "hold"
        if number is None:
            return "silence"
        delay_ms = (self._buffer.delay_us(number, now_us) + queued_us) / 1000
        if action == playout.SKIP:
            lost = self._buffer.get(number) is None
            frame = Frame(number, "skipped", TOO_LONG if lost else "", delay_ms)
            self._tally.count(frame, lost)
            self._skipped.append(frame)
            return ""
        choice = ladder.play(number)
        self._stretch.push(choice.pcm)
        frame = Frame(number, choice.source, choice.reason, delay_ms)
        frames.append(frame)
        lost = self._buffer.get(number) is None and choice.source != "dtx"
        self._tally.count(frame, lost)
        return ""

    def _idle_speech(self, idle: str) -> Pcm:
        return self._ladder.hold() if idle == "hold" else self._ladder.silence()

    def _settle_debt(self, now_us: int) -> None:
        """Notice when playout is late or early, and shorten or lengthen the speech."""
        self._playout.observe(now_us, int(self._stretch.queued * RATE_US))
        debt = self._playout.debt_us
        if debt:
            samples = self._stretch.shorten() if debt > 0 else -self._stretch.lengthen()
            self._playout.paid(int(samples * RATE_US))

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
            self._tally.settle(self._buffer.beyond_last())
        else:
            reason = "buffering anew" if self._started else "before the stream"
        pcm = self._ladder.silence()
        self._tally.silence()
        return Played(pcm, "silence", None, reason, 0.0, self._meter.stop(), self._given_up(), spoken=False)

    def report(self) -> dict[str, Any]:
        """Everything counted so far, as plain JSON values with units in the names."""
        tally = self._tally.report()
        return {
            "stream": {"ssrc": self.ssrc, "highest": self._buffer.highest, "sequence": self._intake.sequence},
            "playout_ms": self.playout_ms,
            "adaptive": self.adaptive,
            "conceal": self.conceal,
            **tally,
            "packets": {**self._packets(), **tally["packets"]},
            "delay_ms": {
                **tally["delay_ms"],
                "jitter": round(self._intake.jitter.units() / 48, 3),
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
            "load": dict(zip(EFFORTS, self._efforts, strict=True)),
            "budget": self._meter.budget.report(),
        }

    def _packets(self) -> dict[str, int]:
        counts = self._intake.counters.snapshot()
        for name in ("duplicate", "late", "reordered", "beyond", "resyncs"):
            counts[name] = getattr(self._buffer, name)
        arrivals = self._intake.arrivals
        counts["sent"] = arrivals.expected()
        counts["arrived"] = arrivals.arrived
        counts["missing"] = arrivals.missing()
        counts["undecodable"] = self._ladder.damaged
        return counts

    def _dred(self) -> dict[str, int]:
        recovery = self._ladder.recovery
        return {
            "payloads_parsed": recovery.parsed if recovery else 0,
            "bytes_parsed": recovery.parsed_bytes if recovery else 0,
            "payloads_damaged": recovery.damaged if recovery else 0,
        }


def _micros(seconds: float) -> int:
    return round(seconds * 1e6)


def _no_time() -> int:
    return 0
