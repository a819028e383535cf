# SPDX-License-Identifier: BSD-2-Clause
"""Copy synthesis is judged by figures whose answers are known for known changes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.errors import UsageError
from dredge_host.evaluation.judging.feature_track import active, band_levels, track
from dredge_host.evaluation.running import copysynthesis
from dredge_host.evaluation.running.copysynthesis import (
    HEAD,
    compare,
    loudness_db,
    run,
    table_rows,
)
from dredge_models.vocoders import present

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0][16000:64000]


def tone(hertz: float, seconds: float = 1.0, gain: float = 1000.0) -> np.ndarray:
    at = np.arange(int(16000 * seconds)) / 16000
    return (sum(np.sin(2 * np.pi * hertz * k * at) / k for k in range(1, 8)) * gain).astype(np.int16)


def test_a_row_describes_its_own_frame():
    pcm = np.zeros(16000, np.int16)
    pcm[8000:8160] = 8000
    level = band_levels(track(pcm)).sum(axis=1)
    assert int(np.argmax(level)) == 50 and len(level) == 100


def test_speech_is_no_distance_from_itself():
    rows = track(SPEECH)
    assert compare(rows, rows) == {"pitch_error_pct": 0.0, "pitch_jumps_pct": 0.0, "band_distance_db": 0.0}
    assert loudness_db(SPEECH, SPEECH) == 0.0


def test_twice_the_amplitude_is_six_decibels_in_every_band():
    assert loudness_db(tone(150, gain=2000), tone(150)) == pytest.approx(6.0, abs=0.1)
    wanted, got = track(SPEECH // 2), track(SPEECH // 2 * 2)
    difference = (band_levels(got) - band_levels(wanted))[active(wanted)]
    assert np.median(difference) == pytest.approx(6.02, abs=0.1)
    assert compare(wanted, got)["band_distance_db"] == pytest.approx(6.0, abs=0.5)


def test_the_pitch_error_is_that_of_the_pitch():
    got = compare(track(tone(200)), track(tone(206)))
    assert got["pitch_error_pct"] == pytest.approx(3.0, abs=0.7) and got["pitch_jumps_pct"] == 0.0
    octave = track(tone(200))
    octave[:, 18] += 1.0
    assert compare(track(tone(200)), octave)["pitch_jumps_pct"] == 100.0


def test_pauses_do_not_count():
    pcm = np.concatenate((tone(200), np.zeros(16000, np.int16)))
    counted = active(track(pcm))
    assert counted[2:98].all() and not counted[104:].any()


def test_the_shipped_vocoder_follows_pitch_and_spectrum():
    result = run([("clip", SPEECH)], score=lambda pcm: float(np.abs(pcm.astype(float)).mean() > 100))
    rows = {row["vocoder"]: row for row in result["summary"]}
    assert list(rows) == ["original", *present()]
    assert rows["original"]["band_distance_db"] == 0.0 and rows["original"]["plcmos"]["mean"] == 1.0
    for name in present():
        assert rows[name]["pitch_error_pct"] < 2.0
        assert rows[name]["band_distance_db"] < 8.0
        assert abs(rows[name]["level_db"]) < 3.0
    cells = table_rows(result["summary"])
    assert all(len(line) == len(HEAD) for line in cells) and cells[0][1] == "1.00 ± 0.00"


def test_without_a_judge_the_rest_is_still_measured(monkeypatch):
    monkeypatch.setattr(copysynthesis, "resynthesise", lambda rows, model: np.tile(tone(200), 3)[: 160 * len(rows)])
    _original, vocoder = run([("clip", SPEECH)], ["standard"])["summary"]
    assert "plcmos" not in vocoder and vocoder["band_distance_db"] > 8.0
    assert table_rows([vocoder])[0][1] == "–"


def test_a_vocoder_that_is_not_shipped():
    with pytest.raises(UsageError, match="vocoder 'huge' has no weights here; expected one of standard"):
        run([], ["huge"])
