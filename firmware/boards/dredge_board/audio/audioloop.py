# SPDX-License-Identifier: BSD-2-Clause
# The main loop of a board with microphone or loudspeaker: I2S on one side, the network or UART on the other.
import select
import time

from dredge_board.mainloop import MainLoop, described
from dredge_board.reports import Reporter
from dredge_device.budget import Budget
from dredge_device.units import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE

try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const

SCHEMA = "dredge-audio-report-1"
STAGES = ("microphone", "loudspeaker")
_NAP_MS = const(4)  # I2S holds ten times as much
_PIECE = const(640)  # bytes, 160 samples of the microphone
_LOST = const(640)  # samples (40 ms): a later read finds that I2S has dropped some


def _late(now_us, due_us):
    return time.ticks_diff(now_us, due_us) >= 0


# microphone, loudspeaker: (I2S, its half of the program), or None; carrier: see carriers; answers: the port for
# reports, or None.
class AudioLoop(MainLoop):
    def __init__(self, carrier, microphone, loudspeaker, answers, about):
        super().__init__()
        self._carrier = carrier
        self._hears, self.microphone = microphone or (None, None)
        self._speaks, self.loudspeaker = loudspeaker or (None, None)
        self._answers = answers
        self._about = about
        self.reporter = Reporter(SCHEMA, self.describe, self.measure)
        self.budget = Budget(STAGES)
        self._times = [0, 0]
        self._raw = bytearray(_PIECE)
        self._poll = select.poll()
        if self._hears is not None:
            self._poll.register(self._hears, select.POLLIN)
        if answers is not None:
            self._poll.register(answers.socket, select.POLLIN)
        self._watch()
        self._period_ms = time.ticks_ms()
        self._heard_us = time.ticks_us()

    def _watch(self):
        watched = self._carrier.watched()
        if watched is not None and self.loudspeaker is not None:
            self._poll.register(watched, select.POLLIN)

    def describe(self):
        return described(self._about)

    # Return the figures of a report.
    def measure(self):
        budget = self.budget.report()
        del budget["histogram"]
        document = {"budget": budget, "line": self._carrier.counters()}
        if self.microphone is not None:
            document["microphone"] = self.microphone.counters.snapshot()
            document["microphone"]["peak"] = self.microphone.peak
            self.microphone.peak = 0
        if self.loudspeaker is not None:
            document["loudspeaker"] = self.loudspeaker.counters.snapshot()
            document["loudspeaker"]["waiting_ms"] = 1000 * self.loudspeaker.waiting() // SAMPLE_RATE
        document["heap"] = self._heap()
        return document

    # Run the loop once; waits a few milliseconds at most for an event.
    def step(self):
        for ready in self._poll.ipoll(_NAP_MS):
            if self._answers is not None and ready[0] is self._answers.socket:
                self._asked()
        start = time.ticks_us()
        if self.microphone is not None:
            self._hear(start)
        between = time.ticks_us()
        if self.loudspeaker is not None:
            self._carrier.receive(self.loudspeaker)
            self.loudspeaker.play(self._speaks)
        self._times[0] += time.ticks_diff(between, start)
        self._times[1] += time.ticks_diff(time.ticks_us(), between)
        if time.ticks_diff(time.ticks_ms(), self._period_ms) >= PACKET_MS:
            self._period_ms = time.ticks_add(self._period_ms, PACKET_MS)
            self._period()

    def _hear(self, now_us):
        microphone = self.microphone
        raw = self._raw
        heard = 0
        count = self._hears.readinto(raw)
        while count:
            samples = count // 4
            heard += samples
            done = 0
            while done < samples:
                done = microphone.take(raw, done, samples)
                if microphone.ready() and not self._carrier.send(microphone.packet):
                    microphone.counters.add("unsent")
            count = self._hears.readinto(raw) if count == _PIECE else 0
        self._carrier.flush()
        if heard:
            elapsed = time.ticks_diff(now_us, self._heard_us) // 10 * SAMPLE_RATE // 100000
            self._heard_us = now_us
            if elapsed - heard > _LOST:
                microphone.skip((elapsed - heard) // PACKET_SAMPLES)

    def _asked(self):
        came = self._answers.read()
        if came is not None:
            self._answers.write(self.reporter.handle(came[0], came[1], time.ticks_us()), came[1])

    def _period(self):
        times = self._times
        self.budget.frame(times[0] + times[1], times)
        times[0] = 0
        times[1] = 0
        if self._answers is not None:
            self._answers.write(self.reporter.tick(time.ticks_us(), _late), self.reporter.peer)
        watched = self._carrier.watched()
        if self._carrier.renew():
            self._poll.unregister(watched)
            self._watch()
        self._collect()
