# SPDX-License-Identifier: BSD-2-Clause
"""Anything that a network, a sender and a clock can do to a receiver, in any order: what must hold all the same."""

from collections import deque
from hashlib import sha256

import numpy as np
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machine_profile import profile, steps
from machine_speech import FLOOR_DBFS, KINDS, LIMIT_DB, level, stream

from dredge_device import control, rtp
from dredge_device.agent import Agent
from dredge_device.pi.concealment.history import KEEP_FRAMES, PREDICTOR_FRAMES
from dredge_device.pi.concealment.synthesis import MUTE_AFTER
from dredge_device.pi.receiver import Receiver
from dredge_device.units import FRAME_SAMPLES, RTP_TICKS_PER_PACKET

PERIOD_S = 0.02
PEER = "host"
KEEP_SAMPLES = KEEP_FRAMES * FRAME_SAMPLES
CAPACITY = 512  # packets in the jitter buffer
CALM = 700  # periods: a second of lag takes five seconds and more, by pitch periods
SLACK_MS = 80.0  # a period, what playout leaves uncorrected, and two frames decoded ahead
ACCEPTED_MS = 500.0  # by how much the first packet of a stream may have been late
DEFAULTS = {"playout_ms": 200, "adaptive": False, "conceal": "dred", "lbrr": True, "vocoder": "small"}
DROPPED = ("rtcp", "malformed", "too_large", "not_opus", "wrong_duration", "on_trial")
ENDED = ("received", "duplicate", "late", "beyond")

wanted = st.fixed_dictionaries(
    {
        "playout_ms": st.sampled_from([0, 20, 60, 200, 400, 1000, 2500]),
        "adaptive": st.booleans(),
        "conceal": st.sampled_from(["dred", "dred", "plc", "opus"]),
        "lbrr": st.booleans(),
        "vocoder": st.sampled_from(["small", "standard"]),
    }
)


class Device:
    """The agent with its receiver under a clock that only we move; remembers what it was told and played."""

    def __init__(self):
        self.now = 100.0
        self.said = []  # what happened, to do it again
        self.samples = sha256()
        self.pulls = self.pushes = self.frames = self.silences = 0
        self.agent = Agent(self._make, DEFAULTS, {"boot": "machine"})

    def _make(self, options):
        if not isinstance(options["playout_ms"], int) or not isinstance(options["conceal"], str):
            raise ValueError("playout_ms must be an integer and conceal a string")
        receiver = Receiver(
            options["playout_ms"], options["conceal"], options["lbrr"], clock_us=lambda: round(self.now * 1e6),
            adaptive=options["adaptive"], vocoder=options["vocoder"],
        )  # fmt: skip
        self.pulls = self.pushes = self.frames = self.silences = 0
        return receiver

    @property
    def receiver(self):
        return self.agent.receiver

    def media(self, datagram):
        self._note("media", datagram)
        counted = self.receiver._input.counters.get("rtcp")
        self.agent.handle(datagram, PEER, round(self.now * 1e6))
        heard = not rtp.is_rtcp(datagram) and self.agent.state in (1, 2)
        self.pushes += heard or self.receiver._input.counters.get("rtcp") > counted

    def ask(self, kind, document):
        self._note("ask", kind, document)
        request = control.build(control.with_document(kind, len(self.said) & 0xFFFF, document))
        answers = self.agent.handle(request, PEER, round(self.now * 1e6))
        return [message.document() for answer in answers for message in control.parse(answer)]

    def renew(self):
        self._note("renew")
        self.agent.interrupt()
        if self.agent.state == 3:
            self.agent.renew()

    def pass_time(self, seconds):
        self._note("pass_time", seconds)
        self.now += seconds

    def pull(self):
        self._note("pull")
        played = self.receiver.pull()
        for frame in played.frames:
            self.agent.played(frame.packet, frame.source, frame.delay_us, frame.cpu_us, frame.reason)
        self.now += PERIOD_S
        self.pulls += 1
        self.frames += len(played.frames)
        self.silences += not played.of_stream
        self.samples.update(played.pcm.tobytes())
        return played

    def _note(self, *what):
        self.said.append(what)


class Surroundings:
    """What the listener may compare the present period with: the speech on both sides of it."""

    def __init__(self):
        self.sender = stream("dred")
        self._limits = deque([FLOOR_DBFS], maxlen=4)  # speech waits in the stretcher for up to three frames
        self._before = FLOOR_DBFS  # where the gap began, as played and as it should have been
        self._spoilt = 0  # periods for which a damaged packet may be heard

    def spoil(self):
        """A packet was damaged: what decodes from it, and what is predicted from that, has no reference."""
        self._spoilt = 150

    def limit(self, played, receiver):
        self._spoilt = max(0, self._spoilt - 1)
        for frame in played.frames:
            self._limits.append(self._frame(frame, receiver._buffer))
        if any(frame.source in ("opus", "lbrr", "dtx") for frame in played.frames):
            self._before = max(level(played.pcm), *list(self._limits)[-len(played.frames) - 1 :])
        return float("inf") if self._spoilt else max(*self._limits, self._before) + LIMIT_DB

    def _frame(self, frame, buffer):
        own = buffer.get(frame.packet)
        holder = frame.packet if own else buffer.next_after(frame.packet)
        if holder is None:
            return self._before
        near = self.sender.around(buffer.get(holder), holder - frame.packet)
        if near is None:  # another sender's, or damaged
            self.spoil()
            return self._before
        return near if own else max(near, self._before)


class ReceiverMachine(RuleBasedStateMachine):
    """One link, one sender at a time, one receiver."""

    @initialize(kind=st.sampled_from(KINDS), options=wanted)
    def begin(self, kind, options):
        steps["receiver examples"] += 1
        self.device = Device()
        self.around = Surroundings()
        self.flight = []  # (period in which it arrives, datagram)
        self.history = deque(maxlen=40)
        self.time = 0
        self.stood = 0  # periods in which playout stood still since one was decoded
        self.disturbed = False
        self.device.ask(control.CONFIGURE, options)
        self._dial(kind, ssrc=7, sequence=65500, stamp=0xFFFFF000)

    def _dial(self, kind, ssrc, sequence, stamp):
        self.around.sender = stream(kind)
        self.ssrc, self.sequence, self.stamp, self.period = ssrc, sequence, stamp, 0

    def _next(self):
        """The sender's next datagram, or None in a period without one."""
        payload = self.around.sender.payload(self.period)
        self.period += 1
        stamp, self.stamp = self.stamp, self.stamp + RTP_TICKS_PER_PACKET & 0xFFFFFFFF
        if not payload:
            return None
        sequence, self.sequence = self.sequence, self.sequence + 1 & 0xFFFF
        return rtp.build(sequence, stamp, self.ssrc, payload)

    def _transmit(self, datagram, delay=0):
        if datagram is not None:
            self.flight.append((self.time + delay, datagram))

    def _deliver(self):
        due = [datagram for when, datagram in self.flight if when <= self.time]
        self.flight = [item for item in self.flight if item[0] > self.time]
        for datagram in due:
            self.history.append(datagram)
            self.device.media(datagram)

    def _play(self):
        """One period: exactly one frame, and not out of nothing."""
        self._deliver()
        played = self.device.pull()
        self.time += 1
        steps["receiver periods"] += 1
        assert played.pcm.shape == (320,) and played.pcm.dtype == np.int16
        # Two are decoded at most; before them stand those that turned out to be what a standing playout had concealed.
        assert len([f for f in played.frames if f.source != "skipped"]) <= 2 + self.stood
        if played.packet is not None:
            self.stood = 0
        elif played.source == "hold":
            self.stood += 1
        limit = self.around.limit(played, self.device.receiver)
        sources = {frame.source for frame in played.frames} or {played.source}
        if sources - {"opus"}:
            assert level(played.pcm) <= limit, (level(played.pcm), limit, sources)
        return played

    @rule(count=st.integers(1, 15))
    def arrive(self, count):
        for _ in range(count):
            self._transmit(self._next())
            self._play()

    @rule(count=st.integers(1, 8) | st.integers(20, 70))
    def lose(self, count):
        for _ in range(count):
            self._next()
            self._play()

    @rule(pattern=st.lists(st.booleans(), min_size=5, max_size=25))
    def lose_some(self, pattern):
        for arrives in pattern:
            datagram = self._next()
            if arrives:
                self._transmit(datagram)
            self._play()

    @rule(delay=st.integers(1, 10) | st.integers(10, 150))
    def late(self, delay):
        self.disturbed = True
        self._transmit(self._next(), delay)
        self._play()

    @rule(order=st.permutations(range(5)))
    def reorder(self, order):
        for place in order:
            self._transmit(self._next(), place)
            self._play()

    @rule(age=st.integers(1, 40))
    def duplicate(self, age):
        if age <= len(self.history):
            self.device.media(self.history[-age])

    @rule(where=st.floats(0, 1), flip=st.integers(1, 255))
    def damage(self, where, flip):
        datagram = self._next()
        if datagram is not None:
            spoilt = bytearray(datagram)
            spoilt[int(where * (len(datagram) - 1))] ^= flip
            self.around.spoil()
            self.disturbed = True  # the number may be the damaged one
            self._transmit(bytes(spoilt))
        self._play()

    @rule(datagram=st.binary(max_size=60) | st.just(rtp.build(1, 2, 7, bytes(3100))))
    def garbage(self, datagram):
        self.disturbed = True
        self.around.spoil()
        self.device.media(datagram)

    @rule(step=st.integers(-4000, 4000) | st.integers(1, 65535))
    def jump_sequence(self, step):
        self.disturbed = True
        self.sequence = self.sequence + step & 0xFFFF

    @rule(step=st.integers(-100, 3500), odd=st.sampled_from([0, 0, 0, 1, 480]))
    def jump_timestamp(self, step, odd):
        self.disturbed = True
        self.stamp = self.stamp + step * RTP_TICKS_PER_PACKET + odd & 0xFFFFFFFF

    @rule(kind=st.sampled_from(KINDS), ssrc=st.integers(1, 3), sequence=st.integers(0, 65535),
          stamp=st.integers(0, 0xFFFFFFFF), announced=st.booleans())  # fmt: skip
    def restart(self, kind, ssrc, sequence, stamp, announced):
        self.disturbed = True
        self._dial(kind, ssrc, sequence, stamp)
        if announced:
            self.device.ask(
                control.CONFIGURE, {"ssrc": ssrc, "first_sequence": sequence, "first_timestamp": stamp}
            )

    @rule(stamped=st.booleans())
    def finish(self, stamped):
        self.disturbed = True
        stamp = self.stamp - RTP_TICKS_PER_PACKET & 0xFFFFFFFF if stamped else None
        self.device.receiver.finish(self.sequence - 1 & 0xFFFF, stamp)
        self.device.said.append(("finish", self.sequence - 1 & 0xFFFF, stamp))

    @rule(options=wanted, wrong=st.none() | st.sampled_from(
        [{"playout_ms": -1}, {"playout_ms": 1e999}, {"conceal": []}, {"vocoder": "fish"},
         {"ssrc": 1e999, "first_sequence": 1}, {"ssrc": None, "first_sequence": "x"}]))  # fmt: skip
    def configure(self, options, wrong):
        """Refused in the middle of a stream; a wrong one always, and it changes nothing."""
        before = dict(self.device.agent.options)
        answer = self.device.ask(control.CONFIGURE, {**options, **(wrong or {})})[0]
        if wrong is not None:
            assert answer["ok"] is False and answer["error"]
        if not answer["ok"]:
            assert self.device.agent.options == before

    @rule(options=wanted)
    def hang_up_and_call_again(self, options):
        self.disturbed = True
        self.device.renew()
        assert self.device.ask(control.CONFIGURE, options)[0]["ok"]

    @rule(seconds=st.floats(0.05, 4), lost=st.booleans())
    def suspend(self, seconds, lost):
        """We were stopped; what came meanwhile was lost, or waits in the socket."""
        self.disturbed = True
        self.device.pass_time(seconds)
        for _ in range(int(seconds / PERIOD_S)):
            self.time += 1
            datagram = self._next()
            if not lost:
                self._transmit(datagram)
        self._play()

    @rule(count=st.integers(2, 40))
    def burst(self, count):
        """The sender was held up, or its clock runs ahead."""
        self.disturbed = True
        for _ in range(count):
            self._transmit(self._next())
        self._play()

    @rule(count=st.integers(100, 700))
    def long_silence(self, count):
        for _ in range(count):
            self._play()
        self.disturbed = True

    @rule()
    def calm(self):
        """After seconds in which nothing goes wrong playout keeps to its policy again."""
        self.flight = []
        played = [self._calm_period() for _ in range(CALM)]
        receiver = self.device.receiver
        spoken = [frame for one in played[-50:] for frame in one.frames if frame.source != "skipped"]
        if receiver._buffer.last is not None:  # finished: the sender goes on without a reason
            return
        assert spoken
        allowed = receiver.playout_ms + SLACK_MS + (0 if receiver.adaptive else ACCEPTED_MS)
        assert max(frame.delay_us for frame in spoken) / 1000 <= allowed, receiver.report()["playout"]
        self.disturbed = False

    def _calm_period(self):
        self._transmit(self._next())
        return self._play()

    @invariant()
    def counters_add_up(self):
        steps["receiver rules"] += 1
        report = self.device.receiver.report()
        packets, sources = report["packets"], report["sources"]
        assert packets["sent"] == packets["arrived"] + packets["missing"]
        assert packets["missing"] >= 0 and 0 <= packets["lost"] <= packets["expected"]
        assert sum(sources.values()) == self.device.frames + self.device.silences
        assert sources["silence"] == self.device.silences
        timeline = self.device.agent.reports.timeline
        assert timeline.count + timeline.dropped == self.device.frames
        assert report["budget"]["frames"] == self.device.pulls
        # A packet of a new start is on trial and stored once its successor has come; one that
        # moves the buffer on is late or beyond and then stored.
        ended = sum(packets[name] for name in (*DROPPED, *ENDED))
        assert ended == self.device.pushes + packets["restarts"] + packets["resyncs"]

    @invariant()
    def memory_is_bounded(self):
        receiver = self.device.receiver
        buffer, concealer = receiver._buffer, receiver._concealer
        assert len(buffer._slots._data) == CAPACITY and buffer.depth() <= CAPACITY
        assert receiver._speech.queued <= 4 * 320
        assert len(receiver._speech._skipped) == 0 and len(receiver._playout.lag._window) <= 50
        assert len(buffer.delays._minima) <= 6
        if concealer.dred_source is not None:
            assert len(concealer.dred_source._entries) <= CAPACITY + 1
        if concealer.has_vocoder:
            history = concealer._synthesis.history
            assert len(history._rows) == KEEP_FRAMES and len(history.samples) == KEEP_SAMPLES
            assert history._pending <= PREDICTOR_FRAMES
        assert concealer._transition.undescribed <= MUTE_AFTER or not concealer.synthesising

    def teardown(self):
        """The same again makes the same samples and the same report."""
        if not hasattr(self, "device"):
            return
        again = Device()
        for name, *arguments in self.device.said:
            target = again.receiver if name == "finish" else again
            getattr(target, name)(*arguments)
            if name == "finish":
                again.said.append((name, *arguments))
        assert again.samples.digest() == self.device.samples.digest()
        assert again.receiver.report() == self.device.receiver.report()


TestReceiverMachine = ReceiverMachine.TestCase
TestReceiverMachine.settings = profile(examples=6, rules=20, long_examples=2000, long_rules=60)
