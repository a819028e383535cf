# SPDX-License-Identifier: BSD-2-Clause
# The device's half of a session: what to answer, when to report. No socket, no clock, no thread:
# datagrams and times (integer microseconds) come in, datagrams go out.
from dredge_device import control, fragments, rtcp, rtp
from dredge_device.feedback import Feedback
from dredge_device.media import Media
from dredge_device.telemetry import Counters
from dredge_device.timeline import Timeline

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


IDLE = const(0)  # nobody is heard
ACTIVE = const(1)  # a host is heard
DRAINING = const(2)  # it said bye; what is buffered is still played
REPORTING = const(3)  # the final report is on its way

REPORT_US = const(1000000)
_SILENT_US = const(60000000)  # a host not heard for this long is gone
_YIELD_US = const(10000000)  # and after this long another one may take over
_UNPROVEN_US = const(2000000)  # … or after this long, when it said hello and then nothing
PLAIN_SILENT_US = const(3000000)  # an RTP sender that never said hello is gone
_PLAIN_YIELD_US = const(200000)  # and another one may take over
_DRAIN_MARGIN_US = const(2000000)
_STRAGGLE_US = const(60000)  # packets may arrive so long after the RTCP goodbye that overtook them
_COUNTERS = ("datagrams", "garbage", "foreign", "other_version", "unasked", "sessions")


# options: the session's, with the values of the device; a host may set these and no others.
# make_receiver(options) returns an object with push, finish, announce, ended, ssrc, report, or None
# while it is being built elsewhere; it may raise ValueError or RuntimeError with a sentence for the
# host. check(options), if given, raises the same without building anything: a configuration is then
# only checked, and the receiver is built once, when the stream begins. on_end() is called when all
# is played, before the final report; the dict it returns becomes part of that report.
# on_report(agent, document, now_us) is given every report of a second; it must not change it.
class Agent:
    def __init__(
        self, make_receiver, options, info, ssrc=0x64726564, on_end=None, periods=6000, check=None, on_report=None
    ):
        self._make = make_receiver
        self._check = check
        self._defaults = options
        self._info = info
        self._ssrc = ssrc
        self._on_end = on_end
        self._on_report = on_report
        self._periods = periods  # how long the timeline may become
        self._blank = None  # the report of a receiver that has heard nothing
        self.counters = Counters(_COUNTERS)
        self.sessions_ended = 0
        self.occupied = "another host is using me"  # what a second host is told
        self._reset()

    def _reset(self):
        self.state = IDLE
        self.peer = None
        self.media = Media(self._make, self._defaults, self._check, self._blank)
        self._blank = self.media.blank
        self.timeline = Timeline(self._periods)
        self.interrupted = False
        self.plain = False  # the peer has sent RTP and never said hello
        self.why = ""  # why the session ended
        self.failure = None  # a sentence, when the session had to end
        self.heard_us = 0
        self._report_us = None
        self._reports = 0
        self._reported = 0  # periods of the timeline sent so far
        self.feedback = Feedback(self._ssrc)
        self._outgoing = []
        self._configured = None  # (number, reply) so that a repeated request changes nothing
        self._hang_us = None  # when a plain sender's goodbye takes effect
        self._drain_us = 0

    # Another agent for the next session, while what this one has buffered is still played.
    def successor(self):
        other = Agent(
            self._make, self._defaults, self._info, self._ssrc, self._on_end, self._periods, self._check,
            self._on_report
        )
        other.counters = self.counters
        return other

    # The receiver of this session; None while it is being built.
    @property
    def receiver(self):
        return self.media.receiver

    @property
    def options(self):
        return self.media.options

    # One datagram from the link; returns the answers for the same peer.
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
            # Our version is in the answer's header, so the other end can tell.
            return [self._hello(0)] if error.asks else []
        except ValueError:
            self.counters.add("garbage")
            return []
        if peer == self.peer and self.feedback.heard(packets, now_us, self.media.ssrc):
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
                report, index, _, _ = message.chunk()
                for outgoing in self._outgoing:
                    outgoing.acknowledge(report, index)
            return None
        if not message.asks:
            self.counters.add("unasked")
            return None
        if message.kind == control.PROBE:
            if peer == self.peer:
                self.heard_us = now_us
            return self._echo(message)
        if message.kind == control.BYE and self.state == IDLE:
            return self._answer(message, {"ok": True})  # our first answer was lost
        if self.state == IDLE:
            self._begin(peer, now_us)
        if peer != self.peer:
            self.counters.add("foreign")
            if message.kind == control.HELLO:
                if self.yields(now_us):
                    self.end("silence")
                return self._answer(message, {"ok": False, "error": self.occupied})
            return None
        self.heard_us = now_us
        self.plain = False
        if message.kind == control.HELLO:
            return self._hello(message.number)
        if message.kind == control.CONFIGURE:
            return self._configure(message)
        return self._bye(message, now_us)

    # True when another peer may have this place.
    def yields(self, now_us):
        if self.state != ACTIVE:
            return self.state == IDLE
        limit = _YIELD_US
        if self.plain:
            limit = PLAIN_SILENT_US
        elif not self.media.heard:
            limit = _UNPROVEN_US
        return now_us - self.heard_us > limit

    # True when this plain sender has fallen silent, so that a packet from the same machine may be
    # the same sender after a restart.
    def paused(self, now_us):
        return self.state == ACTIVE and self.plain and now_us - self.heard_us > _PLAIN_YIELD_US

    # A probe comes back as it is, whoever sent it: as many bytes as it brought, and no state.
    def _echo(self, message):
        return control.build(
            control.Message(
                control.PROBE, message.number, message.body, control.REPLY, self._ssrc
            )
        )

    def _begin(self, peer, now_us):
        self.state = ACTIVE
        self.peer = peer
        self.heard_us = now_us
        self._report_us = now_us + REPORT_US
        self.counters.add("sessions")

    def _hello(self, number):
        return control.build(
            control.with_document(control.HELLO, number, self._info, control.REPLY, self._ssrc)
        )

    def _answer(self, message, document):
        return control.build(
            control.with_document(message.kind, message.number, document, control.REPLY, self._ssrc)
        )

    def _configure(self, message):
        if self._configured is not None and self._configured[0] == message.number:
            return self._configured[1]
        reply = self._answer(message, self.media.configure(message.document()))
        self._configured = (message.number, reply)
        return reply

    def _bye(self, message, now_us):
        document = message.document()
        if self.state == ACTIVE:
            last = document.get("last_sequence")
            stamp = document.get("last_timestamp")
            self.why = "goodbye"
            stamp = stamp if isinstance(stamp, int) else None
            if isinstance(last, int) and self.media.finish(last, stamp):
                self._drain(now_us)
            else:
                self._finish()
        return self._answer(message, {"ok": True})

    # The sender of a plain stream has said goodbye by RTCP.
    def goodbye(self, now_us):
        if self.state == ACTIVE and self.plain:
            self.why = "goodbye"
            self._hang_us = now_us + _STRAGGLE_US
            self._drain(now_us)

    def _hang_up(self):
        self._hang_us = None
        if not self.media.finish():
            self._finish()

    def _drain(self, now_us):
        self.state = DRAINING
        self._drain_us = now_us + self.options["playout_ms"] * 1000 + _DRAIN_MARGIN_US

    # End the session now, played to its end or not (the process was told to stop).
    def interrupt(self):
        if self.state in (ACTIVE, DRAINING):
            self.interrupted = True
            self.end("interrupted")

    # The same for another reason.
    def end(self, why, failure=None):
        if self.state in (ACTIVE, DRAINING):
            self.why = self.why or why
            self.failure = failure
            self._finish()

    def _finish(self):
        output = None
        if self.failure is not None:
            output = {"error": self.failure}
        elif self._on_end is not None:
            output = self._on_end()
        document = self._document(True)
        document["output"] = output
        document["timeline"] = self.timeline.part()
        self._reports += 1
        self.final = document
        self._outgoing = []
        if not self.plain:
            self._outgoing = [fragments.Outgoing(self._reports, document, True, self._ssrc)]
        self.state = REPORTING

    # One packet period was decided; call it for every one that a pull of the receiver names.
    def played(self, number, source, delay_ms, cpu_us, reason=""):
        if self.state in (ACTIVE, DRAINING) and number is not None:
            self.timeline.add(number, source, delay_ms, cpu_us, reason)

    # What is due now, as datagrams for self.peer; call it once per period.
    def tick(self, now_us):
        if self.media.failure is not None:
            self.end("no receiver", self.media.failure)
        elif self.media.waiting:
            self.receiver  # noqa: B018  (takes what waits as soon as it is built)
        if self.state == ACTIVE:
            silent_us = now_us - self.heard_us
            if silent_us > (PLAIN_SILENT_US if self.plain else _SILENT_US):
                self.end("silence")
            elif now_us >= self._report_us:
                self._report_us = max(self._report_us + REPORT_US, now_us)
                self._periodic(now_us)
        if self.state == DRAINING and self._hang_us is not None and now_us >= self._hang_us:
            self._hang_up()
        if self.state == DRAINING and self._drained(now_us):
            self._finish()
        out = []
        for outgoing in self._outgoing:
            out.extend(outgoing.due(now_us))
        return out

    def _drained(self, now_us):
        if self._hang_us is not None:
            return False
        return self.media.ended() or now_us > self._drain_us

    # True once the final report is delivered or given up; the next session may begin then.
    def over(self):
        return self.state == REPORTING and all(o.done() for o in self._outgoing)

    # What is left to send of the final report, for somebody else to send it.
    def farewell(self):
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    # Get ready for the next session.
    def renew(self):
        self.sessions_ended += 1
        self._reset()

    def _document(self, final):
        document = self.media.report()
        document["schema"] = "dredge-device-report-1"
        document["final"] = final
        document["number"] = self._reports + 1
        document["boot"] = self._info.get("boot")
        document["interrupted"] = self.interrupted
        document["control"] = self.counters.snapshot()
        return document

    def _periodic(self, now_us):
        document = self._document(False)
        del document["budget"]["histogram"]
        stop = self.timeline.count
        document["timeline"] = self.timeline.part(self._reported, stop)
        self._reported = stop
        self._outgoing = []
        if not self.plain:
            self._reports += 1
            self._outgoing = [fragments.Outgoing(self._reports, document, False, self._ssrc)]
        if self.media.ssrc is not None:
            report = self.feedback.report(document, self.media.ssrc, now_us)
            self._outgoing.append(fragments.Once(report))
        if self._on_report is not None:
            self._on_report(self, document, now_us)
