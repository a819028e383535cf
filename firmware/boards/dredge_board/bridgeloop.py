# SPDX-License-Identifier: BSD-2-Clause
# The bridge's main loop: waits for either side, moves what came, keeps time.
import select
import time

from dredge_board.bridge import Bridge
from dredge_board.mainloop import MainLoop, described
from dredge_board.reports import Reporter
from dredge_device import control
from dredge_device.units import PACKET_US

_PERIOD_MS = PACKET_US // 1000
_PIECE = 256
_SILENT_MS = 3000  # senders send every 20 ms, in a pause every second: a silent one is gone
_QUIET_MS = 1500  # silence on both sides after a goodbye: the final report was acknowledged
SCHEMA = "dredge-bridge-report-1"


_APP = 204
_BYE = 203
_DRDG = b"DRDG"


def _late(now_us, due_us):
    return time.ticks_diff(now_us, due_us) >= 0


# Return True for a datagram with a goodbye: RTCP's BYE, or a host's DRDG message of that kind
# (docs/reference/protocol.md). Every packet of the compound is examined.
def says_goodbye(datagram):
    size = len(datagram)
    if size < 8 or datagram[1] < 200 or datagram[1] > _APP:
        return False
    at = 0
    while at + 8 <= size:
        kind = datagram[at + 1]
        if kind == _BYE:
            return True
        if kind == _APP and datagram[at] & 31 == control.BYE and datagram[at + 8 : at + 12] == _DRDG:
            return True
        at += 4 * ((datagram[at + 2] << 8 | datagram[at + 3]) + 1)
    return False


class BridgeLoop(MainLoop):
    def __init__(self, network, uart, answers, about):
        super().__init__()
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
        self._poll.register(network.socket, select.POLLIN)
        self._heard_ms = time.ticks_ms()
        self._goodbye_ms = None
        self._period_ms = time.ticks_ms()

    def describe(self):
        about = {"role": "bridge"}
        about.update(self._about)
        return described(about)

    def measure(self):
        document = self.bridge.measure()
        document["heap"] = self._heap()
        return document

    # Run the loop once; waits at most until the next period for an event.
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
            if self._goodbye_ms is not None:
                self._goodbye_ms = time.ticks_ms()
        self.bridge.spent(1, time.ticks_diff(time.ticks_us(), start))

    def _from_network(self):
        start = time.ticks_us()
        datagram = self._network.read(self._turn_away)
        if datagram is not None:
            self._heard_ms = time.ticks_ms()
            if says_goodbye(datagram) or self._goodbye_ms is not None:
                self._goodbye_ms = self._heard_ms
            if len(datagram) > 1 and not 192 <= datagram[1] < 224:  # RTP, not RTCP (RFC 5761 section 4)
                self._goodbye_ms = None  # the peer goes on sending: a new stream of the same host
            self.bridge.to_line(datagram)
        self.bridge.spent(0, time.ticks_diff(time.ticks_us(), start))

    # Handle a datagram of another host while one is served. After a goodbye it gets no answer: it asks again, and is
    # served as soon as the last report of the one before was delivered. No answer is longer than the request.
    def _turn_away(self, datagram, sender):
        if self._goodbye_ms is not None:
            return
        for answer in control.refusals(datagram, "another host is using this bridge"):
            if len(answer) <= len(datagram):
                self._network.answer(answer, sender)

    def _asked(self):
        came = self._answers.read()
        if came is not None:
            self._answers.write(self.reporter.handle(came[0], came[1], time.ticks_us()), came[1])

    def _period(self):
        self.bridge.period()
        self._answers.write(self.reporter.tick(time.ticks_us(), _late), self.reporter.peer)
        now = time.ticks_ms()
        gone = time.ticks_diff(now, self._heard_ms) > _SILENT_MS
        if self._goodbye_ms is not None and time.ticks_diff(now, self._goodbye_ms) > _QUIET_MS:
            gone = True
        if gone and self._network.known:
            self._goodbye_ms = None
            self._network.forget()
        self._collect()
