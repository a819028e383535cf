# SPDX-License-Identifier: BSD-2-Clause
# Answers requests for a board's reports in DRDG messages (docs/reference/protocol.md): a hello is answered and begins
# one report per second, which ends ten seconds after the last hello. No socket, no clock.
from dredge_device import control, fragments
from dredge_device.telemetry import Counters

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


_PERIOD_US = const(1000000)
_WATCH_S = const(10)


# describe() returns the board's description of itself, measure() the figures of a report (both dicts).
class Reporter:
    def __init__(self, schema, describe, measure, ssrc=0x64726462):
        self._schema = schema
        self._describe = describe
        self._measure = measure
        self._ssrc = ssrc
        self._left = 0  # reports until the next hello is needed
        self._due_us = 0
        self._number = 0
        self.peer = None
        self.counters = Counters(("datagrams", "garbage", "other_version"))

    # Return the answers to one datagram, for its sender.
    def handle(self, datagram, peer, now_us):
        self.counters.add("datagrams")
        try:
            messages = control.parse(datagram)
        except control.VersionError:
            self.counters.add("other_version")
            return [self._answer(control.HELLO, 0, self._describe())]
        except ValueError:
            self.counters.add("garbage")
            return []
        answers = []
        for message in messages:
            if message.kind == control.HELLO:
                if self._left == 0:
                    self._due_us = now_us
                self.peer = peer
                self._left = _WATCH_S
                answers.append(self._answer(control.HELLO, message.number, self._describe()))
            elif message.kind == control.BYE:
                self._left = 0
                answers.append(self._answer(control.BYE, message.number, {"ok": True}))
        return answers

    def _answer(self, kind, number, document):
        return control.build(
            control.with_document(kind, number, document, control.REPLY, self._ssrc)
        )

    # Return the datagrams due now, for self.peer; late(now, due): whether now is after due (boards' clocks wrap
    # around).
    def tick(self, now_us, late):
        if self._left == 0 or not late(now_us, self._due_us):
            return []
        self._due_us = now_us + _PERIOD_US
        self._left -= 1
        self._number += 1
        document = self._measure()
        document["schema"] = self._schema
        document["number"] = self._number
        document["control"] = self.counters.snapshot()
        return fragments.Outgoing(self._number, document, False, self._ssrc).due(now_us)
