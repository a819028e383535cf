# SPDX-License-Identifier: BSD-2-Clause
"""Quality (PLCMOS by speechmos) and words (by pocketsphinx), both from optional packages."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_host.errors import CapabilityError

Pcm = NDArray[np.int16]
HOW = "pip install 'dredge[metrics]'"


class Plcmos:
    """PLCMOS v2 (Diener et al., Interspeech 2023), repeatable.

    The model averages over raters drawn from NumPy's global generator; here every clip meets the
    raters of the same seed, so that conditions compare like with like. Raises CapabilityError when
    speechmos or its onnxruntime is missing.
    """

    def __init__(self, threads: int = 1) -> None:
        try:
            onnxruntime: Any = import_module("onnxruntime")
            from speechmos.plcmos import PLCMOS
        except ImportError as error:
            raise CapabilityError(f"PLCMOS needs speechmos ({error}); {HOW}") from None
        self._model = PLCMOS()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._model.session = onnxruntime.InferenceSession(
            self._model.model_path, options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, pcm: Pcm, seed: int = 0) -> float:
        """Score 1 to 5 of int16[n] at 16 kHz."""
        state = np.random.get_state()
        np.random.seed(seed)
        try:
            return float(self._model.get_mos(np.asarray(pcm, np.float64) / 32768.0))
        finally:
            np.random.set_state(state)

    def noise(self, pcm: Pcm, seeds: int = 8) -> float:
        """Standard deviation over draws of the raters: what a single unseeded score is worth."""
        return float(np.std([self(pcm, seed) for seed in range(seeds)], ddof=1))


class Recogniser:
    """English words by pocketsphinx's own small model, the same for every clip in any order.

    Raises CapabilityError when pocketsphinx is missing.
    """

    def __init__(self) -> None:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise CapabilityError(f"the word error rate needs pocketsphinx ({error}); {HOW}") from None
        # One pass is enough to compare conditions, and three times as fast.
        self._decoder: Any = Decoder(samprate=16000, fwdflat=False, bestpath=False, loglevel="FATAL")
        self._means = self._decoder.get_cmn(False)

    def __call__(self, pcm: Pcm) -> list[str]:
        """The words heard in int16[n] at 16 kHz."""
        self._decoder.set_cmn(self._means)  # otherwise the clip before would be heard in this one
        self._decoder.start_utt()
        self._decoder.process_raw(np.ascontiguousarray(pcm, np.int16).tobytes(), False, True)
        self._decoder.end_utt()
        heard = self._decoder.hyp()
        return heard.hypstr.split() if heard else []


def word_errors(reference: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest substitutions, deletions and insertions between two word lists (Levenshtein 1966)."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(reference, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            best = min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
            diagonal, row[j] = row[j], best
    return row[-1]
