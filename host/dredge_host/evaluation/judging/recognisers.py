# SPDX-License-Identifier: BSD-2-Clause
"""Speech recognisers: pocketsphinx, or vosk and faster-whisper with a model of the user's."""

from __future__ import annotations

import ctypes
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import InputError, UsageError, need
from dredge_kernels.arrays import Pcm

CHUNK = 8000  # bytes handed to vosk at a time: a quarter of a second
WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")  # without the last one it would try to download it

OFFSETS = (0, 40, 80, 120)  # samples of silence in front of a clip: an analysis hop of recognisers is 160

Hear = Callable[[Pcm], list[str]]


def open_recogniser(name: str = "pocketsphinx", model: str | Path | None = None) -> Hear:
    """Return a recogniser by name: pocketsphinx, vosk, faster-whisper.

    model: folder of the model; needed by the last two, refused by pocketsphinx, which has its own (US English). Raises
    UsageError for an unknown name or a superfluous or missing model, InputError for a folder that holds no such model,
    CapabilityError when the package is missing.
    """
    if name not in RECOGNISERS:
        raise UsageError(f"recogniser '{name}' is unknown; expected one of {', '.join(RECOGNISERS)}")
    if name == "pocketsphinx":
        if model is not None:
            raise UsageError(f"recogniser pocketsphinx brings its own model; leave '{model}' out")
        return PocketSphinx()
    if model is None:
        raise UsageError(f"recogniser {name} needs the folder of a model (nothing is downloaded)")
    return RECOGNISERS[name](model)


def transcripts(hear: Hear, pcm: Pcm) -> list[list[str]]:
    """Return the words of int16[n] at 16 kHz at every offset of the analysis (OFFSETS), in this order.

    A recogniser that is unsure of a clip gives other words where its analysis begins 40 samples later, although no
    listener hears a difference. Errors are therefore counted at each offset and averaged (`metrics.mean_errors`).
    """
    return [hear(np.concatenate([np.zeros(offset, np.int16), pcm])) for offset in OFFSETS]


class PocketSphinx:
    """US English words by pocketsphinx 5 and the small model that comes with it."""

    def __init__(self) -> None:
        decoder = need("pocketsphinx", "the word error rate").Decoder
        # One pass is enough to compare conditions, and three times as fast.
        self._decoder: Any = decoder(samprate=SAMPLE_RATE, fwdflat=False, bestpath=False, loglevel="FATAL")

    def __call__(self, pcm: Pcm) -> list[str]:
        self._decoder.reinit_feat()  # otherwise the level of the previous clip would affect this one
        self._decoder.start_utt()
        self._decoder.process_raw(_bytes(pcm), False, True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return words(heard.hypstr) if heard else []


class Vosk:
    """Words by vosk (0.3.45) and a model folder of any language.

    Its front end adds dither from the C library's generator, so that without a seed the same clip
    gives different words each time.
    """

    def __init__(self, model: str | Path) -> None:
        vosk = need("vosk", "this word error rate", how="run `pip install vosk`")
        folder = _folder("vosk", model, ("am/final.mdl", "conf/model.conf"))
        vosk.SetLogLevel(-1)
        try:
            self._model = vosk.Model(model_path=str(folder))
        except Exception as error:  # vosk raises plain Exception
            raise InputError(f"{folder}: vosk cannot load this model ({error})") from None
        self._make = vosk.KaldiRecognizer
        self._seed = ctypes.CDLL(None).srand

    def __call__(self, pcm: Pcm) -> list[str]:
        self._seed(1)
        recogniser = self._make(self._model, SAMPLE_RATE)
        data = _bytes(pcm)
        heard = []
        for start in range(0, len(data), CHUNK):
            if recogniser.AcceptWaveform(data[start : start + CHUNK]):  # an utterance ended here
                heard.append(recogniser.Result())
        heard.append(recogniser.FinalResult())
        return [word for text in heard for word in words(json.loads(text).get("text", ""))]


class FasterWhisper:
    """Words by faster-whisper (1.2) and the folder of a model in CTranslate2's form, on one CPU thread."""

    def __init__(self, model: str | Path, language: str = "en") -> None:
        package = need("faster_whisper", "this word error rate", how="run `pip install faster-whisper`")
        folder = _folder("faster-whisper", model, WHISPER_FILES)
        try:
            self._model = package.WhisperModel(
                str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
            )
        except (RuntimeError, ValueError) as error:
            raise InputError(f"{folder}: faster-whisper cannot load this model ({error})") from None
        self._language = language

    def __call__(self, pcm: Pcm) -> list[str]:
        # Greedy, at temperature 0 only, and no text carried on: the same clip gives the same words.
        segments, _ = self._model.transcribe(
            np.asarray(pcm, np.float32) / 32768.0,
            language=self._language,
            beam_size=1,
            temperature=0.0,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return [word for segment in segments for word in words(segment.text)]


RECOGNISERS: dict[str, Callable[..., Hear]] = {
    "pocketsphinx": PocketSphinx,
    "vosk": Vosk,
    "faster-whisper": FasterWhisper,
}


def words(text: str) -> list[str]:
    """Return the words of a transcript: lower case, without punctuation; an apostrophe inside a word stays, as '."""
    return [word.replace("’", "'") for word in WORD.findall(text.lower())]


def _folder(name: str, model: str | Path, files: tuple[str, ...]) -> Path:
    folder = Path(model)
    if not folder.is_dir():
        raise InputError(f"{folder}: no folder with a {name} model (nothing is downloaded)")
    for file in files:
        if not (folder / file).is_file():
            raise InputError(f"{folder}: not a {name} model, the file {file} is missing")
    return folder


def _bytes(pcm: Pcm) -> bytes:
    return np.ascontiguousarray(pcm, np.int16).tobytes()
