# SPDX-License-Identifier: BSD-2-Clause
# The device's half of a session: answers to the host, and the times of reports. It has no socket, clock or thread:
# datagrams and times (integer microseconds) are passed in, and datagrams are returned.
from dredge_device import control, rtcp, rtp
from dredge_device.session import (
    ACTIVE,
    DRAINING,
    IDLE,
    PLAIN_SILENT_US,
    REPORTING,
    Session,
)

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


__all__ = ["ACTIVE", "DRAINING", "IDLE", "PLAIN_SILENT_US", "REPORTING", "Agent"]

_YIELD_US = const(10000000)  # a host silent for this long gives way to another one
_UNPROVEN_US = const(2000000)  # … or after this long, when it sent nothing after its hello
_PLAIN_YIELD_US = const(200000)  # a plain sender silent for this long gives way to one from the same machine


# options: the session's, with the values of the device; a host may set only these. make_receiver(options) returns an
# object with push, finish, announce, ended, ssrc, report, or None while it is being built elsewhere; it may raise
# ValueError or RuntimeError with a sentence for the host. check(options), if given, raises the same without building
# anything: then a configuration is only checked, and the receiver is built when the stream begins. on_end() is called
# when everything has been played, before the final report; the dict it returns becomes part of that report.
# on_report(agent, document, now_us) is called with every periodic report and must not change it.
class Agent(Session):
    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.occupied = "another host is using me"  # the reason given to a second host

    def _reset(self):
        super()._reset()
        self._configured = None  # (number, reply) so that a repeated request changes nothing

    # Return another agent for the next session, while the buffer of this one is still played.
    def successor(self):
        other = Agent(
            self._make, self._defaults, self._info, self._ssrc, self._on_end, self._periods, self._check,
            self._on_report
        )
        other.counters = other.reports.counters = self.counters
        return other

    # Take in one datagram from the link; return the answers for the same peer.
    def handle(self, datagram, peer, now_us):
        self.counters.add("datagrams")
        if not rtp.is_rtcp(datagram):
            self._handle_media(datagram, peer, now_us)
            return []
        try:
            packets = rtcp.split(datagram)
            messages = control.messages_of(packets)
        except control.VersionError as error:
            self.counters.add("other_version")
            # The answer's header holds our version, by which the other end sees the difference.
            return [self._hello(0)] if error.asks else []
        except ValueError:
            self.counters.add("garbage")
            return []
        heard = self.reports.feedback.heard
        if peer == self.peer and heard(packets, now_us, self.media.ssrc):
            self.goodbye(now_us)
        answers = []
        for message in messages:
            try:
                answer = self._handle_message(message, peer, now_us)
            except ValueError:
                self.counters.add("garbage")
                continue
            if answer is not None:
                answers.append(answer)
        return answers

    def _handle_media(self, datagram, peer, now_us):
        if self.state == IDLE:
            try:
                rtp.parse(datagram)
            except ValueError:
                self.counters.add("garbage")
                return
            self._begin(peer, now_us)
            self.plain = True
        if peer != self.peer:
            self.counters.add("foreign")
            return
        if datagram and datagram[0] >> 6 == 2:
            self.heard_us = now_us
        if self.state == ACTIVE or self.state == DRAINING:
            self.media.push(datagram, now_us)

    def _handle_message(self, message, peer, now_us):
        if message.kind == control.ACK:
            if peer == self.peer:
                self.heard_us = now_us
                self.reports.acknowledge(message)
            return None
        if not message.asks:
            self.counters.add("unasked")
            return None
        if message.kind == control.PROBE:
            if peer == self.peer:
                self.heard_us = now_us
            return control.echo(message, self._ssrc)
        if message.kind == control.BYE and self.state == IDLE:
            return control.answer(message, {"ok": True}, self._ssrc)  # our first answer was lost
        if self.state == IDLE:
            self._begin(peer, now_us)
        if peer != self.peer:
            self.counters.add("foreign")
            return self._turn_away(message, now_us) if message.kind == control.HELLO else None
        self.heard_us = now_us
        self.plain = False
        if message.kind == control.HELLO:
            return self._hello(message.number)
        if message.kind == control.CONFIGURE:
            return self._configure(message)
        return self._bye(message, now_us)

    def _turn_away(self, message, now_us):
        if self.yields(now_us):
            self.end("silence")
        return control.answer(message, {"ok": False, "error": self.occupied}, self._ssrc)

    # Return True when another peer may take over this agent.
    def yields(self, now_us):
        if self.state != ACTIVE:
            return self.state == IDLE
        limit = _YIELD_US
        if self.plain:
            limit = PLAIN_SILENT_US
        elif not self.media.heard:
            limit = _UNPROVEN_US
        return now_us - self.heard_us > limit

    # Return True when this plain sender has fallen silent, so that a packet from the same machine may be the same
    # sender after a restart.
    def paused(self, now_us):
        return self.state == ACTIVE and self.plain and now_us - self.heard_us > _PLAIN_YIELD_US

    def _hello(self, number):
        return control.build(
            control.with_document(control.HELLO, number, self._info, control.REPLY, self._ssrc)
        )

    def _configure(self, message):
        if self._configured is not None and self._configured[0] == message.number:
            return self._configured[1]
        reply = control.answer(message, self.media.configure(message.document()), self._ssrc)
        self._configured = (message.number, reply)
        return reply

    def _bye(self, message, now_us):
        document = message.document()
        last = document.get("last_sequence")
        stamp = document.get("last_timestamp")
        self._leave(
            last if isinstance(last, int) else None, stamp if isinstance(stamp, int) else None, now_us
        )
        return control.answer(message, {"ok": True}, self._ssrc)
