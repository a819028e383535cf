# SPDX-License-Identifier: BSD-2-Clause
"""The receiver: RTP datagrams in, one decision per 20 ms out, always."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dredge_device.jitter import PERIOD_US, JitterBuffer
from dredge_device.pi.intake import Intake
from dredge_device.pi.ladder import Ladder
from dredge_device.pi.meter import Meter
from dredge_device.pi.parts import CONCEAL_MODES, Parts, Pcm, real_parts
from dredge_device.telemetry import Bursts
from dredge_device.timeline import SOURCES


@dataclass
class Played:
    """One period of 20 ms.

    pcm: int16[320]; source: opus, lbrr, dred, plc, conceal or silence; packet: its running
    sequence number, None in silence; reason: why DRED could not help, or why it is silent;
    delay_ms: how long after its (jitter-free) arrival the packet is played; cpu_us: CPU time.
    """

    pcm: Pcm
    source: str
    packet: int | None
    reason: str
    delay_ms: float
    cpu_us: int


class Receiver:
    """Plays a stream of RTP packets with constant delay and fills what is lost.

    ``clock`` returns seconds, on the same time base as ``push``'s now. Without one the monotonic
    clock is used and CPU time is measured; with one everything is deterministic and CPU time is 0
    unless ``cpu_clock`` (nanoseconds) is given too. ``parts`` replaces decoder and models.
    Not thread-safe: the caller holds a lock around push and pull.

    Raises ValueError for an unknown concealment mode or an impossible delay.
    """

    def __init__(
        self,
        playout_ms: int = 1000,
        conceal: str = "dred",
        use_lbrr: bool = True,
        clock: Callable[[], float] | None = None,
        cpu_clock: Callable[[], int] | None = None,
        parts: Parts | None = None,
    ) -> None:
        if conceal not in CONCEAL_MODES:
            raise ValueError(f"conceal is '{conceal}', expected one of {', '.join(CONCEAL_MODES)}")
        if cpu_clock is None:
            cpu_clock = time.thread_time_ns if clock is None else _no_time
        parts = parts if parts is not None else real_parts(conceal)
        self.conceal = conceal
        self.playout_ms = playout_ms
        self._clock = clock if clock is not None else time.monotonic
        self._buffer = JitterBuffer(playout_ms)
        self._intake = Intake(self._buffer, parts.carrier)
        self._meter = Meter(cpu_clock)
        self._ladder = Ladder(parts, self._buffer, use_lbrr, self._meter)
        self._sources: Counter[str] = Counter()
        self._reasons: Counter[str] = Counter()
        self._bursts = Bursts()
        self._periods = 0  # of the stream, lost ones included, silence not
        self._delay_sum = 0.0
        self._delay_max = 0.0
        self._started = False

    def push(self, datagram: bytes, now: float) -> None:
        """A datagram arrived at this time (seconds). Whatever it holds, nothing is raised."""
        if self._intake.push(datagram, _micros(now)):
            self._ladder.restart()
            self._periods -= self._bursts.forget()

    def announce(self, ssrc: int, sequence: int) -> None:
        """The sender's first packet, so that losses before the first arrival count as losses."""
        self._intake.announce(ssrc, sequence)

    def finish(self, sequence: int) -> None:
        """The sender's last packet (16-bit sequence number): after it there is only silence."""
        self._intake.finish(sequence)

    @property
    def ended(self) -> bool:
        """True once a finished stream has been played to its end."""
        return self._buffer.ended

    @property
    def ssrc(self) -> int | None:
        """The sender that is heard."""
        return self._intake.ssrc

    def pull(self) -> Played:
        """The next 20 ms; call it once per period."""
        now_us = _micros(self._clock())
        self._meter.start()
        number = self._buffer.step(now_us)
        if number is None:
            return self._silent()
        self._started = True
        choice = self._ladder.play(number)
        cpu_us = self._meter.stop()
        delay_ms = self._buffer.delay_us(number, now_us) / 1000
        self._count(choice.source, choice.reason, delay_ms, self._buffer.get(number) is None)
        return Played(choice.pcm, choice.source, number, choice.reason, delay_ms, cpu_us)

    def _silent(self) -> Played:
        if self._buffer.ended:
            reason = "stream ended"
            self._settle()
        else:
            reason = "buffering anew" if self._started else "before the stream"
        pcm = self._ladder.silence()
        self._sources["silence"] += 1
        return Played(pcm, "silence", None, reason, 0.0, self._meter.stop())

    def _settle(self) -> None:
        """The end is known: losses before it are losses, periods after it were none."""
        self._periods -= self._bursts.forget(self._buffer.beyond_last())
        self._bursts.close()

    def _count(self, source: str, reason: str, delay_ms: float, lost: bool) -> None:
        self._sources[source] += 1
        if reason:
            self._reasons[reason] += 1
        self._bursts.step(lost)
        self._periods += 1
        self._delay_sum += delay_ms
        self._delay_max = max(self._delay_max, delay_ms)

    def report(self) -> dict[str, Any]:
        """Everything counted so far, as plain JSON values with units in the names."""
        lost, open_run = self._bursts.lost, self._bursts.open()
        expected = self._periods - open_run
        return {
            "stream": {"ssrc": self.ssrc, "highest": self._buffer.highest},
            "playout_ms": self.playout_ms,
            "conceal": self.conceal,
            "packets": self._packets(expected, lost),
            "loss_pct": round(100 * lost / expected, 3) if expected else 0.0,
            "bursts": self._bursts.histogram(),
            "burst_mean": round(self._bursts.mean(), 3),
            "burst_longest": self._bursts.longest,
            "sources": {name: self._sources[name] for name in SOURCES},
            "reasons": dict(sorted(self._reasons.items())),
            "delay_ms": {
                "mean": round(self._delay_sum / self._periods, 3) if self._periods else 0.0,
                "max": round(self._delay_max, 3),
                "jitter": round(self._intake.jitter.units() / 48, 3),
                "buffered": self._buffer.depth() * PERIOD_US // 1000,
            },
            "dred": self._dred(),
            "budget": self._meter.budget.report(),
        }

    def _packets(self, played: int, lost: int) -> dict[str, int]:
        counts = self._intake.counters.snapshot()
        for name in ("duplicate", "late", "reordered", "beyond", "resyncs"):
            counts[name] = getattr(self._buffer, name)
        counts["expected"] = played
        counts["lost"] = lost
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
