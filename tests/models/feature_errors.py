# SPDX-License-Identifier: BSD-2-Clause
"""How far decoded features are from those that libopus decoded."""

from __future__ import annotations

import numpy as np

from dredge_models.dred import DredDecoder

LIMITS = 0.25, 0.075, 0.01  # half of what libopus' conformance script allows: total, worst coefficient, pitch


def errors(got: np.ndarray, want: np.ndarray) -> tuple[float, float, float]:
    """Total RMS over all coefficients, RMS of the worst one, mean pitch error of voiced frames."""
    squares = ((got - want) ** 2).mean(0)
    voiced = want[:, 19] > 0.2
    pitch = np.abs(got[voiced, 18] - want[voiced, 18])
    return float(np.sqrt(squares.sum())), float(np.sqrt(squares.max())), float(pitch.mean())


def newest_first(decoder: DredDecoder, version: int, payload: bytes) -> np.ndarray:
    """All features of a payload float32 [n, 20], newest frame first."""
    packet = decoder.parse(b"D" + bytes([version]) + payload)
    return decoder.features(packet, packet.span_frames)[::-1]


def check(name: str, pairs: list[tuple[np.ndarray, np.ndarray]], limits: tuple[float, float, float] = LIMITS) -> None:
    """Pairs of (got, wanted) features within limits of total RMS, worst coefficient and pitch; printed."""
    got, want = (np.concatenate(rows) for rows in zip(*pairs, strict=True))
    total, worst, pitch = errors(got, want)
    print(f"\n{name}: {len(pairs)} packets, {len(got)} frames: "
          f"total {total:.4f}, worst coefficient {worst:.4f}, pitch {pitch:.5f}")  # fmt: skip
    assert len(got) > 500
    assert total <= limits[0] and worst <= limits[1] and pitch <= limits[2]
