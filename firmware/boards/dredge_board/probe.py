# SPDX-License-Identifier: BSD-2-Clause
# A receiver that does not play: it reads RTP, extensions and the header of the redundancy, and reports which packets
# were lost and which of those a decoder could have recovered. It takes the receiver's place in
# dredge_device.agent.Agent, so the host's ordinary tools can stream to it.
from dredge_board import dred_header, padding
from dredge_device import rtp, telemetry
from dredge_device.budget import Budget
from dredge_device.jitter import JitterBuffer
from dredge_device.units import PACKET_MS

_OFFSET_UNIT_MS = 2.5
STAGES = ("parse", "decide")
_COUNTERS = ("received", "garbage", "without_dred", "dred", "dred_unreadable", "dred_other_version", "too_long")


# The packets before it that a packet's redundancy describes.
class Known:
    def __init__(self, packets):
        self.packets = packets


# options: playout_ms, as the host configures it. now() returns monotonic microseconds.
class Probe:
    def __init__(self, options, now, capacity=128):
        self.ended = False
        self.counters = telemetry.Counters(_COUNTERS)
        self.sources = {"opus": 0, "dred": 0, "conceal": 0}
        self.bursts = telemetry.Bursts(32)
        self.budget = Budget(STAGES)
        self.gaps = []  # [length, how many such gaps, packets of them that could be recovered]
        self.levels = {}  # q0 to packets
        self.span_ms = [0, 0]  # shortest and longest history seen
        self._now = now
        self._buffer = JitterBuffer(min(options["playout_ms"], capacity * PACKET_MS // 2), capacity)
        self._tracker = rtp.StreamTracker()
        self._jitter = telemetry.Jitter()
        self._gap = [0, 0]  # packets of the open gap, and how many could be recovered
        self._parse_us = 0

    @property
    def ssrc(self):
        return self._tracker.ssrc

    # Take in one RTP datagram.
    def push(self, datagram, _now_us):
        start = self._now()
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            self.counters.add("garbage")
            return
        number = self._tracker.admit(packet.ssrc, packet.sequence)
        if number is None:
            return
        self.counters.add("received")
        self._jitter.arrival(packet.timestamp, start)
        self._buffer.insert(number, Known(self._described(packet.payload)), start)
        self._parse_us += self._now() - start

    # Return the packets before this one that its redundancy describes completely.
    def _described(self, payload):
        try:
            place = padding.find_dred(payload)
            if place is None:
                self.counters.add("without_dred")
                return 0
            head = dred_header.read(payload, place[0], place[1])
        except ValueError:
            self.counters.add("dred_unreadable")
            return 0
        if head.span_ms is None:
            self.counters.add("dred_other_version", "too_long")
            return 0
        self.counters.add("dred")
        self.levels[head.q0] = self.levels.get(head.q0, 0) + 1
        shortest = self.span_ms[0]
        self.span_ms[0] = head.span_ms if shortest == 0 else min(shortest, head.span_ms)
        self.span_ms[1] = max(self.span_ms[1], head.span_ms)
        return max(0, int(head.span_ms - _OFFSET_UNIT_MS * head.offset) // PACKET_MS)

    # Return the packet of this period: (number, source, delay in microseconds, microseconds spent), or None
    # when there is none. Call once per 20 ms.
    def pull(self):
        start = self._now()
        number = self._buffer.step(start)
        self.ended = self._buffer.ended
        if number is None:
            return None
        source = self._source(number)
        self._count(source)
        spent = self._now() - start
        self.budget.frame(self._parse_us + spent, (self._parse_us, spent))
        whole, self._parse_us = self._parse_us + spent, 0
        return number, source, self._buffer.playout_us, whole

    def _source(self, number):
        if self._buffer.get(number) is not None:
            return "opus"
        later = self._buffer.next_after(number)
        if later is not None and self._buffer.get(later).packets >= later - number:
            return "dred"
        return "conceal"

    def _count(self, source):
        self.sources[source] += 1
        lost = source != "opus"
        self.bursts.step(lost)
        if lost:
            self._gap[0] += 1
            self._gap[1] += source == "dred"
        elif self._gap[0]:
            self._close_gap()

    def _close_gap(self):
        length, recoverable = self._gap
        self._gap = [0, 0]
        for row in self.gaps:
            if row[0] == length:
                row[1] += 1
                row[2] += recoverable
                return
        self.gaps.append([length, 1, recoverable])
        self.gaps.sort()

    # Note the first packet that the host announces; the other arguments are not needed here.
    def announce(self, ssrc, first, *_rest):
        if self._tracker.ssrc is None:
            self._tracker.admit(ssrc, first)
            self._buffer.announce(first)

    # Note the host's last sequence number.
    def finish(self, last, *_rest):
        if self._tracker.ssrc is None:
            self.ended = True
            return
        self._buffer.finish(self._tracker.highest + rtp.distance(last, self._tracker.highest & 0xFFFF))

    # Return the figures of a report under the names of a playing receiver.
    def report(self):
        decided = self.sources["opus"] + self.sources["dred"] + self.sources["conceal"]
        lost = decided - self.sources["opus"]
        buffer = self._buffer
        return {
            "packets": {
                "expected": decided, "lost": lost, "received": self.counters.get("received"),
                "late": buffer.late, "duplicate": buffer.duplicate, "reordered": buffer.reordered,
            },
            "loss_pct": round(100 * lost / decided, 2) if decided else 0.0,
            "sources": self.sources,
            "stream": {"highest": self._tracker.highest, "generation": self._tracker.generation},
            "delay_ms": {"jitter": self._jitter.units() / 48, "playout": buffer.playout_us // 1000},
            "bursts": self.bursts.histogram(),
            "gaps": self.gaps,
            "recoverable_pct": round(100 * self.sources["dred"] / lost, 2) if lost else 100.0,
            "dred": {"q0": self.levels, "span_ms": self.span_ms},
            "probe": self.counters.snapshot(),
            "budget": self.budget.report(),
        }  # fmt: skip
