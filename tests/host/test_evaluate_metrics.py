# SPDX-License-Identifier: BSD-2-Clause
"""PLCMOS is repeatable and falls with damage; words are counted right; absence is said clearly."""

import builtins
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.errors import CapabilityError, exit_code
from dredge_host.evaluation.metrics import Plcmos, Recogniser, word_errors

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0]
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


@pytest.mark.parametrize(("package", "make"), [("speechmos", Plcmos), ("pocketsphinx", Recogniser)])
def test_missing_packages_are_a_capability(monkeypatch, package, make):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.split(".")[0] == package:
            raise ModuleNotFoundError(f"No module named '{package}'")
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CapabilityError, match="pip install") as caught:
        make()
    assert exit_code(caught.value) == 5


@pytest.fixture(scope="module")
def plcmos():
    pytest.importorskip("onnxruntime")
    pytest.importorskip("speechmos")
    return Plcmos()


def test_plcmos_is_repeatable_and_leaves_the_generator_alone(plcmos):
    np.random.seed(42)
    before = np.random.get_state()[1].copy()
    assert plcmos(SPEECH) == plcmos(SPEECH)
    assert plcmos(SPEECH, seed=1) != plcmos(SPEECH)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_plcmos_falls_when_packets_vanish(plcmos):
    gaps = SPEECH.copy()
    for start in range(10 * 320, len(gaps), 40 * 320):
        gaps[start : start + 8 * 320] = 0
    assert plcmos(gaps) < plcmos(SPEECH) - 0.5


def test_plcmos_noise_is_small(plcmos):
    assert 0.0 < plcmos.noise(SPEECH, seeds=3) < 0.2


def test_recogniser_does_not_depend_on_order():
    pytest.importorskip("pocketsphinx")
    hear = Recogniser()
    first, quiet = SPEECH[8000:24000], (SPEECH[24000:40000] / 4).astype(np.int16)
    alone = hear(first)
    hear(quiet)
    assert hear(first) == alone
    assert alone  # Dutch, but it hears some words
