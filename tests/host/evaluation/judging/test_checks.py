# SPDX-License-Identifier: BSD-2-Clause
"""Alignment and seam checks on signals whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device.units import PACKET_SAMPLES
from dredge_host.evaluation.judging.checks import (
    QUIET,
    Seam,
    band_envelopes,
    click_summary,
    envelope_scores,
    peak_ms,
    seams,
)

CLIP = Path(__file__).parents[3] / "data" / "speech_short.flac"
SPEECH = soundfile.read(CLIP, dtype="int16")[0]


def lag_scores(original, other, mask=None):
    return envelope_scores(band_envelopes(original), band_envelopes(other), mask)


def lag_ms(original, other, mask=None):
    return peak_ms(lag_scores(original, other, mask))


def delayed(pcm, samples):
    out = np.zeros_like(pcm)
    if samples >= 0:
        out[samples:] = pcm[: len(pcm) - samples]
    else:
        out[:samples] = pcm[-samples:]
    return out


def voiceless(pcm, seed=1):
    """The same spectrum over time, noise for its fine structure: what a vocoder may do."""
    noise = np.random.default_rng(seed).normal(size=len(pcm) + 320)
    window = np.hanning(320)
    out = np.zeros(len(pcm) + 320)
    padded = np.concatenate([np.zeros(160), pcm.astype(float), np.zeros(320)])
    for start in range(0, len(pcm), 80):
        shape = np.abs(np.fft.rfft(window * padded[start : start + 320]))
        kernel = np.ones(9) / 9
        shape = np.convolve(shape, kernel, "same")
        phase = np.angle(np.fft.rfft(window * noise[start : start + 320]))
        piece = np.fft.irfft(shape * np.exp(1j * phase)) * window / 1.5
        out[start : start + 320] += piece
    return np.clip(out[160 : 160 + len(pcm)], -32768, 32767).astype(np.int16)


@given(st.integers(-500, 500))
@settings(max_examples=6, deadline=None)
def test_known_delays_are_found(samples):
    assert lag_ms(SPEECH, delayed(SPEECH, samples)) == pytest.approx(samples / 16.0, abs=0.1)


@pytest.mark.parametrize("samples", [-160, 0, 32, 160])
def test_delay_of_speech_with_another_waveform(samples):
    other = delayed(voiceless(SPEECH), samples)
    assert lag_ms(SPEECH, other) == pytest.approx(samples / 16.0, abs=1.0)


def test_level_does_not_matter():
    quiet = (SPEECH / 5).astype(np.int16)
    assert lag_ms(SPEECH, delayed(quiet, 80)) == pytest.approx(5.0, abs=0.3)


def test_mask_looks_only_where_it_is_told():
    mixed = SPEECH.copy()
    mask = np.zeros(len(mixed), bool)
    late = delayed(SPEECH, 240)
    for start in range(8000, len(mixed) - 8000, 16000):
        mixed[start : start + 8000] = late[start : start + 8000]
        mask[start : start + 8000] = True
    assert lag_ms(SPEECH, mixed, mask) == pytest.approx(15.0, abs=1.0)
    assert lag_ms(SPEECH, mixed, ~mask) == pytest.approx(0.0, abs=1.0)


def test_scores_of_several_clips_add_up():
    scores = [lag_scores(SPEECH[:32000], delayed(SPEECH[:32000], n)) for n in (80, 112)]
    assert peak_ms(scores[1]) == pytest.approx(7.0, abs=0.1)
    assert peak_ms(np.sum(scores, axis=0)) == pytest.approx(6.0, abs=0.2)
    assert len(scores[0]) == 81


@pytest.mark.parametrize(
    ("other", "mask", "message"),
    [
        (SPEECH[:-16], None, "expected equal lengths"),
        (SPEECH, np.zeros(5, bool), "expected equal lengths"),
        (SPEECH, np.zeros(len(SPEECH), bool), "nothing to compare"),
    ],
)
def test_what_cannot_be_compared(other, mask, message):
    with pytest.raises(ValueError, match=message):
        lag_ms(SPEECH, other, mask)


def test_too_short_for_the_reach():
    with pytest.raises(ValueError, match="too few"):
        lag_ms(SPEECH[:1000], SPEECH[:1000])


SOURCES = ["dred" if 40 <= k < 50 or 90 <= k < 93 else "opus" for k in range(200)]


def test_continuous_speech_has_no_click():
    found = seams(SPEECH, SOURCES)
    assert [s.sample // PACKET_SAMPLES for s in found] == [40, 50, 90, 93]
    assert click_summary(found)["clicks"] == 0


@pytest.mark.parametrize("packet", [40, 50, 90, 93])
@pytest.mark.parametrize("lookahead", [0, 104])
def test_a_step_at_a_seam_is_a_click(packet, lookahead):
    pcm = SPEECH.astype(np.int32) // 2
    at = packet * PACKET_SAMPLES - lookahead
    pcm[at:] += 9000
    found = seams(np.clip(pcm, -32768, 32767).astype(np.int16), SOURCES, lookahead)
    assert [s.sample for s in found if s.click] == [at]
    summary = click_summary(found)
    assert summary["clicks"] == 1 and summary["seams"] == 4
    assert summary["worst_ratio_to_p999"] > 1.0


def test_a_step_elsewhere_is_not_the_seams_fault():
    pcm = SPEECH.copy()
    pcm[45 * PACKET_SAMPLES] = 32767
    assert click_summary(seams(pcm, SOURCES))["clicks"] == 0


def test_tiny_steps_in_silence_are_no_clicks():
    pcm = np.zeros(200 * PACKET_SAMPLES, np.int16)
    pcm[40 * PACKET_SAMPLES : 50 * PACKET_SAMPLES] = int(QUIET) - 1
    assert click_summary(seams(pcm, SOURCES))["clicks"] == 0
    pcm[40 * PACKET_SAMPLES : 50 * PACKET_SAMPLES] = int(QUIET) + 10
    assert click_summary(seams(pcm, SOURCES))["clicks"] == 2


def test_no_seams_no_numbers():
    assert seams(SPEECH, ["opus"] * 200) == []
    assert click_summary([]) == {
        "seams": 0, "clicks": 0, "above_p999": 0, "worst_ratio_to_p999": 0.0,
    }  # fmt: skip


@given(st.lists(st.sampled_from(["opus", "dred", "plc"]), max_size=30), st.integers(0, 500))
@settings(max_examples=50, deadline=None)
def test_any_sources_and_lengths(sources, extra):
    pcm = np.resize(SPEECH, max(0, len(sources) * PACKET_SAMPLES - extra))
    for seam in seams(pcm, sources, lookahead=104):
        assert isinstance(seam, Seam) and 0 < seam.sample < len(pcm)
        assert seam.usual <= seam.largest
