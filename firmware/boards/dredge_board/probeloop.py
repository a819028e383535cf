# SPDX-License-Identifier: BSD-2-Clause
# The probe's main loop: one UDP socket for media and control, one decision per 20 ms.
import select
import time

from dredge_board.mainloop import MainLoop, described
from dredge_board.probe import Probe
from dredge_board.udp import OpenPort
from dredge_device import agent
from dredge_device.units import PACKET_US

_PERIODS = 1500  # 30 s of timeline are 9 kB; the counters have no limit


# A clock of microseconds that continues where the ticks of a board wrap around.
class Clock:
    def __init__(self):
        self._last = time.ticks_us()
        self._us = 0

    def now(self):
        ticks = time.ticks_us()
        self._us += time.ticks_diff(ticks, self._last)
        self._last = ticks
        return self._us


class ProbeLoop(MainLoop):
    def __init__(self, port):
        super().__init__()
        self._port = OpenPort(port)
        self._clock = Clock()
        options = {"playout_ms": 1000, "conceal": "dred", "lbrr": False, "adaptive": False}
        self._agent = agent.Agent(self._make, options, self._about(), periods=_PERIODS)
        self._poll = select.poll()
        self._poll.register(self._port.socket, select.POLLIN)
        self._due_us = self._clock.now() + PACKET_US

    def _make(self, options):
        return Probe(options, self._clock.now)

    def _about(self):
        return described({"role": "probe", "models": [], "capabilities": ["report", "timeline"]})

    # Run the loop once: take in all datagrams, then end the period if it is over.
    def step(self):
        self._poll.poll(max(0, (self._due_us - self._clock.now()) // 1000))
        came = self._port.read()
        while came is not None:
            self._port.write(self._agent.handle(came[0], came[1], self._clock.now()), came[1])
            came = self._port.read()
        if self._clock.now() >= self._due_us:
            self._due_us += PACKET_US
            self._period()

    def _period(self):
        if self._agent.state in (agent.ACTIVE, agent.DRAINING):
            self._agent.receiver.counters.add("too_long", self._port.too_long)
            self._port.too_long = 0
            decided = self._agent.receiver.pull()
            if decided is not None:
                self._agent.played(*decided)
        self._port.write(self._agent.tick(self._clock.now()), self._agent.peer)
        if self._agent.over():
            self._agent.renew()
