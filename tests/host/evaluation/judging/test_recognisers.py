# SPDX-License-Identifier: BSD-2-Clause
"""Recognisers: who is asked for, with which model, and that no clip is heard in the next.

vosk and faster-whisper are stood in for by modules with the calls that are used of their public interfaces
(vosk 0.3.45, faster-whisper 1.2.1). The real ones run too where they and a model are: DREDGE_VOSK_MODEL and
DREDGE_WHISPER_MODEL name the folders.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dredge_host.errors import InputError, UsageError
from dredge_host.evaluation.judging.recognisers import CHUNK, RECOGNISERS, WHISPER_FILES, open_recogniser, words

SPEECH = soundfile.read(Path(__file__).parents[3] / "data" / "speech_short.flac", dtype="int16")[0]


@pytest.fixture
def model(tmp_path):
    """A folder with the files that either kind of model must have."""
    for name in ("am/final.mdl", "conf/model.conf", *WHISPER_FILES):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


class VoskModel:
    def __init__(self, model_path=None, model_name=None, lang=None):
        if Path(model_path, "damaged").exists():
            raise Exception("Failed to create a model")  # what vosk does
        self.path = model_path


class KaldiRecognizer:
    """GapEnds an utterance every 16000 bytes; hears how many bytes it got, and the C library's dice."""

    def __init__(self, model, rate):
        assert isinstance(model, VoskModel) and rate == 16000
        self.heard = 0

    def AcceptWaveform(self, data):
        assert isinstance(data, bytes) and len(data) <= CHUNK
        self.heard += len(data)
        return self.heard >= 16000

    def Result(self):
        return self._text()

    def FinalResult(self):
        return self._text()

    def _text(self):
        dice = ctypes.CDLL(None).rand() % 100000
        heard, self.heard = self.heard, 0
        return json.dumps({"text": f"Bytes{heard} dice{dice}"} if heard else {"text": ""})


class WhisperModel:
    """Hears the mean of what it got, with punctuation and capitals."""

    made: ClassVar[list] = []

    def __init__(
        self, model_size_or_path, device="auto", compute_type="default", cpu_threads=0, local_files_only=False
    ):
        if Path(model_size_or_path, "damaged").exists():
            raise RuntimeError("File model.bin is incomplete")  # what CTranslate2 does
        self.options = (model_size_or_path, device, compute_type, cpu_threads, local_files_only)
        self.asked = None
        self.made.append(self)

    def transcribe(self, audio, language=None, **options):
        assert audio.dtype == np.float32 and np.abs(audio).max() <= 1.0
        self.asked = {"language": language, **options}
        segments = (SimpleNamespace(text=text) for text in (" Hello, it's", f" {round(audio.max() * 32768)} o’clock!"))
        return segments, SimpleNamespace(language=language)


@pytest.fixture
def vosk(monkeypatch):
    module = SimpleNamespace(Model=VoskModel, KaldiRecognizer=KaldiRecognizer, SetLogLevel=lambda level: None)
    monkeypatch.setitem(sys.modules, "vosk", module)


@pytest.fixture
def whisper(monkeypatch):
    monkeypatch.setattr(WhisperModel, "made", [])
    monkeypatch.setitem(sys.modules, "faster_whisper", SimpleNamespace(WhisperModel=WhisperModel))


def test_unknown_names_and_models_in_the_wrong_place():
    with pytest.raises(UsageError, match="'siri' is unknown; expected one of pocketsphinx, vosk, faster-whisper"):
        open_recogniser("siri")
    with pytest.raises(UsageError, match="pocketsphinx brings its own model; leave 'folder' out"):
        open_recogniser("pocketsphinx", "folder")


@pytest.mark.parametrize("name", ["vosk", "faster-whisper"])
def test_a_model_is_never_fetched(name, vosk, whisper, tmp_path):
    with pytest.raises(UsageError, match=f"{name} needs the folder of a model .nothing is downloaded"):
        open_recogniser(name)
    with pytest.raises(InputError, match=f"tiny: no folder with a {name} model"):
        open_recogniser(name, tmp_path / "tiny")
    with pytest.raises(InputError, match=f"not a {name} model, the file .* is missing"):
        open_recogniser(name, tmp_path)
    assert WhisperModel.made == []


@pytest.mark.parametrize("missing", WHISPER_FILES)
def test_a_whisper_model_without_one_of_its_files_would_go_online(whisper, model, missing):
    (model / missing).unlink()
    with pytest.raises(InputError, match=f"the file {missing} is missing"):
        open_recogniser("faster-whisper", model)


@pytest.mark.parametrize("name", ["vosk", "faster-whisper"])
def test_a_damaged_model_is_named(name, vosk, whisper, model):
    (model / "damaged").touch()
    with pytest.raises(InputError, match=f"{name} cannot load this model"):
        open_recogniser(name, str(model))


def test_vosk_gets_all_the_speech_and_gives_every_utterance(vosk, model):
    hear = open_recogniser("vosk", model)
    heard = hear(SPEECH[:20100])  # 40200 bytes
    assert [word for word in heard if word.startswith("bytes")] == ["bytes16000", "bytes16000", "bytes8200"]


def test_vosk_throws_the_same_dice_for_every_clip(vosk, model):
    hear = open_recogniser("vosk", model)
    first = hear(SPEECH[:8000])
    hear(SPEECH[8000:])
    assert hear(SPEECH[:8000]) == first and any(word.startswith("dice") for word in first)


def test_vosk_of_nothing(vosk, model):
    assert open_recogniser("vosk", model)(SPEECH[:0]) == []


def test_whisper_is_asked_for_repeatable_words(whisper, model):
    hear = open_recogniser("faster-whisper", model)
    speech = np.array([0, 100, 4096, -5], np.int16)
    assert hear(speech) == ["hello", "it's", "4096", "o'clock"] == hear(speech)
    (made,) = WhisperModel.made
    assert made.options == (str(model), "cpu", "int8", 1, True)
    assert made.asked["language"] == "en" and made.asked["temperature"] == 0.0
    assert made.asked["condition_on_previous_text"] is False and made.asked["beam_size"] == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" Did I? Always. ", ["did", "i", "always"]),
        ("it’s ‘quoted’ 3x -- of-course", ["it's", "quoted", "3x", "of", "course"]),
        ("<unk> [noise] snake_case", ["unk", "noise", "snake", "case"]),
        ("Straße, ÉTÉ", ["straße", "été"]),
    ],
)
def test_words(text, expected):
    assert words(text) == expected


@given(st.text())
def test_words_are_lower_case_and_stay_what_they_are(text):
    found = words(text)
    assert all(word and not word.isspace() for word in found)
    assert words(" ".join(found)) == found or any(word != word.lower() for word in found)


def same_in_any_order(hear, parts):
    alone = [hear(part) for part in parts]
    assert [hear(part) for part in reversed(parts)] == alone[::-1]
    return alone


def test_pocketsphinx_does_not_depend_on_order():
    pytest.importorskip("pocketsphinx", reason="needs pocketsphinx: dredge extras add metrics")
    loud, quiet, rest = SPEECH[8000:24000], (SPEECH[24000:40000] / 4).astype(np.int16), SPEECH[40000:]
    heard = same_in_any_order(open_recogniser(), [loud, quiet, rest])
    assert heard[0]  # Dutch, but it hears some words
    assert all(word == word.lower() and "<" not in word for word in heard[0])


@pytest.mark.parametrize(
    ("name", "folder"), [("vosk", "DREDGE_VOSK_MODEL"), ("faster-whisper", "DREDGE_WHISPER_MODEL")]
)
def test_the_real_ones(name, folder):
    pytest.importorskip(name.replace("-", "_"), reason=f"needs {name}: pip install {name}")
    if folder not in os.environ:
        pytest.skip(f"needs a model of {name}: set DREDGE_VOSK_MODEL, DREDGE_WHISPER_MODEL")
    hear = open_recogniser(name, os.environ[folder])
    heard = same_in_any_order(hear, [SPEECH, SPEECH[20000:40000]])
    assert heard[0] and hear(SPEECH[:0]) == []


def test_every_recogniser_has_its_name():
    assert list(RECOGNISERS) == ["pocketsphinx", "vosk", "faster-whisper"]
