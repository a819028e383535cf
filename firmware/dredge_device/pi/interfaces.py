# SPDX-License-Identifier: BSD-2-Clause
"""The interfaces of a receiver's parts."""

from __future__ import annotations

from typing import Any, Protocol

from dredge_kernels.arrays import Pcm, Rows


class UnknownVersionError(ValueError):
    """The packet's DRED was made by models that are not here; version: the byte that names them."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(f"no model for version {version}")


class Decoder(Protocol):
    """An Opus decoder at 16 kHz mono; errors are RuntimeError."""

    def decode(self, packet: bytes) -> Pcm: ...
    def decode_fec(self, packet: bytes, samples: int = 320) -> Pcm: ...
    def conceal(self, samples: int = 320) -> Pcm: ...
    def reset(self) -> None: ...


class Encoder(Protocol):
    """An Opus encoder at 16 kHz mono, 20 ms packets."""

    @property
    def lookahead(self) -> int: ...
    def encode(self, pcm: Pcm) -> bytes: ...
    def reset(self) -> None: ...


class PacketReader(Protocol):
    """A reader of what an Opus packet carries; errors are ValueError or RuntimeError, UnknownVersionError of ``dred``.
    """

    def samples(self, packet: bytes) -> int: ...
    def has_lbrr(self, packet: bytes) -> bool: ...
    def is_dtx(self, packet: bytes) -> bool: ...
    def dred(self, packet: bytes) -> bytes | None: ...


class DredDecoder(Protocol):
    """DRED payloads to features (``dredge_models.dred.DredDecoder``)."""

    def parse(self, data: bytes) -> Any: ...
    def features(self, packet: Any, frames: int) -> Rows: ...


class Speech(Protocol):
    """The vocoder (``dredge_models.vocoder.Vocoder``)."""

    def begin(self, pcm: Pcm, features: Rows, ahead: Rows | None = None) -> None: ...
    def reset(self) -> None: ...
    def synthesise(self, features: Rows) -> Pcm: ...
    def tail(self, features: Rows) -> Pcm: ...


class Predictor(Protocol):
    """The feature predictor (``dredge_models.plc.PlcPredictor``)."""

    background: float

    def update(self, feature: Rows) -> None: ...
    def predict(self) -> Rows: ...
    def reset(self) -> None: ...


class Extractor(Protocol):
    """The streaming feature extractor (``dredge_kernels.features.FeatureExtractor``)."""

    def process(self, pcm: Pcm) -> Rows: ...
    def reset(self) -> None: ...
