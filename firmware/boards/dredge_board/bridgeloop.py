# SPDX-License-Identifier: BSD-2-Clause
# The bridge's main loop: waits for either side, moves what came, keeps time.
import gc
import select
import sys
import time

from dredge_board.bridge import Bridge
from dredge_board.reports import Reporter
from dredge_device.control import PROTOCOL_VERSION
from dredge_device.units import PACKET_US

_PERIOD_MS = PACKET_US // 1000
_PIECE = 256
_SILENT_MS = 10000
SCHEMA = "dredge-bridge-report-1"


def _late(now_us, due_us):
    return time.ticks_diff(now_us, due_us) >= 0


class BridgeLoop:
    def __init__(self, network, uart, answers, about):
        self.bridge = Bridge(network, uart)
        self._network = network
        self._uart = uart
        self._answers = answers
        self._about = about
        self.reporter = Reporter(SCHEMA, self.describe, self.measure)
        self._piece = bytearray(_PIECE)
        self._poll = select.poll()
        self._poll.register(uart, select.POLLIN)
        self._poll.register(answers.socket, select.POLLIN)
        self._watch_network()
        self._heard_ms = time.ticks_ms()
        self._period_ms = time.ticks_ms()
        self._collected_us = 0

    def _watch_network(self):
        self._poll.register(self._network.socket, select.POLLIN)

    def describe(self):
        about = {"ok": True, "protocol": PROTOCOL_VERSION, "role": "bridge", "board": sys.platform}
        about["version"] = ".".join(str(part) for part in sys.implementation[1][:3])
        about.update(self._about)
        return about

    def measure(self):
        document = self.bridge.measure()
        document["heap"] = {"free": gc.mem_free(), "used": gc.mem_alloc(), "collect_us": self._collected_us}
        return document

    # Once round: waits at most until the next period for something to do.
    def step(self):
        wait = _PERIOD_MS - time.ticks_diff(time.ticks_ms(), self._period_ms)
        if not self.bridge.is_flushed():
            wait = min(wait, 1)
        for ready in self._poll.ipoll(max(0, wait)):
            if ready[0] is self._uart:
                self._from_line()
            elif ready[0] is self._network.socket:
                self._from_network()
            else:
                self._asked()
        self.bridge.flush()
        if time.ticks_diff(time.ticks_ms(), self._period_ms) >= _PERIOD_MS:
            self._period_ms = time.ticks_add(self._period_ms, _PERIOD_MS)
            self._period()

    def _from_line(self):
        start = time.ticks_us()
        count = self._uart.readinto(self._piece)
        if count:
            self.bridge.from_line(self._piece, count)
        self.bridge.spent(1, time.ticks_diff(time.ticks_us(), start))

    def _from_network(self):
        start = time.ticks_us()
        datagram = self._network.read()
        if datagram is not None:
            self._heard_ms = time.ticks_ms()
            self.bridge.to_line(datagram)
        self.bridge.spent(0, time.ticks_diff(time.ticks_us(), start))

    def _asked(self):
        came = self._answers.read()
        if came is not None:
            self._answers.write(self.reporter.handle(came[0], came[1], time.ticks_us()), came[1])

    def _period(self):
        self.bridge.period()
        self._answers.write(self.reporter.tick(time.ticks_us(), _late), self.reporter.peer)
        silent = time.ticks_diff(time.ticks_ms(), self._heard_ms) > _SILENT_MS
        if silent and self._network.known and self._network.listens():
            self._poll.unregister(self._network.socket)
            self._network.reopen()
            self._watch_network()
        if gc.mem_free() < gc.mem_alloc():  # before it is urgent, between two periods
            start = time.ticks_us()
            gc.collect()
            self._collected_us = max(self._collected_us, time.ticks_diff(time.ticks_us(), start))

    def run(self):
        while True:
            self.step()
