# SPDX-License-Identifier: BSD-2-Clause
"""What lies on both sides of a gap: listening ahead, the bridge between, the decoder's priming."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from device_fakes import Bench, FakeDecoder, FakeExtractor, FakeReader, fake_parts, packet

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.decoder_priming import DECODED, NEEDED, PRELUDE, DecoderPriming, OvershootGuard
from dredge_device.pi.concealment.interpolation import HOLD, Interpolation
from dredge_device.pi.concealment.lookahead import COLD, REACH, Following, Lookahead
from dredge_kernels import opus

CLIP = Path(__file__).parents[2] / "data" / "speech_short.flac"


class FakeListener(FakeExtractor):
    def reset(self):
        self.__init__()


class Holding(JitterBuffer):
    """A buffer that holds what it is given."""

    def __init__(self, **packets):
        super().__init__(1000)
        self.packets = {int(k[1:]): v for k, v in packets.items()}

    def get(self, number):
        return self.packets.get(number)

    def next_after(self, number):
        later = [n for n in self.packets if n > number]
        return min(later) if later else None


def lookahead(use_lbrr=False, **packets):
    decoder = FakeDecoder()
    return Lookahead(decoder, FakeListener(), Holding(**packets), FakeReader(), use_lbrr), decoder


def test_the_scout_hears_the_two_packets_after_the_gap():
    heard, decoder = lookahead(_7=packet(7), _8=packet(8))
    found = heard.follow(4)
    assert found.number == 7 and found.rows.shape == (3, 20)
    assert decoder.calls == [("reset",), ("decode", 7), ("decode", 8)]
    first = found.rows[:, 0] - [COLD, 0, 0]
    np.testing.assert_allclose(first, [1007, 1007.5, 1008], atol=0.51)  # a frame is half of the next, 80 samples late


def test_the_scout_listens_once_per_gap_and_anew_when_something_nearer_arrives():
    heard, decoder = lookahead(_7=packet(7), _8=packet(8))
    assert heard.follow(4) is heard.follow(5)
    assert decoder.calls.count(("reset",)) == 1
    heard._buffer.packets[6] = packet(6)
    assert heard.follow(5).number == 6


def test_the_scout_uses_the_copy_of_the_last_lost_packet():
    heard, decoder = lookahead(True, _7=packet(7, b"L"))
    assert heard.follow(4).number == 6
    assert decoder.calls == [("reset",), ("fec", 7), ("decode", 7)]
    assert heard.found.rows[0, 0] == pytest.approx(2006 + COLD)


def test_the_copy_of_the_very_packet_is_no_help():
    heard, _ = lookahead(True, _7=packet(7, b"L"))
    assert heard.follow(6).number == 7


def test_a_second_packet_that_is_lost_is_concealed():
    heard, decoder = lookahead(_7=packet(7))
    assert heard.follow(6).number == 7
    assert decoder.calls[-1] == ("conceal",)


@pytest.mark.parametrize("later", [{}, {f"_{5 + REACH}": packet(5 + REACH)}, {"_7": b""}, {"_7": packet(7, b"!")}])
def test_nothing_near_nothing_sent_or_nothing_decodable_is_no_answer(later):
    heard, _ = lookahead(**later)
    assert heard.follow(4) is None
    assert heard.follow(4) is None


def row(c0, pitch=0.0, voicing=0.3):
    values = np.zeros(20, np.float32)
    values[0], values[18], values[19] = c0, pitch, voicing
    return values


def as_quiet_as(c0):
    """A background that is only loudness."""
    return lambda rows: np.maximum(rows, np.array([c0] + [-99] * 19, np.float32))


def bridge(left, right, packets, background=-10.0):
    """All rows of a gap of so many packets, and the two beyond it."""
    gap = Interpolation(10, np.tile(left, (8, 1)), as_quiet_as(background))
    following = Following(10 + packets, np.stack([right, right, right]))
    rows = [gap.bridge(number, following)[:2] for number in range(10, 11 + packets)]
    assert all(r.dtype == np.float32 for r in rows)
    return np.concatenate(rows)


def test_a_short_gap_is_a_straight_line_between_its_sides():
    rows = bridge(row(2.0, 0.0), row(4.0, 1.0), 2)
    np.testing.assert_allclose(rows[:4, 0], [2.4, 2.8, 3.2, 3.6], atol=1e-5)
    np.testing.assert_allclose(rows[:4, 18], [0.2, 0.4, 0.6, 0.8], atol=1e-5)
    np.testing.assert_array_equal(rows[4:, 0], [4.0, 4.0])


def test_a_pitch_is_not_mixed_with_one_that_means_nothing():
    rows = bridge(row(2.0, 0.5, 0.4), row(2.0, -1.5, -0.4), 3)
    assert set(rows[:6, 18].tolist()) <= {0.5, -1.5}
    assert rows[0, 18] == 0.5


def test_a_long_gap_falls_to_the_background_in_its_middle_and_rises_again():
    rows = bridge(row(6.0), row(6.0), 25, background=-3.0)
    level = rows[:50, 0]
    assert level[0] > 5.5 and level[49] > 5.5
    assert level[25] < 0.0 and level.min() >= -3.0
    assert np.all(np.diff(level[:25]) <= 1e-5) and np.all(np.diff(level[25:]) >= -1e-5)
    assert rows[25, 19] < 0.0 < rows[0, 19], "a long loss must not end in a tone"


def test_speech_goes_on_at_full_level_as_long_as_it_is_held():
    rows = bridge(row(6.0), row(6.0), HOLD // 2)
    np.testing.assert_allclose(rows[:HOLD, 0], 6.0, atol=1e-5)


def test_first_frames_that_are_far_too_loud_are_not_believed():
    """A cold decoder can be wrong by 10 dB in its first packet; the frame after it tells."""
    wrong = row(9.0)
    wrong[1] = 4.0
    following = Following(11, np.stack([wrong, wrong, row(6.0)]))
    rows = Interpolation(10, np.tile(row(5.0), (8, 1)), as_quiet_as(-10.0)).after(following)
    assert rows.shape == (4, 20) and rows[0, 0] < 6.0 and rows[0, 1] == 4.0
    np.testing.assert_array_equal(rows[2], rows[3])
    louder_before = Interpolation(10, np.tile(row(13.0), (8, 1)), as_quiet_as(-10.0)).after(following)
    assert louder_before[0, 0] == 9.0


def test_the_end_is_the_same_from_every_packet_of_the_gap():
    gap = Interpolation(10, np.tile(row(2.0), (8, 1)), as_quiet_as(-10.0))
    following = Following(14, np.stack([row(5.0)] * 3))
    np.testing.assert_array_equal(gap.bridge(10, following)[2:], gap.bridge(11, following)[:2])


def bridging_parts():
    parts = fake_parts("plc")
    parts.lookahead_decoder, parts.lookahead_extractor = FakeDecoder(), FakeListener()
    return parts


def test_the_receiver_bridges_when_playout_is_late_enough_to_know_the_end():
    bench = Bench(conceal="plc", parts=bridging_parts())
    played = bench.run(12, lost={5, 6})
    assert [p.source for p in played[5:7]] == ["plc", "plc"]
    assert bench.parts.plc.ahead == 0, "nothing was predicted"
    rows = np.concatenate([r[2:4] for r in bench.parts.vocoder.rows[:2]])[:, 0]
    assert np.all(np.diff(rows) > 0) and rows[-1] < 1007 + COLD, "from what was heard to what will be heard"


def test_the_receiver_predicts_when_the_end_is_not_known():
    bench = Bench(playout_ms=0, conceal="plc", parts=bridging_parts())
    bench.run(12, lost={5, 6})
    assert not bench.parts.lookahead_decoder.calls
    assert bench.parts.vocoder.rows[0][2, 0] == -1


class FakeEncoder:
    lookahead = 104

    def __init__(self):
        self.heard, self.resets = [], 0

    def encode(self, pcm):
        assert pcm.dtype == np.int16 and pcm.shape == (320,)
        self.heard.append(pcm)
        return b"%d" % len(self.heard)

    def reset(self):
        self.resets += 1


SILK, CELT = bytes([9 << 3]), bytes([29 << 3])


def test_the_rehearsal_ends_one_look_ahead_after_the_gap():
    encoder, got = FakeEncoder(), []
    played = np.arange(2000, dtype=np.int16)
    DecoderPriming(encoder).run(SimpleNamespace(decode=got.append), played, np.arange(2000, 2160, dtype=np.int16), SILK)
    heard = np.concatenate(encoder.heard)
    assert encoder.resets == 1 and len(heard) == NEEDED
    np.testing.assert_array_equal(heard, np.arange(2104 - NEEDED, 2104))
    assert got == [b"%d" % (PRELUDE + 1 + i) for i in range(DECODED)]


def test_there_is_no_rehearsal_for_packets_that_do_not_predict():
    encoder = FakeEncoder()
    DecoderPriming(encoder).run(FakeDecoder(), np.zeros(2000, np.int16), np.zeros(160, np.int16), CELT)
    assert not encoder.heard


class Emptied(FakeDecoder):
    """A decoder whose output has one level until it is reset, and another one afterwards."""

    def __init__(self, primed, empty):
        super().__init__()
        self.level, self.empty = primed, empty

    def decode(self, data):
        self.calls.append(("decode",))
        return np.resize(np.array([self.level, -self.level], np.int16), 320)

    def reset(self):
        self.level = self.empty
        super().reset()


@pytest.mark.parametrize(
    ("primed", "empty", "heard", "asked"),
    [
        (8000, 1000, 1000, True),  # it resonates: nothing was as loud, and from an empty decoder it is not
        (8000, 7500, 8000, True),  # speech begins
        (1300, 100, 1300, False),  # as loud as what was heard before
        (30, 1, 30, False),  # nothing is loud beside silence
    ],
)
def test_a_first_packet_that_resonates_is_decoded_from_nothing(primed, empty, heard, asked):
    decoder, spare = Emptied(primed, empty), Emptied(empty, empty)
    guard = OvershootGuard(decoder, spare)
    played = np.full(3200, 1000 if primed > 100 else 0, np.int16)
    pcm = guard.checked(decoder.decode(b""), played, lambda one: one.decode(b""), None)
    assert np.abs(pcm).max() == heard
    assert bool(spare.calls) == asked
    assert (("reset",) in decoder.calls) == (heard != primed), "the state goes on from what was heard"


def test_after_a_rehearsal_the_first_packets_are_nearer_to_what_was_sent():
    """Real Opus: recovered speech that is exact, 60 ms lost; the error of the next 40 ms."""
    pcm = soundfile.read(CLIP, dtype="int16")[0]
    encoder = opus.OpusEncoder(loss_pct=20)
    packets = [encoder.encode(pcm[at : at + 320]) for at in range(0, len(pcm) - 320, 320)]
    whole = opus.OpusDecoder()
    clean = np.concatenate([whole.decode(p) for p in packets])
    priming = DecoderPriming(opus.OpusEncoder(complexity=2, loss_pct=20))
    errors = []
    for lost in range(20, len(packets) - 6, 7):
        end = lost + 3
        want = clean[320 * end : 320 * (end + 2)].astype(float)
        if want.std() < 300:
            continue
        row = []
        for prime_decoder in (False, True):
            decoder = opus.OpusDecoder()
            for p in packets[:lost]:
                decoder.decode(p)
            for _ in range(3):
                decoder.conceal()
            if prime_decoder:
                priming.run(decoder, clean[: 320 * end], clean[320 * end : 320 * end + 160], packets[end])
            after = np.concatenate([decoder.decode(p) for p in packets[end : end + 2]])
            row.append(float(np.sum((after - want) ** 2) / np.sum(want**2)))
        errors.append(row)
    errors = np.array(errors)
    assert len(errors) >= 8
    assert np.median(errors[:, 1]) < 0.5 * np.median(errors[:, 0])
