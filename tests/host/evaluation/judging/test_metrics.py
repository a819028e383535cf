# SPDX-License-Identifier: BSD-2-Clause
"""PLCMOS is repeatable and falls with damage; words are counted right; absence is said clearly."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.errors import CapabilityError, exit_code, need
from dredge_host.evaluation.judging.metrics import estoi, pesq, word_errors
from dredge_host.evaluation.judging.plcmos import Plcmos
from dredge_host.evaluation.judging.recognisers import FasterWhisper, PocketSphinx, Vosk

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0]
words = st.lists(st.sampled_from("abc"), max_size=8)


@pytest.mark.parametrize(
    ("reference", "heard", "errors"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("a b c", "a x c", 1),
        ("a b c", "a c", 1),
        ("a b c", "a b b c", 1),
        ("a b", "", 2),
        ("", "a b", 2),
        ("one two three four", "two three five four six", 3),
    ],
)
def test_word_errors(reference, heard, errors):
    assert word_errors(reference.split(), heard.split()) == errors


@given(words, words, words)
def test_word_errors_are_a_distance(a, b, c):
    assert word_errors(a, b) == word_errors(b, a)
    assert (word_errors(a, b) == 0) == (a == b)
    assert word_errors(a, c) <= word_errors(a, b) + word_errors(b, c)
    assert abs(len(a) - len(b)) <= word_errors(a, b) <= max(len(a), len(b))


@pytest.mark.parametrize(
    ("package", "use", "how"),
    [
        ("speechmos.plcmos", Plcmos, "PLCMOS needs speechmos .*dredge extras add metrics"),
        ("onnxruntime", Plcmos, "PLCMOS needs onnxruntime .*dredge extras add metrics"),
        ("pocketsphinx", PocketSphinx, "word error rate needs pocketsphinx .*dredge extras add metrics"),
        ("pystoi", lambda: estoi(SPEECH, SPEECH), "ESTOI needs pystoi .*dredge extras add metrics"),
        ("pesq", lambda: pesq(SPEECH, SPEECH), "PESQ needs pesq .*dredge extras add judge"),
        ("vosk", lambda: Vosk("model"), "needs vosk .*pip install vosk"),
        ("faster_whisper", lambda: FasterWhisper("model"), "needs faster-whisper .*pip install faster-whisper"),
    ],
)
def test_missing_packages_are_a_capability(monkeypatch, package, use, how):
    if package != "onnxruntime" and "speechmos" in package:
        pytest.importorskip("onnxruntime", reason="needs onnxruntime: dredge extras add metrics")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(CapabilityError, match=how) as caught:
        use()
    assert exit_code(caught.value) == 5


def test_a_package_whose_library_does_not_load_is_missing_too(monkeypatch, tmp_path):
    (tmp_path / "half_there.py").write_text("raise OSError('libhalf.so: cannot open')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(CapabilityError, match=r"needs half-there \(libhalf.so: cannot open\)"):
        need("half_there", "this test")


@pytest.fixture(scope="module")
def plcmos():
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: dredge extras add metrics")
    pytest.importorskip("speechmos", reason="needs speechmos: dredge extras add metrics")
    return Plcmos()


def test_plcmos_is_repeatable_and_leaves_the_generator_alone(plcmos):
    np.random.seed(42)
    before = np.random.get_state()[1].copy()
    assert plcmos(SPEECH) == plcmos(SPEECH) == Plcmos()(SPEECH)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_score_is_that_of_speechmos_on_average(plcmos):
    """The original draws 15 raters anew for each score and hears one offset; with and without onnx ours is its mean."""
    from speechmos.plcmos import PLCMOS

    clip, theirs = SPEECH[:48000] / 32768.0, PLCMOS()
    np.random.seed(1)
    late = [np.concatenate([np.zeros(offset), clip]) for offset in (0, 64, 128, 192)]
    assert plcmos(SPEECH[:48000]) == pytest.approx(np.mean([theirs.get_mos(x) for x in late]), abs=0.02)


def test_without_onnx_few_raters_judge(monkeypatch, plcmos):
    monkeypatch.setitem(sys.modules, "onnx", None)
    monkeypatch.setitem(sys.modules, "onnx.utils", None)
    monkeypatch.setitem(sys.modules, "onnx.shape_inference", None)
    assert Plcmos()(SPEECH) == pytest.approx(plcmos(SPEECH), abs=0.05)


def test_pesq_falls_with_damage():
    pytest.importorskip("pesq", reason="needs pesq: dredge extras add judge")
    noise = np.random.default_rng(1).integers(-2000, 2000, len(SPEECH))
    noisy = np.clip(SPEECH + noise, -32768, 32767).astype(np.int16)
    assert pesq(SPEECH, SPEECH) > 4.6 > 2.5 > pesq(SPEECH, noisy) > 1
    assert pesq(SPEECH * 0, SPEECH * 0) is None and pesq(SPEECH[:320], SPEECH[:320]) is None
    with pytest.raises(ValueError, match="played: expected"):
        pesq(SPEECH, SPEECH[1:])


def test_plcmos_falls_when_packets_vanish(plcmos):
    gaps = SPEECH.copy()
    for start in range(10 * 320, len(gaps), 40 * 320):
        gaps[start : start + 8 * 320] = 0
    assert plcmos(gaps) < plcmos(SPEECH) - 0.5


def test_plcmos_noise_is_small(plcmos):
    assert 0.0 < plcmos.noise(SPEECH) < 0.1
