# SPDX-License-Identifier: BSD-2-Clause
"""Rate against distortion of an RDO-VAE at all 16 levels, as shipped: int8 graphs, real payloads, counted bits."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dredge_kernels.decoded import DecodedPayload
from dredge_kernels.payload import decode_payload, encode_payload
from dredge_models.modelset import ModelSet
from dredge_models.rdovae import RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import ModelFile
from models.training.progress import Bar
from models.training.rdovae_ages import LATENTS
from models.training.rdovae_loss import distortion, level_weight
from models.training.rdovae_net import FEATURES, LEVELS

WARM_UP = 50                # encoder steps of 20 ms before a chunk's own
VOICED = 0.2                # correlation feature from which pitch counts
MEASURES = ("cepstral", "pitch", "correlation", "weighted")


@dataclass(frozen=True)
class Point:
    """One level: bits per second of the latents, and the errors of the decoded features."""

    level: int
    rate: float             #: bits per second, latents only
    cepstral: float         #: RMS of a cepstral coefficient in dB (= of a band level)
    pitch: float            #: mean absolute error in semitones, voiced frames
    correlation: float      #: mean absolute error of the feature
    weighted: float         #: the training's distortion, loud frames more than quiet ones


@dataclass(frozen=True)
class Folder(ModelSet):
    """A model whose files are used without a manifest."""

    def file(self, name: str) -> ModelFile:
        """Return the file unchecked. Raises ModelError when it cannot be read."""
        assert self.folder is not None
        return ModelFile.of(self.folder / name)


def spread(features: np.ndarray, count: int) -> list[np.ndarray]:
    """Return `count` stretches [n, 20], spread evenly over the features, each long enough for one chunk and its
    warm-up.
    """
    length = 2 * (WARM_UP + 2 * LATENTS)
    if len(features) < length:
        raise RuntimeError(f"features: expected at least {length} rows, got {len(features)}")
    starts = np.linspace(0, len(features) - length, min(count, max(1, len(features) // length))).astype(int)
    return [np.ascontiguousarray(features[s : s + length, :FEATURES], np.float32) for s in starts]


class Coder:
    """Codes stretches of features with one model."""

    def __init__(self, model: ModelSet) -> None:
        self.tables = model.tables
        self._encoder, self._decoder = RdoVaeEncoder(model), RdoVaeDecoder(model)

    def encode(self, stretch: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the latents [26, L] of its last second, newest first, and the state [S] of the newest."""
        self._encoder.reset()
        steps = [self._encoder.push(pair) for pair in stretch.reshape(-1, 2, FEATURES)]
        latents = np.array([z for z, _ in steps[: -2 * LATENTS - 1 : -2]])
        return np.ascontiguousarray(latents, np.float32), steps[-1][1]

    def decode(self, latents: np.ndarray, state: np.ndarray, level: int) -> tuple[float, np.ndarray]:
        """Return the bits per latent, and the rows [104, 20] (oldest first) decoded at one level for all latents."""
        payload = encode_payload(latents, state, self.tables, level, 0)
        decoded = decode_payload(payload, self.tables, LATENTS)
        bits = (decoded.tells[-1] - decoded.tells[0]) / LATENTS
        return bits, self.rows(decoded, [level] * LATENTS)

    def rows(self, decoded: DecodedPayload, levels: Sequence[int]) -> np.ndarray:
        """Return the rows [104, 20] (oldest first) of a decoded payload; latents cut off by the coder (all zero) are
        decoded from zeros.
        """
        self._decoder.start(decoded.state)
        filled = np.zeros((LATENTS, decoded.latents.shape[1]), np.float32)
        filled[: len(decoded.latents)] = decoded.latents
        return self._decoder.steps(filled, np.array(levels))[::-1].reshape(-1, FEATURES)


def errors(wanted: np.ndarray, got: np.ndarray) -> dict[str, float]:
    """Return the four error measures of rows [n, 104, 20]."""
    off = got - wanted
    voiced = wanted[..., 19] > VOICED
    pair = torch.from_numpy(wanted), torch.from_numpy(got)
    weight = level_weight(pair[0][..., 0].T).T
    return {"cepstral": 10 * float(np.sqrt(np.mean(off[..., :18] ** 2))),
            "pitch": 12 * float(np.abs(off[..., 18])[voiced].mean()),
            "correlation": float(np.abs(off[..., 19]).mean()),
            "weighted": float((distortion(*pair) * weight).mean())}


def curve(model: ModelSet, stretches: list[np.ndarray], bar: Bar | None = None) -> list[Point]:
    """Return the figures of all levels over the last second of every stretch. Raises ModelError when the model is
    damaged.
    """
    coder = Coder(model)
    coded = [coder.encode(s) for s in stretches]
    wanted = np.stack([s[-4 * LATENTS :] for s in stretches])
    points = []
    for level in range(LEVELS):
        results = [coder.decode(z, s, level) for z, s in coded]
        rate = 25 * float(np.mean([bits for bits, _ in results]))
        points.append(Point(level, rate, **errors(wanted, np.stack([rows for _, rows in results]))))
        if bar:
            bar.show((level + 1) / LEVELS, model.id)
    return points


def relative(ours: list[Point], other: list[Point]) -> list[dict[str, float]]:
    """Return, per level of `ours`, each measure over that of `other` at the same rate; NaN outside the other's rates.
    """
    rates = np.array([p.rate for p in other])[::-1]
    rows = []
    for p in ours:
        inside = rates[0] <= p.rate <= rates[-1]
        row = {}
        for name in MEASURES:
            there = np.interp(p.rate, rates, np.array([getattr(o, name) for o in other])[::-1])
            row[name] = getattr(p, name) / there if inside else float("nan")
        rows.append(row)
    return rows
