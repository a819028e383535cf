# SPDX-License-Identifier: BSD-2-Clause
"""Errors of recovered frames: zero for the same speech, and what is known where the damage is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_host.evaluation.judging.recovered import FLOOR_DB, frame_distances, lost_frames, recovered_errors

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0]
RATE, PACKET = 16000, 320
ALL = np.ones(200, np.bool_)


def buzz(pitch_hz, seconds=2.0, tilt_db_per_khz=0.0, level=3000.0):
    """A harmonic tone: every partial up to 7 kHz, falling by so many dB per kHz."""
    at = np.arange(int(RATE * seconds)) / RATE
    hertz = np.arange(pitch_hz, 7000.0, pitch_hz)
    gains = 10 ** (-tilt_db_per_khz * hertz / 20000.0)
    phases = np.random.default_rng(5).uniform(0, 2 * np.pi, len(hertz))
    waves = gains[:, None] * np.cos(2 * np.pi * hertz[:, None] * at + phases[:, None])
    return np.rint(level * waves.sum(0) / np.sqrt(len(hertz))).clip(-32768, 32767).astype(np.int16)


def noise(seconds=2.0, level=2000.0, seed=1):
    return np.rint(level * np.random.default_rng(seed).standard_normal(int(RATE * seconds))).astype(np.int16)


def errors(reference, played, lost=None, lookahead=0):
    return recovered_errors(reference, played, ALL if lost is None else lost, lookahead)


def test_the_same_speech_has_no_errors():
    found = errors(SPEECH, SPEECH)
    assert found["frames"] > 200 and found["voiced_frames"] > 50
    assert all(found[key] == 0.0 for key in found if key not in ("frames", "voiced_frames"))
    assert set(found) == {
        "frames", "voiced_frames", "cepstral_distance_db", "voicing_error_pct", "gross_pitch_pct", "pitch_error_pct",
    }  # fmt: skip


@pytest.mark.parametrize("gain_db", [-12.0, -6.0, -3.0, 3.0])
def test_a_gain_is_a_distance_of_as_many_decibels(gain_db):
    flat = noise()
    found = errors(flat, np.rint(flat * 10 ** (gain_db / 20)).astype(np.int16))
    assert found["cepstral_distance_db"] == pytest.approx(abs(gain_db), abs=0.05)


def test_a_tilt_is_the_rms_over_the_bands():
    """The 18 bands are centred at these multiples of 200 Hz (arXiv 1810.11846 and libopus); the tone ends at 7 kHz."""
    centres_khz = 0.2 * np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 34])
    found = errors(buzz(100.0), buzz(100.0, tilt_db_per_khz=4.0))
    assert found["cepstral_distance_db"] == pytest.approx(np.sqrt(np.mean((4.0 * centres_khz) ** 2)), rel=0.05)


@pytest.mark.parametrize(
    ("reference_hz", "played_hz"), [(100.0, 102.0), (120.0, 114.0), (200.0, 220.0), (150.0, 165.0)]
)
def test_a_pitch_shift_is_known_in_percent(reference_hz, played_hz):
    found = errors(buzz(reference_hz), buzz(played_hz))
    wanted = 100 * abs(played_hz / reference_hz - 1)
    assert found["voiced_frames"] > 150 and found["gross_pitch_pct"] < 3.0
    assert found["pitch_error_pct"] == pytest.approx(wanted, abs=1.0)  # the period is searched in whole samples


@pytest.mark.parametrize("played_hz", [60.0 * 2, 240.0])
def test_another_pitch_is_a_gross_error_and_leaves_the_mean_alone(played_hz):
    found = errors(buzz(180.0), buzz(played_hz))
    assert found["gross_pitch_pct"] > 95.0
    assert found.get("pitch_error_pct", 0.0) < 20.0


def test_speech_that_turns_to_noise_is_a_voicing_error():
    found = errors(buzz(120.0), noise())
    assert found["voicing_error_pct"] > 90.0 and found["voiced_frames"] < 20
    assert found["cepstral_distance_db"] > 1.0


def test_silence_is_as_deep_as_the_floor_at_most():
    quiet = errors(SPEECH, np.zeros_like(SPEECH))
    assert 10.0 < quiet["cepstral_distance_db"] < FLOOR_DB
    assert quiet["voiced_frames"] == 0 and "pitch_error_pct" not in quiet and "gross_pitch_pct" not in quiet
    nearly = errors(SPEECH, np.ones_like(SPEECH))
    assert nearly["cepstral_distance_db"] == pytest.approx(quiet["cepstral_distance_db"], abs=0.5)


def test_only_lost_packets_count():
    damaged, lost = SPEECH.copy(), np.zeros(200, np.bool_)
    damaged[100 * PACKET : 110 * PACKET] = noise()[: 10 * PACKET]
    lost[20:40] = True
    assert errors(SPEECH, damaged, lost)["cepstral_distance_db"] == 0.0
    lost[100:110] = True
    mixed = errors(SPEECH, damaged, lost)
    lost[20:40] = False
    alone = errors(SPEECH, damaged, lost)
    assert alone["cepstral_distance_db"] > mixed["cepstral_distance_db"] > 1.0
    assert alone["frames"] <= 20 < mixed["frames"] + 1


@pytest.mark.parametrize("lookahead", [0, 104, 312])
def test_a_packet_has_two_frames_wherever_the_lookahead_puts_it(lookahead):
    lost = np.zeros(100, np.bool_)
    lost[30] = True
    frames = np.flatnonzero(lost_frames(lost, 150, lookahead))
    middles = frames * 160 + 80
    assert len(frames) == 2
    assert np.all((middles >= 30 * PACKET - lookahead) & (middles < 31 * PACKET - lookahead))


def test_where_the_reference_is_silent_nothing_counts():
    halves = np.concatenate([SPEECH[16000:32000], np.zeros(16000, np.int16)])
    lost = np.zeros(101, np.bool_)
    lost[60:90] = True
    assert errors(halves, noise()[:32000], lost) == {"frames": 0, "voiced_frames": 0}


@pytest.mark.parametrize("samples", [0, 159, 160, 1000])
def test_short_signals(samples):
    short = SPEECH[20000 : 20000 + samples]
    found = errors(short, short)
    assert found["frames"] == (samples // 160 if samples >= 160 else 0)


def test_nothing_lost_is_nothing_measured():
    assert errors(SPEECH, noise()[:1].repeat(len(SPEECH)), ~ALL) == {"frames": 0, "voiced_frames": 0}


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="played: expected 64000 samples as in the reference, got 63999"):
        errors(SPEECH, SPEECH[:-1])
    with pytest.raises(ValueError, match="lost: expected at least 201 packets for 64000 samples, got 200"):
        errors(SPEECH, SPEECH, ALL, lookahead=104)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.booleans(), min_size=60, max_size=60), st.integers(0, 3), st.floats(0.1, 1.0))
def test_shares_and_distances_stay_in_their_ranges(lost, seed, gain):
    reference = SPEECH[20000 : 20000 + 60 * PACKET]
    played = np.rint(reference * gain + 300 * np.random.default_rng(seed).standard_normal(len(reference)))
    found = recovered_errors(reference, played.clip(-32768, 32767).astype(np.int16), np.array(lost), 0)
    assert found["voiced_frames"] <= found["frames"] <= 2 * sum(lost)
    assert ("cepstral_distance_db" in found) == (found["frames"] > 0)
    assert 0.0 <= found.get("cepstral_distance_db", 0.0) <= FLOOR_DB + 10.0
    for key in ("voicing_error_pct", "gross_pitch_pct"):
        assert 0.0 <= found.get(key, 0.0) <= 100.0
    assert 0.0 <= found.get("pitch_error_pct", 0.0) <= 20.0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_the_distance_is_a_metric_over_rows(seed):
    """Symmetric up to whose floor counts, zero for itself, and the triangle holds."""
    rng = np.random.default_rng(seed)
    base = np.zeros((3, 20), np.float32)
    base[:, 0] = 5.0  # loud enough that no band meets the floor
    a, b, c = (base + rng.normal(0, 0.3, (3, 20)).astype(np.float32) for _ in range(3))
    assert np.all(frame_distances(a, a) == 0.0)
    np.testing.assert_allclose(frame_distances(a, b), frame_distances(b, a), atol=1e-6)
    assert np.all(frame_distances(a, c) <= frame_distances(a, b) + frame_distances(b, c) + 1e-6)
