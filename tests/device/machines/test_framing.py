# SPDX-License-Identifier: BSD-2-Clause
"""A byte stream with damage anywhere: a whole frame always arrives, a damaged one never does."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machine_profile import profile, steps

from dredge_device.framing import MAX_DATAGRAM, Deframer, Framer

LONGEST = MAX_DATAGRAM + 32
blobs = st.binary(max_size=60) | st.integers(0, MAX_DATAGRAM).map(lambda n: b"\7" * n) | st.integers(0, 600).map(bytes)


class FramingMachine(RuleBasedStateMachine):
    """Frames go onto the line, some hurt on their way; the other end reads in pieces of any length."""

    @initialize()
    def begin(self):
        steps["framing examples"] += 1
        self.framer, self.deframer = Framer(), Deframer()
        self.line = bytearray()
        self.expected, self.got = [], []
        self.resent = b""

    def _put(self, datagram):
        frame = self.framer.frame(datagram)
        self.resent = frame
        return frame

    @rule(datagram=blobs)
    def send(self, datagram):
        self.line += self._put(datagram)
        self.expected.append(datagram)

    @rule(datagram=blobs, where=st.floats(0, 1), flip=st.integers(1, 255))
    def flip(self, datagram, where, flip):
        """One byte of the frame is another one; its delimiters stay."""
        frame = bytearray(self._put(datagram))
        frame[1 + int(where * (len(frame) - 3))] ^= flip
        self.line += frame

    @rule(datagram=blobs, where=st.floats(0, 1))
    def cut(self, datagram, where):
        """The sender lost power, or the end of the frame was lost."""
        frame = self._put(datagram)
        self.line += frame[: 1 + int(where * (len(frame) - 3))]

    @rule(noise=st.binary(max_size=80) | st.integers(0, 9000).map(lambda n: b"\xff" * n))
    def noise(self, noise):
        """Whatever a floating wire says; it ends before the next frame begins."""
        self.line += noise

    @rule()
    def repeat(self):
        """The same bytes once more: the datagram comes again and is counted as repeated or as a new start."""
        if self.resent and self.line.endswith(self.resent) and self.expected:
            self.line += self.resent
            self.expected.append(self.expected[-1])

    @rule()
    def sender_starts_anew(self):
        self.framer = Framer()

    @rule(size=st.integers(1, 3000))
    def read(self, size):
        piece, self.line = bytes(self.line[:size]), self.line[size:]
        steps["framing bytes"] += len(piece)
        self.got += self.deframer.feed(piece)

    @invariant()
    def nothing_false_and_nothing_missing(self):
        steps["framing rules"] += 1
        assert self.got == self.expected[: len(self.got)]
        counters = self.deframer.counters()
        assert counters["frames"] == len(self.got)
        assert all(value >= 0 for value in counters.values())

    @invariant()
    def memory_is_bounded(self):
        assert len(self.deframer._part) <= LONGEST

    def teardown(self):
        if hasattr(self, "line"):
            self.got += self.deframer.feed(bytes(self.line))
            assert self.got == self.expected


TestFramingMachine = FramingMachine.TestCase
TestFramingMachine.settings = profile(examples=40, rules=40, long_examples=5000, long_rules=150)
