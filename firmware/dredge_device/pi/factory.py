# SPDX-License-Identifier: BSD-2-Clause
"""The real parts of a receiver, and the networks that receivers of one thread share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from dredge_device.pi.input.enhanced_decoder import EnhancedDecoder
from dredge_device.pi.input.opus_abilities import opus_abilities
from dredge_device.pi.input.periods import PeriodDecoder, PeriodReader
from dredge_device.pi.interfaces import (
    Background,
    Decoder,
    DredDecoder,
    Encoder,
    Extractor,
    PacketReader,
    Predictor,
    Speech,
    UnknownVersionError,
)
from dredge_device.pi.output.interface import CapabilityError
from dredge_device.units import CONCEAL_MODES
from dredge_models import vocoders

DTX_BYTES = 2  # an Opus packet this short codes no speech


class OpusPacketReader:
    """A reader of Opus packets with extensions in their padding."""

    def __init__(self) -> None:
        from dredge_kernels import extensions, opus
        from dredge_models import dred, modelset

        self._read = extensions.read_extensions
        self._strip = extensions.strip_padding
        self._samples = opus.packet_samples
        self._lbrr = opus.packet_has_lbrr
        self._carried = dred.carried
        self._versions = modelset.versions()

    def samples(self, packet: bytes) -> int:
        """Return the duration in samples at 16 kHz."""
        return int(self._samples(packet))

    def has_lbrr(self, packet: bytes) -> bool:
        """Return whether the packet repeats the one before it."""
        return bool(self._lbrr(packet))

    def is_dtx(self, packet: bytes) -> bool:
        """Return whether the packet announces a pause of speech (DTX, RFC 7587 section 3.1.3)."""
        return len(packet) <= DTX_BYTES or len(self._strip(packet)) <= DTX_BYTES

    def dred(self, packet: bytes) -> bytes | None:
        """Return DRED data with its two-byte prefix, None when there is none.

        Senders put it on the first frame of a packet; elsewhere its offset would mean another time. Raises
        UnknownVersionError when there is a model for none of the versions in it.
        """
        unknown: int | None = None
        for extension in self._read(packet):
            data = None if extension.frame else self._carried(extension.id, extension.data)
            if data is not None and data[1] in self._versions:
                return bytes(data)
            if data is not None:
                unknown = data[1]
        if unknown is not None:
            raise UnknownVersionError(unknown)
        return None


@dataclass
class Parts:
    """The replaceable parts of a receiver; None where the concealment mode needs no such part."""

    reader: PacketReader
    decoder: Decoder
    dred: DredDecoder | None = None
    vocoder: Speech | None = None
    plc: Predictor | None = None
    extractor: Extractor | None = None
    background: Background | None = None  # raises recovered speech to the background noise
    lookahead_decoder: Decoder | None = None  # with lookahead_extractor: decodes the packets after a gap
    lookahead_extractor: Extractor | None = None
    priming_encoder: Encoder | None = None  # re-encodes recovered speech for the decoder
    small_vocoder: Speech | None = None  # a cheaper vocoder, for gaps that begin under load
    enhancer: EnhancedDecoder | None = None  # the one in ``decoder``, if libopus enhances decoded speech


class ModelCache:
    """The parts for the receivers that one thread serves, one after the other. Not thread-safe.

    Every network is loaded once, when a receiver first needs it; a vocoder's weights once per process. Raises
    ModelError when files are missing or damaged, ValueError for an unknown vocoder.
    """

    @cached_property
    def dred(self) -> DredDecoder:
        """Return DRED data with its two-byte prefix, None when there is none.

        Senders put it on the first frame of a packet; elsewhere its offset would mean another time. Raises
        UnknownVersionError when there is a model for none of the versions in it.
        """
        from dredge_models import dred

        return dred.DredDecoder()

    @cached_property
    def _plc(self) -> Any:
        from dredge_models.plc import load_graph

        return load_graph()

    def predictor(self) -> Predictor:
        """Return a new predictor of features."""
        from dredge_models.plc import PlcPredictor

        return PlcPredictor(self._plc)

    def vocoder(self, name: str) -> Speech:
        """Return a new vocoder of this name."""
        speech: Speech = vocoders.open_vocoder(name)
        return speech


def real_parts(
    conceal: str, vocoder: str = vocoders.DEFAULT, cache: ModelCache | None = None, opus_complexity: int = 0
) -> Parts:
    """Return the parts of this concealment mode; models that it does not need are not loaded.

    cache: the networks shared with other receivers of the same thread; opus_complexity: of libopus' decoder.
    Raises ValueError for an unknown mode or vocoder, CapabilityError for a complexity that libopus cannot do here, and
    the registry's ModelError for missing weights.
    """
    if conceal not in CONCEAL_MODES:
        raise ValueError(f"conceal is '{conceal}', expected one of {', '.join(CONCEAL_MODES)}")
    stand_in = vocoders.VOCODERS[vocoders.checked(vocoder)].stand_in
    from dredge_kernels.opus import OpusDecoder, OpusEncoder

    why = opus_abilities().missing(opus_complexity) if opus_complexity else ""
    if why:
        raise CapabilityError(why)
    enhancer = EnhancedDecoder(OpusDecoder(), opus_complexity, conceal == "opus") if opus_complexity else None
    parts = Parts(reader=PeriodReader(OpusPacketReader()), decoder=PeriodDecoder(enhancer or OpusDecoder()))
    parts.enhancer = enhancer
    if conceal == "opus":
        return parts
    from dredge_kernels.background import Background
    from dredge_kernels.features import FeatureExtractor

    cache = cache or ModelCache()
    parts.extractor, parts.lookahead_extractor = FeatureExtractor(), FeatureExtractor()
    parts.background = Background()
    parts.lookahead_decoder = PeriodDecoder(OpusDecoder())
    parts.priming_encoder = OpusEncoder(complexity=2, loss_pct=20)
    parts.plc = cache.predictor()
    parts.vocoder = cache.vocoder(vocoder)
    if stand_in:
        parts.small_vocoder = cache.vocoder(stand_in)
    if conceal == "dred":
        parts.dred = cache.dred
    return parts
