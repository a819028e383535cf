# SPDX-License-Identifier: BSD-2-Clause
"""The stages of the pipeline, each as one call on real speech."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from dredge_device.pi.input.opus_abilities import LACE, NOLACE, opus_abilities
from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.sending.audio import Pcm, packets
from dredge_kernels.arrays import Rows


@dataclass(frozen=True)
class Stage:
    """One measurable call; covers_ms: the length of audio that one call processes; prepare: a call before it that is
    not measured.
    """

    name: str
    side: str
    covers_ms: float
    call: Callable[[], object]
    prepare: Callable[[], object] | None = None


def stages(pcm: Pcm) -> list[Stage]:
    """Return all stages in the order of the pipeline. Raises ValueError unless pcm is int16[n >= 48000]."""
    if len(pcm) < 3 * SAMPLE_RATE:
        raise ValueError(f"at least 3 s of speech are needed, got {len(pcm) / SAMPLE_RATE:.2f} s")
    pieces = list(packets(pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES]))
    return [*_opus(pieces), *_analysis(pieces), *_payload(pieces), *_synthesis(pcm)]


def _opus(pieces: list[Pcm]) -> list[Stage]:
    from dredge_kernels.opus import OpusDecoder, OpusEncoder

    encoder, decoder, lost = OpusEncoder(), OpusDecoder(), OpusDecoder()
    speech = cycle(pieces)
    coder = OpusEncoder()
    coded = cycle([coder.encode(piece) for piece in pieces])
    lost.decode(next(coded))
    abilities = opus_abilities()
    complexities = [e for e in (LACE, NOLACE) if not abilities.missing(e)]
    return [
        Stage("opus encode", "sender", 20, lambda: encoder.encode(next(speech))),
        Stage("opus decode", "receiver", 20, lambda: decoder.decode(next(coded))),
        *(_complexity(complexity, coded) for complexity in complexities),
        Stage("opus conceal", "receiver", 20, lambda: lost.conceal()),
    ]


def _complexity(complexity: int, coded: Iterator[bytes]) -> Stage:
    """Return the stage of decoding and enhancing, which this libopus may not support."""
    from dredge_kernels.opus import OpusDecoder

    decoder = OpusDecoder()
    decoder.set_complexity(complexity)
    return Stage(f"opus decode, complexity {complexity}", "receiver", 20, lambda: decoder.decode(next(coded)))


def _analysis(pieces: list[Pcm]) -> list[Stage]:
    from dredge_kernels.features import FeatureExtractor
    from dredge_models.rdovae import RdoVaeEncoder

    extractor, network = FeatureExtractor(), RdoVaeEncoder()
    speech = cycle(pieces)
    rows = cycle([FeatureExtractor().process(piece) for piece in pieces])
    return [
        Stage("features", "both", 20, lambda: extractor.process(next(speech))),
        Stage("rdovae encode", "sender", 20, lambda: network.push(next(rows))),
    ]


def _payload(pieces: list[Pcm]) -> list[Stage]:
    from dredge_kernels.extensions import add_extension, read_extensions
    from dredge_kernels.opus import OpusEncoder
    from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder, DredEncoder

    encoder, decoder, coder = DredEncoder(), DredDecoder(), OpusEncoder()
    for piece in pieces[:100]:
        encoder.push(piece)
        plain = coder.encode(piece)
    data = encoder.payload(1.0)
    packet = add_extension(plain, DRED_EXTENSION_ID, data)
    fresh: list[Any] = [decoder.parse(data)]
    whole = fresh[0].span_frames

    def parse() -> None:
        """Parse a new packet, since a parsed one caches its decoded values."""
        fresh[0] = decoder.parse(data)

    def decode(frames: int) -> Callable[[], object]:
        return lambda: decoder.features(fresh[0], frames)

    return [
        Stage("payload encode 100 ms", "sender", 20, lambda: encoder.payload(0.1)),
        Stage("payload encode 1 s", "sender", 20, lambda: encoder.payload(1.0)),
        Stage("extension write", "sender", 20, lambda: add_extension(plain, DRED_EXTENSION_ID, data)),
        Stage("extension read", "receiver", 20, lambda: read_extensions(packet)),
        Stage("payload decode 1 s", "receiver", 1000, lambda: decoder.parse(data)),
        Stage("rdovae decode 40 ms", "receiver", 40, decode(4), parse),
        Stage("rdovae decode 1 s", "receiver", 1000, decode(whole), parse),
    ]


def _synthesis(pcm: Pcm) -> list[Stage]:
    from dredge_kernels.features import FeatureExtractor
    from dredge_models import vocoders
    from dredge_models.plc import PlcPredictor

    start, rows = _voiced(pcm)
    features = FeatureExtractor().process(pcm[: len(pcm) // FRAME_SAMPLES * FRAME_SAMPLES])
    predictor = PlcPredictor()
    real, known = pcm[start - 640 : start], features[rows - 6 : rows]
    windows = cycle(list(_windows(features)))
    feature = cycle(list(features))

    def predict() -> object:
        predictor.update(next(feature))
        predictor.update(next(feature))
        return predictor.predict(), predictor.predict()

    stages = []
    for name in vocoders.present():
        stage = "vocoder" if name == vocoders.DEFAULT else name
        stages += _vocoder_stages(stage, vocoders.open_vocoder(name), vocoders.open_vocoder(name), real, known, windows)
    return [*stages, Stage("plc predict", "receiver", 20, predict)]


def _vocoder_stages(name: str, vocoder: Any, primer: Any, real: Pcm, known: Any, windows: Any) -> list[Stage]:
    """Return the stages that prime the vocoder with real speech and synthesise the next 20 ms."""
    vocoder.begin(real, known)
    return [
        Stage(f"{name} prime", "receiver", 20, lambda: primer.begin(real, known)),
        Stage(name, "receiver", 20, lambda: vocoder.synthesise(next(windows))),
    ]


def _voiced(pcm: Pcm) -> tuple[int, int]:
    """Return the sample and frame number in the middle of the loudest second, where there is speech to continue."""
    energy = np.add.reduceat(pcm.astype(np.float64) ** 2, np.arange(0, len(pcm), SAMPLE_RATE))
    frame = min(max(100 * int(energy.argmax()) + 50, 10), len(pcm) // FRAME_SAMPLES)
    return FRAME_SAMPLES * frame, frame


def _windows(features: Rows) -> Iterator[Rows]:
    """Yield the two frames to synthesise with two frames of context on both sides."""
    for index in range(0, len(features) - 6, 2):
        yield np.ascontiguousarray(features[index : index + 6])
