# SPDX-License-Identifier: BSD-2-Clause
"""The sounds of a page: levels, owner of the timeline, stretched recordings, and the audio in the page."""

import base64
import io

import numpy as np
import pytest
import soundfile

from dredge_host.charts.spectrogram import power_columns
from dredge_host.report import signals
from dredge_host.report.timeline import Row


def noise(packets, scale=3000, seed=1):
    return (scale * np.random.default_rng(seed).standard_normal(packets * 320)).clip(-32768, 32767).astype(np.int16)


def opus_rows(packets):
    return [Row(i, "opus", 40.0) for i in range(packets)]


def level(reference, pcm, rows):
    return signals.gather({"original": reference, "dred": pcm}, rows, len(reference) // 320, False, 0)[1].level_db


def decoded(uri):
    kind, data = uri.split(";base64,")
    pcm, rate = soundfile.read(io.BytesIO(base64.b64decode(data)), dtype="int16")
    assert rate == 16000
    return kind, pcm


@pytest.mark.parametrize(
    ("names", "owner"),
    [(["original", "dred", "dred_lbrr"], "dred"), (["plc", "received"], "received"), (["plc", "mine"], None),
     ([], None)],
)
def test_the_timeline_has_one_owner(names, owner):
    assert signals.owner_of(names) == owner
    got = signals.gather({name: noise(3) for name in names}, opus_rows(3), 3, False, 0)
    assert [s.name for s in got if s.owner] == ([owner] if owner else [])
    assert [s.fill for s in got if s.owner] == [None] * sum(s.owner for s in got)


def test_level_is_that_of_what_arrived():
    speech = noise(50)
    half = (speech / 2).astype(np.int16)
    half[320 * 10 : 320 * 30] = 0  # a gap filled with silence makes nothing quieter
    rows = [Row(i, "conceal" if 10 <= i < 30 else "opus") for i in range(50)]
    assert level(speech, half, rows) == pytest.approx(-6.02, abs=0.05)
    assert level(speech, speech, rows) == 0.0


def test_pauses_do_not_count_and_silence_has_no_level():
    speech = noise(50)
    speech[: 320 * 25] = noise(25, scale=3)
    louder = speech.copy()
    louder[320 * 25 :] *= 2
    assert level(speech, louder, opus_rows(50)) == pytest.approx(6.02, abs=0.05)
    assert level(speech, np.zeros_like(speech), opus_rows(50)) is None
    assert level(speech, speech[:100], opus_rows(50)) is None, "shorter than a packet"


def test_short_audio_is_bit_exact_and_long_audio_is_small():
    pcm = np.random.default_rng(5).integers(-32768, 32768, 3210).astype(np.int16)
    kind, got = decoded(signals.data_uri(pcm, True))
    assert kind == "data:audio/flac"
    np.testing.assert_array_equal(got, pcm)
    tone = (8000 * np.sin(2 * np.pi * 400 * np.arange(4 * 16000) / 16000)).astype(np.int16)
    kind, got = decoded(signals.data_uri(tone, False))
    assert kind == "data:audio/ogg" and len(got) == len(tone)
    assert np.abs(got[8000:-8000].astype(int) - tone[8000:-8000]).mean() < 200, "in place to the sample"
    assert len(signals.data_uri(tone, False)) < 0.5 * len(signals.data_uri(tone, True))


def test_length_of_all_signals_together_decides():
    hour = np.zeros(int(signals.LOSSLESS_S) * 16000, np.int16)
    assert signals.lossless({"a": hour}) and not signals.lossless({"a": hour, "b": hour[:1]})


def test_axis_is_as_long_as_the_longest_but_not_as_a_stretched_recording():
    pcm = {"original": noise(10), "received": noise(14)}
    assert signals.packet_count(opus_rows(12), pcm, False) == 14
    assert signals.packet_count(opus_rows(12), pcm, True) == 12
    assert signals.packet_count([], pcm, True) == 14
    assert signals.packet_count([], {}, False) == 1


def test_a_stretched_recording_is_drawn_on_the_time_of_its_packets():
    speech = noise(40)
    hold = noise(5, scale=10, seed=2)  # playout stood still for 100 ms before packet 20
    heard = np.concatenate([np.zeros(64, np.int16), speech[: 20 * 320], hold, speech[20 * 320 :]])
    rows = [Row(i, "opus", 40.0 if i < 20 else 140.0) for i in range(40)]
    original, received = signals.gather({"original": speech, "received": heard}, rows, 40, True, 64)
    assert original.heard is None and original.warp() == []
    mine, theirs = received.columns(40), original.columns(40)
    inner = [k for k in range(1, 39) if k not in (19, 20)]  # a window reaches into its neighbours
    np.testing.assert_allclose(mine[inner], theirs[inner], rtol=1e-9)
    assert received.warp() == [[0, 0.004], [19, 0.384], [20, 0.504], [40, 0.904]]


def test_columns_at_given_starts_equal_those_of_the_packets():
    pcm = noise(12)
    starts = np.arange(12) * 320
    np.testing.assert_allclose(power_columns(pcm, starts), power_columns(pcm))
    assert power_columns(pcm, np.array([-50, 10**9])).shape == (2, 257)


def test_other_rates_are_refused(tmp_path):
    soundfile.write(tmp_path / "a.wav", noise(2), 8000)
    with pytest.raises(ValueError, match=r"a\.wav: the report needs 16000 Hz, this is 8000 Hz"):
        signals.read(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("names", "pair"),
    [
        (["original", "dred", "plc", "opus"], ("dred", "opus")),
        (["original", "received"], ("received", "original")),
        (["original", "plc"], ("plc", "original")),
        (["a", "b"], ("a", "b")),
        (["original"], None),
    ],
)
def test_what_was_received_is_compared_with_classic_concealment(names, pair):
    assert signals.pair_of(names) == pair


def test_packets_far_below_the_loudest_are_no_speech():
    pcm = np.repeat(np.array([8000, 2000, 20, 0], np.int16), 320)
    assert signals.speech_packets(pcm).tolist() == [True, True, False, False]
    assert not signals.speech_packets(np.zeros(640, np.int16)).any()
