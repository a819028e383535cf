# SPDX-License-Identifier: BSD-2-Clause
"""A board whose time passes by work: the real sessions, receivers, queue and governor with costs that were measured.

Costs are million instructions per 20 ms on NEON (Cortex-A53), executed under emulation; a speed in million instructions
per second turns them into time. Decoders and models are stand-ins: what is decided depends on costs alone.
"""

from dataclasses import dataclass

from device_fakes import FakeVocoder, fake_parts, packet

from dredge_device import control, rtp
from dredge_device.agent import Agent
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_device.units import PACKET_US


@dataclass(frozen=True)
class Work:
    """Million instructions: of a received period; of 20 ms of the vocoder with what goes with them; of its priming; of
    the way back to the decoder after a gap; of the RDO-VAE per 40 ms; of the decoder's own concealment."""

    plain: float
    speech: float
    priming: float
    after: float
    latents: float = 0.27
    conceal: float = 0.45


# Of `make count-pi`, docs/notes/performance.md ("A gap").
STANDARD = Work(plain=0.34, speech=5.5, priming=7.8, after=3.1)
SMALL = Work(plain=0.34, speech=3.9, priming=6.2, after=3.2)


class Working:
    """A part whose calls take time."""

    def __init__(self, part, spend, **costs):
        self._part, self._spend, self._costs = part, spend, costs

    def __getattr__(self, name):
        call = getattr(self._part, name)

        def timed(*arguments, **named):
            cost = self._costs.get(name, 0)
            self._spend(cost(*arguments) if callable(cost) else cost)
            return call(*arguments, **named)

        return timed


class Collected:
    """An output: the times of what was spoken."""

    def __init__(self):
        self.times = []

    def write(self, pcm, spoken, at_us):
        if spoken:
            self.times.append(at_us)

    def close(self):
        return {}

    def discard(self):
        pass


class Board:
    """So many million instructions per second; ``busy``: share of the time that other programs take, or a function that
    returns the one during the next call."""

    def __init__(self, mips, work=STANDARD, small=SMALL, streams=1, playout_ms=1000, adaptive=False, busy=0.0):
        self.now_us, self.cpu_us = 0, 0
        self._mips, self._work, self._small = mips, work, small
        self._busy = busy if callable(busy) else lambda: busy
        self._options = {"playout_ms": playout_ms, "adaptive": adaptive, "conceal": "dred", "lbrr": False,
                         "vocoder": "standard"}  # fmt: skip
        self.governor = Governor(lambda: int(self.now_us), lambda: int(self.cpu_us))
        self.sessions = Sessions(self._make, streams, self.governor, clock=lambda: int(self.now_us))

    def spend(self, instructions):
        """Work of so many million instructions."""
        us = instructions / self._mips * 1e6
        self.cpu_us += us
        self.now_us += us / (1 - self._busy())

    def _parts(self):
        parts, work = fake_parts(), self._work
        parts.decoder = Working(parts.decoder, self.spend, decode=work.plain, conceal=work.conceal)
        parts.dred = Working(parts.dred, self.spend, features=self._latents(work.latents))
        parts.vocoder = Working(parts.vocoder, self.spend, begin=work.priming, synthesise=work.speech, tail=work.after)
        less = self._small
        parts.small_vocoder = Working(FakeVocoder(), self.spend, begin=less.priming, synthesise=less.speech,
                                      tail=less.after)  # fmt: skip
        return parts

    def _latents(self, cost):
        done = {}

        def spent(parsed, frames):
            more = max(0, frames - done.get(parsed.number, 0))
            done[parsed.number] = max(frames, done.get(parsed.number, 0))
            return cost * more / 4

        return spent

    def _make(self, index):
        def receiver(options):
            return Receiver(options["playout_ms"], "dred", False, clock_us=lambda: int(self.now_us),
                            cpu_clock=lambda: int(1000 * self.cpu_us), parts=self._parts(),
                            adaptive=options["adaptive"])  # fmt: skip

        return StreamSession(Agent(receiver, self._options, {"ok": True}), Collected())

    def run(self, count, lost, hosts=1, transit_us=3000, disturb=None):
        """Send ``count`` packets per host, those not lost(host, n), and let the device work until all is played.

        disturb(board) is called after every step; returns the reports of all streams.
        """
        coming = sorted(
            (PACKET_US * n + transit_us + 100 * host, host, n)
            for host in range(hosts) for n in range(count) if not lost(host, n)
        )
        for host in range(hosts):
            hello = control.with_document(control.CONFIGURE, 1, {"ssrc": 7, "first_sequence": 0, "first_timestamp": 0})
            self.sessions.handle(control.build(hello), host, 0)
        tick_us, end_us = PACKET_US // 2, PACKET_US * count + self._options["playout_ms"] * 1000 + 200_000
        while self.now_us < end_us:
            while coming and coming[0][0] <= self.now_us:
                at_us, host, n = coming.pop(0)
                self.sessions.handle(rtp.build(n, 960 * n, 7, packet(n)), host, at_us)
                if not coming:
                    self._finish(count)
            if self.now_us >= tick_us:
                self.sessions.tick(tick_us)
                tick_us += PACKET_US
            if not self.sessions.render(int(self.now_us)):
                self.now_us = max(self.now_us, tick_us)
            if disturb is not None:
                disturb(self)
        return [stream.agent.receiver.report() for stream in self.sessions.streams]

    def _finish(self, count):
        for stream in self.sessions.streams:
            stream.agent.receiver.finish(count - 1 & 0xFFFF, 960 * (count - 1))

    def sources(self, host=0):
        """Source of every packet."""
        from dredge_device.timeline import expand, numbers

        part = self.sessions.streams[host].agent.reports.timeline.part()
        return dict(zip(numbers(part), expand(part)[0], strict=True))
