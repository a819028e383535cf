# SPDX-License-Identifier: BSD-2-Clause
"""Small stand-ins for decoder and models, so that a decision can be told from its samples."""

from types import SimpleNamespace

import numpy as np

from dredge_device import rtp
from dredge_device.pi.factory import Parts
from dredge_device.pi.receiver import Receiver

SSRC = 0x1234


class FakeReader:
    """A packet is b"P" + flags + number; flags: L = LBRR, D = DRED, X = damaged DRED."""

    def samples(self, packet):
        if packet[:1] == b"Z":
            return 480  # 30 ms
        if packet[:1] != b"P":
            raise RuntimeError("not a packet")
        return 320

    def has_lbrr(self, packet):
        return b"L" in packet[:3]

    def is_dtx(self, packet):
        return b"N" in packet[:3]

    def dred(self, packet):
        if b"X" in packet[:3]:
            return b"X"
        return packet if b"D" in packet[:3] else None


def packet(number, flags=b"D"):
    return b"P" + flags.ljust(2, b".") + number.to_bytes(4, "big")


def number_of(data):
    return int.from_bytes(data[3:7], "big")


def constant(value, samples=320):
    """int16[samples] of one value, which wraps around as a counter of 16 bits does."""
    return np.full(samples, value).astype(np.int16)


class FakeDecoder:
    """Packet n decodes to a constant n + 1000, its FEC to the packet before plus 2000."""

    def __init__(self):
        self.calls = []

    def decode(self, data):
        if b"!" in data[:3]:
            raise RuntimeError("corrupted stream")
        self.calls.append(("decode", number_of(data)))
        return constant(1000 + number_of(data))

    def decode_fec(self, data, samples=320):
        self.calls.append(("fec", number_of(data)))
        return constant(2000 + number_of(data) - 1, samples)

    def conceal(self, samples=320):
        self.calls.append(("conceal",))
        return constant(77, samples)

    def reset(self):
        self.calls.append(("reset",))


class FakeDred:
    """Rows whose first value is the absolute frame number they describe."""

    def __init__(self, span=100, offset=8):
        self.span, self.offset = span, offset
        self.parses, self.asked = [], []

    def parse(self, data):
        if data == b"X":
            raise ValueError("damaged")
        self.parses.append(number_of(data))
        header = SimpleNamespace(offset=self.offset)
        return SimpleNamespace(span_frames=self.span, header=header, number=number_of(data))

    def features(self, parsed, frames):
        self.asked.append((parsed.number, frames))
        rows = np.zeros((frames, 20), np.float32)
        newest = 2 * parsed.number + self.offset // 4 - 1
        rows[:, 0] = np.arange(newest - frames + 1, newest + 1)
        return rows


class FakeVocoder:
    """Samples carry the frame number of the row they were made from."""

    def __init__(self):
        self.begun, self.rows = [], []

    def begin(self, pcm, features, ahead=None):
        assert ahead is None or ahead.shape == (2, 20)
        assert pcm.dtype == np.int16 and len(pcm) >= 640
        assert features.dtype == np.float32 and len(features) >= 3
        self.begun.append((pcm.copy(), features.copy()))

    def reset(self):
        self.resets = getattr(self, "resets", 0) + 1

    def synthesise(self, features):
        assert features.dtype == np.float32 and features.shape[1] == 20
        self.rows.append(features.copy())
        return np.repeat(features[2:-2, 0], 160).astype(np.int16)

    tail = synthesise


class FakePlc:
    """Predicts -1, -2, ... since the last update."""

    def __init__(self):
        self.learnt, self.ahead = [], 0

    def update(self, feature):
        self.learnt.append(float(feature[0]))
        self.ahead = 0

    def predict(self):
        self.ahead += 1
        row = np.zeros(20, np.float32)
        row[0] = -self.ahead
        return row

    def reset(self):
        self.ahead = 0


class FakeExtractor:
    """Row i of its input: mean sample value of the frame, so that alignment shows."""

    @property
    def heard(self):
        return np.concatenate(self._pieces)

    def __init__(self):
        self._pieces = []

    def reset(self):
        self._pieces.clear()

    def process(self, pcm):
        assert pcm.dtype == np.int16 and len(pcm) % 160 == 0
        self._pieces.append(pcm)
        rows = np.zeros((len(pcm) // 160, 20), np.float32)
        rows[:, 0] = pcm.reshape(-1, 160).mean(axis=1)
        return rows


def fake_parts(conceal="dred", **dred):
    parts = Parts(reader=FakeReader(), decoder=FakeDecoder())
    if conceal != "opus":
        parts.vocoder, parts.plc, parts.extractor = FakeVocoder(), FakePlc(), FakeExtractor()
    if conceal == "dred":
        parts.dred = FakeDred(**dred)
    return parts


class Bench:
    """A receiver under a clock that only moves when told to."""

    def __init__(self, playout_ms=200, conceal="dred", use_lbrr=True, parts=None, **dred):
        self.now_us = 0
        self.parts = parts or fake_parts(conceal, **dred)
        self.receiver = Receiver(
            playout_ms, conceal, use_lbrr, clock_us=lambda: self.now_us, parts=self.parts
        )

    def send(self, number, data=None, ssrc=SSRC, flags=b"D"):
        data = packet(number, flags) if data is None else data
        self.receiver.push(rtp.build(number, number * 960, ssrc, data), self.now_us)

    def pull(self):
        played = self.receiver.pull()
        self.now_us += 20_000
        return played

    def run(self, count, lost=(), flags=None, pulls=None):
        """Packets 0..count-1 in real time; returns what was played for each of them."""
        flags = flags or {}
        spoken = []
        for step in range(pulls or count + self.receiver.playout_ms // 20):
            if step < count and step not in lost:
                self.send(step, flags=flags.get(step, b"D"))
            played = self.pull()
            if played.packet is not None:
                spoken.append(played)
        return spoken
