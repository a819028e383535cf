# SPDX-License-Identifier: BSD-2-Clause
# One session of the device: it begins with a peer, plays, drains its buffer and reports.
from dredge_device.media import Media
from dredge_device.reports import Reports
from dredge_device.telemetry import Counters

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


IDLE = const(0)  # there is no peer
ACTIVE = const(1)  # a host sends
DRAINING = const(2)  # it said bye; the buffer is still played
REPORTING = const(3)  # the final report is on its way

_SILENT_US = const(60000000)  # a host silent for this long is gone
PLAIN_SILENT_US = const(3000000)  # an RTP sender that never said hello is gone
_DRAIN_MARGIN_US = const(2000000)
_REORDER_US = const(60000)  # packets may arrive this long after an RTCP goodbye that overtook them
_COUNTERS = ("datagrams", "garbage", "foreign", "other_version", "unasked", "sessions")


# The parameters are those of agent.Agent. After `renew` it is the next session.
class Session:
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
        self._blank = None  # the report of a receiver without packets
        self.counters = Counters(_COUNTERS)
        self.sessions_ended = 0
        self._reset()

    def _reset(self):
        self.state = IDLE
        self.peer = None
        self.media = Media(self._make, self._defaults, self._check, self._blank)
        self._blank = self.media.blank
        boot = self._info.get("boot")
        self.reports = Reports(self.media, boot, self.counters, self._ssrc, self._periods)
        self.plain = False  # the peer has sent RTP and never said hello
        self.why = ""  # why the session ended
        self.failure = None  # the reason as a sentence, when the session failed
        self.heard_us = 0
        self._hang_us = None  # when a plain sender's goodbye takes effect
        self._drain_us = 0

    # Return the receiver of this session; None while it is being built.
    @property
    def receiver(self):
        return self.media.receiver

    @property
    def options(self):
        return self.media.options

    def _begin(self, peer, now_us):
        self.state = ACTIVE
        self.peer = peer
        self.heard_us = now_us
        self.reports.begin(now_us)
        self.counters.add("sessions")

    # Note the goodbye by RTCP of the sender of a plain stream.
    def goodbye(self, now_us):
        if self.state == ACTIVE and self.plain:
            self.why = "goodbye"
            self._hang_us = now_us + _REORDER_US
            self._drain(now_us)

    # Begin to drain after the host's goodbye: last and stamp are the last packet's numbers, None if unknown.
    def _leave(self, last, stamp, now_us):
        if self.state != ACTIVE:
            return
        self.why = "goodbye"
        if last is not None and self.media.finish(last, stamp):
            self._drain(now_us)
        else:
            self._finish()

    def _hang_up(self):
        self._hang_us = None
        if not self.media.finish():
            self._finish()

    def _drain(self, now_us):
        self.state = DRAINING
        self._drain_us = now_us + self.options["playout_ms"] * 1000 + _DRAIN_MARGIN_US

    # End the session now, even if it is not played to its end, because the process stops.
    def interrupt(self):
        if self.state in (ACTIVE, DRAINING):
            self.reports.interrupted = True
            self.end("interrupted")

    # End the session now for another reason.
    def end(self, why, failure=None):
        if self.state in (ACTIVE, DRAINING):
            self.why = self.why or why
            self.failure = failure
            self._finish()

    def _finish(self):
        self.reports.finish(self._output, self.plain)
        self.state = REPORTING

    # Return the final report's part about the output.
    def _output(self):
        if self.failure is not None:
            return {"error": self.failure}
        return self._on_end() if self._on_end is not None else None

    # Note one packet period; call it for every one that the receiver has rendered.
    def played(self, number, source, delay_us, cpu_us, reason=""):
        if self.state in (ACTIVE, DRAINING) and number is not None:
            self.reports.timeline.add(number, source, delay_us, cpu_us, reason)

    # Return the datagrams due now for self.peer; call it once per period.
    def tick(self, now_us):
        if self.media.failure is not None:
            self.end("no receiver", self.media.failure)
        elif self.media.waiting:
            self.receiver  # noqa: B018  (takes what waits as soon as it is built)
        if self.state == ACTIVE:
            if now_us - self.heard_us > (PLAIN_SILENT_US if self.plain else _SILENT_US):
                self.end("silence")
            else:
                self._report(now_us)
        if self.state == DRAINING and self._hang_us is not None and now_us >= self._hang_us:
            self._hang_up()
        if self.state == DRAINING and self._drained(now_us):
            self._finish()
        return self.reports.due(now_us)

    def _report(self, now_us):
        document = self.reports.periodic(now_us, self.plain)
        if document is not None and self._on_report is not None:
            self._on_report(self, document, now_us)

    def _drained(self, now_us):
        if self._hang_us is not None:
            return False
        return self.media.ended() or now_us > self._drain_us

    # Return True once the final report is delivered or given up; the next session may begin then.
    def over(self):
        return self.state == REPORTING and self.reports.delivered()

    # Get ready for the next session.
    def renew(self):
        self.sessions_ended += 1
        self._reset()
