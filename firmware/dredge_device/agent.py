# SPDX-License-Identifier: BSD-2-Clause
# The device's half of a session: what to answer, when to report. No socket, no clock, no thread:
# datagrams and times (integer microseconds) come in, datagrams go out.
from dredge_device import control, fragments, rtcp, rtp
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
_DRAIN_MARGIN_US = const(2000000)
_COUNTERS = ("datagrams", "garbage", "foreign", "other_version", "sessions")


# options: the session's, with the values of the device; a host may set these and no others.
# make_receiver(options) returns an object with push, finish, announce, ended, ssrc, report and
# may raise ValueError or RuntimeError with a sentence for the host. on_end() is called when all
# is played, before the final report; the dict it returns becomes part of that report.
class Agent:
    def __init__(self, make_receiver, options, info, ssrc=0x64726564, on_end=None, periods=6000):
        self._make = make_receiver
        self._defaults = options
        self._info = info
        self._ssrc = ssrc
        self._on_end = on_end
        self._periods = periods  # how long the timeline may become
        self.counters = Counters(_COUNTERS)
        self.sessions_ended = 0
        self.occupied = "another host is using me"  # what a second host is told
        self._reset()

    def _reset(self):
        self.state = IDLE
        self.peer = None
        self.options = dict(self._defaults)
        self.receiver = self._make(self.options)
        self.timeline = Timeline(self._periods)
        self.interrupted = False
        self._media = False  # RTP was heard in this session
        self._heard_us = 0
        self._report_us = None
        self._reports = 0
        self._reported = 0  # periods of the timeline sent so far
        self._rr = (0, 0)  # expected and lost at the last receiver report
        self._outgoing = []
        self._settled = False  # a host has configured this session
        self._configured = None  # (number, reply) so that a repeated request changes nothing
        self._drain_us = 0

    # One datagram from the link; returns the answers for the same peer.
    def handle(self, datagram, peer, now_us):
        self.counters.add("datagrams")
        if not rtp.is_rtcp(datagram):
            self._handle_media(datagram, peer, now_us)
            return []
        try:
            messages = control.parse(datagram)
        except control.VersionError:
            self.counters.add("other_version")
            return [self._hello(0)]  # our version is in its header: the other end can tell
        except ValueError:
            self.counters.add("garbage")
            return []
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
        if peer != self.peer:
            self.counters.add("foreign")
            return
        self._heard_us = now_us
        self._media = True
        if self.state == ACTIVE or self.state == DRAINING:
            self.receiver.push(datagram, now_us / 1000000)

    def _handle_message(self, message, peer, now_us):
        if message.kind == control.PROBE:
            return self._echo(message)
        if message.kind == control.BYE and self.state == IDLE:
            return self._answer(message, {"ok": True})  # our first answer was lost
        if self.state == IDLE and message.kind in (control.HELLO, control.CONFIGURE):
            self._begin(peer, now_us)
        if peer != self.peer:
            self.counters.add("foreign")
            if message.kind == control.HELLO:
                if self.state == ACTIVE and now_us - self._heard_us > _YIELD_US:
                    self._finish()
                return self._answer(message, {"ok": False, "error": self.occupied})
            return None
        self._heard_us = now_us
        if message.kind == control.HELLO:
            return self._hello(message.number)
        if message.kind == control.CONFIGURE:
            return self._configure(message)
        if message.kind == control.BYE:
            return self._bye(message, now_us)
        if message.kind == control.ACK:
            report, index, _, _ = message.chunk()
            for outgoing in self._outgoing:
                outgoing.acknowledge(report, index)
        return None

    # A probe comes back as it is, whoever sent it: as many bytes as it brought, and no state.
    def _echo(self, message):
        if message.flags & control.REPLY:
            return None
        return control.build(
            control.Message(
                control.PROBE, message.number, message.body, control.REPLY, self._ssrc
            )
        )

    def _begin(self, peer, now_us):
        self.state = ACTIVE
        self.peer = peer
        self._heard_us = now_us
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
        reply = self._answer(message, self._apply(message.document()))
        self._configured = (message.number, reply)
        return reply

    def _apply(self, wanted):
        options = dict(self.options)
        for name in self._defaults:
            if name in wanted:
                options[name] = wanted[name]
        # A host that finds us restarted in the middle of its stream configures us then.
        if self._media and self._settled and options != self.options:
            return {"ok": False, "error": "the stream has begun, it cannot be configured now"}
        try:
            start = _announced(wanted)
            if options != self.options:
                self.receiver = self._make(options)
                self.options = options
        except (ValueError, TypeError, RuntimeError) as error:
            return {"ok": False, "error": str(error)}
        except MemoryError:
            return {"ok": False, "error": "the device has no memory left for these options"}
        if start is not None:
            self.receiver.announce(*start)
        self._settled = True
        answer = {"ok": True}
        answer.update(options)
        return answer

    def _bye(self, message, now_us):
        document = message.document()
        if self.state == ACTIVE:
            last = document.get("last_sequence")
            stamp = document.get("last_timestamp")
            if isinstance(last, int):
                self.receiver.finish(last, stamp if isinstance(stamp, int) else None)
                self._drain(now_us)
            else:
                self._finish()
        return self._answer(message, {"ok": True})

    def _drain(self, now_us):
        self.state = DRAINING
        self._drain_us = now_us + self.options["playout_ms"] * 1000 + _DRAIN_MARGIN_US

    # End the session now, played to its end or not (the process was told to stop).
    def interrupt(self):
        if self.state in (ACTIVE, DRAINING):
            self.interrupted = True
            self._finish()

    def _finish(self):
        output = self._on_end() if self._on_end is not None else None
        document = self._document(True)
        document["output"] = output
        document["timeline"] = self.timeline.part()
        self._reports += 1
        self._outgoing = [fragments.Outgoing(self._reports, document, True, self._ssrc)]
        self.state = REPORTING

    # One packet period was decided; call it for every one that a pull of the receiver names.
    def played(self, number, source, delay_ms, cpu_us, reason=""):
        if self.state in (ACTIVE, DRAINING) and number is not None:
            self.timeline.add(number, source, delay_ms, cpu_us, reason)

    # What is due now, as datagrams for self.peer; call it once per period.
    def tick(self, now_us):
        if self.state == ACTIVE:
            if now_us - self._heard_us > _SILENT_US:
                self._finish()
            elif now_us >= self._report_us:
                self._report_us = max(self._report_us + REPORT_US, now_us)
                self._periodic()
        if self.state == DRAINING and self._drained(now_us):
            self._finish()
        out = []
        for outgoing in self._outgoing:
            out.extend(outgoing.due(now_us))
        return out

    def _drained(self, now_us):
        return self.receiver.ended or self.receiver.ssrc is None or now_us > self._drain_us

    # True once the final report is delivered or given up; the next session may begin then.
    def over(self):
        return self.state == REPORTING and all(o.done() for o in self._outgoing)

    # Get ready for the next session.
    def renew(self):
        self.sessions_ended += 1
        self._reset()

    def _document(self, final):
        document = self.receiver.report()
        document["schema"] = "dredge-device-report-1"
        document["final"] = final
        document["number"] = self._reports + 1
        document["boot"] = self._info.get("boot")
        document["interrupted"] = self.interrupted
        document["control"] = self.counters.snapshot()
        return document

    def _periodic(self):
        document = self._document(False)
        del document["budget"]["histogram"]
        stop = self.timeline.count
        document["timeline"] = self.timeline.part(self._reported, stop)
        self._reported = stop
        self._reports += 1
        self._outgoing = [fragments.Outgoing(self._reports, document, False, self._ssrc)]
        if self.receiver.ssrc is not None:
            self._outgoing.append(fragments.Once(self._receiver_report(document)))

    def _receiver_report(self, document):
        packets, stream = document["packets"], document["stream"]
        expected = packets.get("sent", packets["expected"])
        lost = packets.get("missing", packets["lost"])
        fresh, missing = expected - self._rr[0], lost - self._rr[1]
        self._rr = (expected, lost)
        return rtcp.build_receiver_report(
            self._ssrc,
            self.receiver.ssrc,
            256 * missing // fresh if fresh > 0 and missing > 0 else 0,
            lost,
            stream.get("sequence", stream["highest"]) or 0,
            int(document["delay_ms"]["jitter"] * 48),
        )


# (ssrc, sequence, timestamp or None) of the stream that a host announces, None if it does not;
# ValueError unless they are integers.
def _announced(wanted):
    if "ssrc" not in wanted or "first_sequence" not in wanted:
        return None
    start = (wanted["ssrc"], wanted["first_sequence"], wanted.get("first_timestamp"))
    if not all(isinstance(value, int) for value in start[:2] + (start[2] or 0,)):
        raise ValueError("ssrc, first_sequence and first_timestamp must be integers")
    return start
