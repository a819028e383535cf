# SPDX-License-Identifier: BSD-2-Clause
"""What the streams of one device share: networks that keep nothing between two calls."""

from functools import cached_property

from dredge_device.pi import interfaces
from dredge_device.pi.interfaces import Predictor, Speech
from dredge_models.dred import DredDecoder
from dredge_models.plc import PlcPredictor, load_graph
from dredge_models.tflite.runtime import TfliteModel
from dredge_models.vocoders import open_vocoder


class ModelCache:
    """Parts for the receivers that one thread serves, one after the other. Not thread-safe.

    Every network is loaded once, when a receiver first needs it; a vocoder's weights once per process. Raises
    ModelError when files are missing or damaged, ValueError for an unknown vocoder.
    """

    @cached_property
    def dred(self) -> interfaces.DredDecoder:
        """The decoder of redundancy: what it keeps lies in the packets it has parsed."""
        return DredDecoder()

    @cached_property
    def _plc(self) -> TfliteModel:
        return load_graph()

    def predictor(self) -> Predictor:
        """A new predictor of features."""
        return PlcPredictor(self._plc)

    def vocoder(self, name: str) -> Speech:
        """A new vocoder of this name."""
        speech: Speech = open_vocoder(name)
        return speech
