# SPDX-License-Identifier: BSD-2-Clause
"""The sender's high-pass against its formula and an Opus encoder, in streams, and at its limits."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from dredge_kernels.highpass import CUTOFF_HZ, SAMPLE_RATE, HighPass
from dredge_kernels.opus import OpusDecoder, OpusEncoder

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


def formula(x, cutoff=CUTOFF_HZ):
    fc = 1.5 * 3.14159 / 1000 * cutoff / 16
    r = 1 - 0.92 * fc
    y = []
    x1 = x2 = y1 = y2 = 0.0
    for now in x.astype(np.float64).tolist():
        y.append(r * (now - 2 * x1 + x2) - r * (fc * fc - 2) * y1 - r * r * y2)
        x2, x1, y2, y1 = x1, now, y1, y[-1]
    return np.array(y)


def noise(n, scale=4000.0):
    return np.rint(np.random.default_rng(1).normal(500, scale, n)).astype(np.int16)


@pytest.mark.parametrize("cutoff", [60.0, 100.0])
def test_it_is_the_formula_rounded(cutoff):
    x = noise(8000)
    np.testing.assert_array_equal(HighPass(cutoff).process(x), np.rint(formula(x, cutoff)).astype(np.int16))


def test_a_stream_in_pieces_is_the_same_and_a_reset_forgets():
    x, whole = noise(4000), HighPass()
    expected, split = whole.process(x), HighPass()
    pieces = [split.process(part) for part in np.split(x, [1, 7, 160, 2000])]
    np.testing.assert_array_equal(np.concatenate(pieces), expected)
    assert (whole.process(x) != expected).any()
    whole.reset()
    np.testing.assert_array_equal(whole.process(x), expected)
    assert whole.process(x[:0]).shape == (0,)


def test_offsets_and_rumble_go_and_speech_stays():
    t = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    def left(hz):
        x = np.rint(8000 * np.cos(2 * np.pi * hz * t)).astype(np.int16)
        return np.std(HighPass().process(x)[SAMPLE_RATE:]) / max(1, np.std(x[SAMPLE_RATE:]))
    assert np.abs(HighPass().process(np.full(SAMPLE_RATE, 12000, np.int16))[-100:]).max() == 0
    assert left(10) < 0.1 and left(200) > 0.94 and left(1000) == pytest.approx(1, abs=0.03)


def test_full_scale_saturates_instead_of_wrapping():
    x = np.repeat(np.array([-32768, 32767] * 20, np.int16), 400)
    np.testing.assert_array_equal(HighPass().process(x), np.rint(np.clip(formula(x), -32768, 32767)).astype(np.int16))


def test_an_opus_encoder_takes_out_the_same_and_no_later():
    speech, _ = sf.read(CLIP, dtype="int16")
    pcm = np.clip(speech[: 320 * 300].astype(int) + 6000, -32768, 32767).astype(np.int16)
    encoder, decoder = OpusEncoder(bitrate=24000), OpusDecoder()
    coded = [decoder.decode(encoder.encode(pcm[n : n + 320])) for n in range(0, len(pcm), 320)]
    decoded = np.concatenate(coded)[encoder.lookahead :]
    filtered, pcm = HighPass().process(pcm)[: len(decoded)], pcm[: len(decoded)]
    assert abs(level_db(filtered, 60, 1000) - level_db(decoded, 60, 1000)) < 1
    ours, untouched, theirs = (level_db(x, 0, 60) for x in (filtered, pcm, decoded))
    assert ours - theirs < 3 and untouched - theirs > 30
    lags = range(-4, 5)
    ours, theirs = filtered[8000:].astype(float), decoded[8000:].astype(float)
    assert max(lags, key=lambda lag: np.dot(ours[10:-10], np.roll(theirs, -lag)[10:-10])) == 0


def level_db(pcm, low, high):
    """Level of what lies between two frequencies, without the first 0.2 s, dB."""
    power = np.abs(np.fft.rfft(pcm[3200:].astype(float))) ** 2
    hertz = np.fft.rfftfreq(len(pcm) - 3200, 1 / SAMPLE_RATE)
    return 10 * np.log10(power[(hertz >= low) & (hertz < high)].sum() + 1)


@pytest.mark.parametrize("pcm", [np.zeros(4, np.int32), np.zeros((2, 4), np.int16)])
def test_other_arrays_are_refused(pcm):
    with pytest.raises(ValueError, match="pcm: expected int16 of one dimension"):
        HighPass().process(pcm)


@pytest.mark.parametrize("cutoff", [0.0, -1.0, 1001.0, float("nan")])
def test_other_cut_offs_are_refused(cutoff):
    with pytest.raises(ValueError, match="cutoff_hz: expected more than 0 and at most 1000"):
        HighPass(cutoff)
