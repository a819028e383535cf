# SPDX-License-Identifier: BSD-2-Clause
"""Quality by PLCMOS (speechmos, an optional package)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_host.errors import CapabilityError, need
from dredge_kernels.arrays import Pcm

Floats = NDArray[np.float32]

OFFSETS = (0, 64, 128, 192)  # samples of silence in front: an analysis hop is 256, and each offset has its own score
RATERS, RATER_SIZE = 500, 64
FEW_RATERS = 4  # at every offset, where each costs a run of the whole network
SPECTRUM, RATER, RESULT = "degraded_audio", "rater_embed", "plcmos"  # the network's inputs and output


class Plcmos:
    """PLCMOS v2 (Diener et al., Interspeech 2023): mean score over four offsets of the analysis and 500 raters.

    The network's raters are random vectors; every clip meets the same ones, so that conditions compare like with like.
    They enter behind the network's trunk. With the package onnx it is cut there, in memory: the trunk then runs once an
    offset, and 500 raters cost as much as one. Without onnx four raters judge every offset. Raises CapabilityError
    when speechmos or its onnxruntime is missing.
    """

    def __init__(self, threads: int = 1) -> None:
        runtime = need("onnxruntime", "PLCMOS")
        self._model: Any = need("speechmos.plcmos", "PLCMOS").PLCMOS()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # the network says that its result is one figure, and warns at 500

        def session(model: Any) -> Any:
            return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])

        raters = np.random.default_rng(0).standard_normal((RATERS, RATER_SIZE), np.float32)
        try:
            self._scores = _cut(self._model.model_path, session, raters)
        except CapabilityError:
            self._scores = _whole(self._model.model_path, session, raters[:FEW_RATERS])

    def __call__(self, pcm: Pcm) -> float:
        """Score 1 to 5 of int16[n] at 16 kHz."""
        return float(np.mean(self._by_offset(pcm)))

    def noise(self, pcm: Pcm) -> float:
        """Return the standard error of a score, which is the mean over the offsets."""
        return float(np.std(self._by_offset(pcm), ddof=1) / np.sqrt(len(OFFSETS)))

    def _by_offset(self, pcm: Pcm) -> list[float]:
        speech = np.asarray(pcm, np.float64) / 32768.0
        return [self._scores(self._spectrum(np.concatenate([np.zeros(n), speech]))) for n in OFFSETS]

    def _spectrum(self, speech: NDArray[np.float64]) -> Floats:
        return np.asarray(self._model.stft_transform(speech), np.float32)[np.newaxis, np.newaxis]


def _whole(path: str, session: Callable[[Any], Any], raters: Floats) -> Callable[[Floats], float]:
    """Return the mean score of a spectrum by running the whole network once for every rater."""
    network = session(path)

    def scores(spectrum: Floats) -> float:
        rows = [network.run([RESULT], {SPECTRUM: spectrum, RATER: row[np.newaxis]})[0] for row in raters]
        return float(np.mean(rows))

    return scores


def _cut(path: str, session: Callable[[Any], Any], raters: Floats) -> Callable[[Floats], float]:
    """Return the mean score of a spectrum with all raters in one run of the network's head. Raises CapabilityError
    without onnx.
    """
    onnx = need("onnx", "PLCMOS by 500 raters", "judge")
    model = need("onnx.shape_inference", "PLCMOS by 500 raters", "judge").infer_shapes(onnx.load(path))
    extractor = need("onnx.utils", "PLCMOS by 500 raters", "judge").Extractor(model)
    seam = _seam(extractor.model.graph)
    trunk = session(extractor.extract_model([SPECTRUM], seam).SerializeToString())
    head = session(extractor.extract_model([*seam, RATER], [RESULT]).SerializeToString())

    def scores(spectrum: Floats) -> float:
        heard = trunk.run(seam, {SPECTRUM: spectrum})
        rows = {name: np.repeat(value, len(raters), 0) for name, value in zip(seam, heard, strict=True)}
        return float(np.mean(head.run([RESULT], {**rows, RATER: raters})[0]))

    return scores


def _seam(graph: Any) -> list[str]:
    """Return the names of the values that the trunk hands to the part of the network that depends on the rater."""
    known = {RATER}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {name for node in graph.node if node.op_type == "Constant" for name in node.output}
    seam: dict[str, None] = {}
    for node in graph.node:  # in the order of computation, as ONNX demands
        if known & set(node.input):
            known |= set(node.output)
            seam |= dict.fromkeys(name for name in node.input if name not in known | constants)
    return list(seam)
