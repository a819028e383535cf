# SPDX-License-Identifier: BSD-2-Clause
"""A queue of packets of samples, each due by the clock of the board that made them."""

from __future__ import annotations

import numpy as np

from dredge_device.delay import DelayTracker
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.transport import pcm as packets
from dredge_device.rtp import StreamTracker
from dredge_device.units import PACKET_MS, PACKET_SAMPLES, PACKET_US
from dredge_host.audio_io.source import SourceReport

_LEAST_US, _MOST_US = 30_000, 200_000  # shortest and longest buffer against jitter
_MARGIN_US = 10_000  # added to the spread of 99 of 100 packets
_SLEW_US = 200  # largest change of the times per packet, to follow the board's clock and the jitter
_FAR_US = 100_000  # further behind than this, packets are left out
_LATE_RUN = 10  # so many late packets in a row mean that the board or the network paused
_GONE_RUN = 25  # so many missing packets in a row (0.5 s) mean that the board is gone
_MEASURED = 500  # packets (10 s) before the board's clock is compared
_FALL, _RISE = 256, 64  # samples of fade-out and fade-in around a gap


class PcmQueue:
    """Packets of samples that leave by the board's clock; no socket and no clock: times in µs are passed in.

    The samples are not changed; only the times at which they leave follow the board's clock, by the fastest packets of
    the last 8 to 10 s. So the stream has the clock error of the board, which every
    receiver follows. A packet that is missing when it is due is replaced by the speech before it, reversed and fading,
    then by silence.
    """

    def __init__(self) -> None:
        self._tracker = StreamTracker()
        self._generation = 0
        self._delays = DelayTracker(PACKET_US)
        self._waiting: dict[int, Pcm] = {}
        self._next: int | None = None  # the number of the next packet
        self._due_us = 0
        self._late_run = self._missing_run = 0
        self._last = np.zeros(PACKET_SAMPLES, np.int16)
        self._silent = True
        self._steps = 0  # packets since the beginning
        self._begun: tuple[int, int] | None = None  # number and base delay from which the clock is measured
        self.received = self.missing = self.late = self.repeated = self.garbage = self.restarts = self.skipped = 0

    def insert(self, datagram: bytes, at_us: int) -> None:
        """Take in a datagram; one that is not from a board is counted."""
        try:
            ssrc, sequence, pcm = packets.parse(datagram)
        except ValueError:
            self.garbage += 1
            return
        number = self._tracker.admit(ssrc, sequence)
        if number is None:
            return
        if self._tracker.generation != self._generation:
            self.restarts += self._generation > 0
            self._generation = self._tracker.generation
            self._forget()
        self.received += 1
        self._delays.arrival(number, at_us)
        if self._next is None:
            self._begin(number, at_us)
        assert self._next is not None
        if number < self._next:
            self.late += 1
            self._late_run += 1
            if self._late_run < _LATE_RUN:
                return
            self._forget()
            self._delays.arrival(number, at_us)
            self._begin(number, at_us)
        self._late_run = 0
        self.repeated += number in self._waiting
        self._waiting[number] = pcm

    def due_us(self) -> int | None:
        """Return the time at which `take` is due; None without a board."""
        return None if self._next is None else self._due_us

    def take(self) -> Pcm:
        """Return int16[320] that are due now."""
        assert self._next is not None
        number, self._next = self._next, self._next + 1
        pcm = self._waiting.pop(number, None)
        self._step()
        if pcm is not None:
            self.missing += self._missing_run  # only now it is known that they were sent
            self._missing_run = 0
            return self._heard(pcm)
        self._missing_run += 1
        if self._missing_run >= _GONE_RUN:
            self._forget()
        return self._hole()

    def skip_to(self, now_us: int) -> None:
        """Drop the packets that are long overdue, because `take` was not called."""
        while self._next is not None and self._due_us + PACKET_US < now_us:
            self._waiting.pop(self._next, None)
            self._next += 1
            self._due_us += PACKET_US
            self.skipped += 1

    @property
    def delay_us(self) -> int:
        """The time for which a packet without jitter waits here, microseconds."""
        if self._next is None:
            return 0
        return max(0, self._due_us - self._delays.base_us() - self._next * PACKET_US)

    def clock_ppm(self) -> float | None:
        """Return by how many ppm the board's clock is faster than this machine's; None before 20 s are measured."""
        if self._begun is None or self._next is None or self._next - self._begun[0] < _MEASURED:
            return None
        return -1e6 * (self._delays.base_us() - self._begun[1]) / ((self._next - self._begun[0]) * PACKET_US)

    def report(self) -> SourceReport:
        """Return the counters of packets, the delay and the clock."""
        ppm = self.clock_ppm()
        return {
            "received": self.received, "missing": self.missing, "late": self.late, "repeated": self.repeated,
            "garbage": self.garbage, "restarts": self.restarts, "skipped_ms": PACKET_MS * self.skipped,
            "delay_ms": round(self.delay_us / 1000, 1), "clock_ppm": None if ppm is None else round(ppm, 1),
        }  # fmt: skip

    def _begin(self, number: int, at_us: int) -> None:
        self._next, self._due_us = number, at_us + _LEAST_US
        self._missing_run = self._late_run = 0

    def _forget(self) -> None:
        self._delays.reset()
        self._waiting.clear()
        self._next, self._begun, self._steps = None, None, 0

    def _step(self) -> None:
        """Set the next packet's time: 20 ms later, corrected by up to 0.2 ms towards the board's clock."""
        assert self._next is not None
        base = self._delays.base_us()
        wait = min(max(self._delays.spread_us(990) + _MARGIN_US, _LEAST_US), _MOST_US)
        self._due_us += PACKET_US
        off = base + self._next * PACKET_US + wait - self._due_us
        if off < -_FAR_US:  # a burst after a pause: whole packets are dropped, and a concealed gap covers the jump
            left_out = -off // PACKET_US
            for number in range(self._next, self._next + left_out + 1):
                self._waiting.pop(number, None)
            self._next += left_out
            self.skipped += left_out
        else:
            self._due_us += min(max(off, -_SLEW_US), _SLEW_US)
        self._steps += 1
        if self._steps == _MEASURED:  # from now on the base delay comes from the fastest of many packets
            self._begun = self._next, base

    def _heard(self, pcm: Pcm) -> Pcm:
        if self._silent:
            pcm = pcm.copy()
            pcm[:_RISE] = pcm[:_RISE].astype(np.int32) * np.arange(_RISE) // _RISE
        self._silent, self._last = False, pcm
        return pcm

    def _hole(self) -> Pcm:
        out = np.zeros(PACKET_SAMPLES, np.int16)
        if not self._silent:
            out[:_FALL] = self._last[::-1][:_FALL].astype(np.int32) * np.arange(_FALL - 1, -1, -1) // _FALL
        self._silent = True
        return out
