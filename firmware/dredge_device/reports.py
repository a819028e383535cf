# SPDX-License-Identifier: BSD-2-Clause
# The reports of one session: what was played, which part of it has been sent to the peer, and the chunks still to be
# sent.
from dredge_device import fragments
from dredge_device.feedback import Feedback
from dredge_device.timeline import Timeline

try:
    from micropython import const
except ImportError:

    def const(value):
        return value


REPORT_US = const(1000000)


# media: the session's; boot: the identity of this process; counters: of all sessions.
class Reports:
    def __init__(self, media, boot, counters, ssrc, periods):
        self._media = media
        self._boot = boot
        self.counters = counters
        self._ssrc = ssrc
        self.timeline = Timeline(periods)
        self.feedback = Feedback(ssrc)
        self.interrupted = False
        self.final = {}  # the last report, once the session has ended
        self.outgoing = []
        self._due_us = None  # when the next periodic one is
        self._number = 0
        self._told = 0  # periods of the timeline sent so far

    def begin(self, now_us):
        self._due_us = now_us + REPORT_US

    # Return and send the periodic report once per second, else None; plain: the peer understands RTCP only.
    def periodic(self, now_us, plain):
        if now_us < self._due_us:
            return None
        self._due_us = max(self._due_us + REPORT_US, now_us)
        document = self._document(False)
        del document["budget"]["histogram"]
        stop = self.timeline.count
        document["timeline"] = self.timeline.part(self._told, stop)
        self._told = stop
        self.outgoing = []
        if not plain:
            self._number += 1
            self.outgoing = [fragments.Outgoing(self._number, document, False, self._ssrc)]
        if self._media.ssrc is not None:
            report = self.feedback.report(document, self._media.ssrc, now_us)
            self.outgoing.append(fragments.Once(report))
        return document

    # Make the final report; make_output() returns its part about the output.
    def finish(self, make_output, plain):
        output = make_output()
        document = self._document(True)
        document["output"] = output
        document["timeline"] = self.timeline.part()
        self._number += 1
        self.final = document
        self.outgoing = []
        if not plain:
            self.outgoing = [fragments.Outgoing(self._number, document, True, self._ssrc)]

    # Note the acknowledgement of a chunk of a report (a message of kind ACK).
    def acknowledge(self, message):
        report, index, _, _ = message.chunk()
        for outgoing in self.outgoing:
            outgoing.acknowledge(report, index)

    # Return the datagrams to be sent now.
    def due(self, now_us):
        out = []
        for outgoing in self.outgoing:
            out.extend(outgoing.due(now_us))
        return out

    # Return True when nothing is left to be sent or acknowledged.
    def delivered(self):
        return all(outgoing.done() for outgoing in self.outgoing)

    # Return the chunks still to be sent, so that another object sends them.
    def hand_over(self):
        outgoing, self.outgoing = self.outgoing, []
        return outgoing

    def _document(self, final):
        document = self._media.report()
        document["schema"] = "dredge-device-report-1"
        document["final"] = final
        document["number"] = self._number + 1
        document["boot"] = self._boot
        document["interrupted"] = self.interrupted
        document["control"] = self.counters.snapshot()
        return document
