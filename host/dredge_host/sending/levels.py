# SPDX-License-Identifier: BSD-2-Clause
"""The preparation of a recording for 16-bit mono speech: the choice of channel and gain."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Block = NDArray[np.float32]

_OVERSHOOT = 10 ** (1 / 20)  # lossy codecs exceed full scale by up to 1 dB; such peaks are clipped
_HOT = 32.0  # floats beyond full scale by more (30 dB) are integers that were stored as floats
_SCALES = (1 << 15, 1 << 23, 1 << 31)
_CANCELLED = 0.1  # a mix with less of its loudest channel's energy (-10 dB) has lost the speech


@dataclass(frozen=True)
class Treatment:
    """The conversion of a recording to mono speech.

    channel: the one used, None for the mean of all; gain: of the samples; notes: the choices with their reasons.
    """

    channel: int | None = None
    gain: float = 1.0
    notes: list[str] = field(default_factory=list)


def examine(blocks: Iterable[Block], channels: int) -> Treatment:
    """Return the treatment for a recording; blocks: float32[n, channels], full scale 1."""
    energy, peaks = np.zeros(channels), np.zeros(channels)
    mixed_energy = mixed_peak = 0.0
    bad = 0
    for block in blocks:
        data, broken = finite(block)
        bad += broken
        if not len(data):
            continue
        wide = data.astype(np.float64)
        mixed = wide.mean(axis=1)
        energy += np.square(wide).sum(axis=0)
        peaks = np.maximum(peaks, np.abs(wide).max(axis=0))
        mixed_energy += float(np.square(mixed).sum())
        mixed_peak = max(mixed_peak, float(np.abs(mixed).max()))
    notes = [f"replaced {bad} samples that are no numbers by silence"] if bad else []
    channel: int | None = None
    peak = mixed_peak
    if channels > 1:
        loudest = int(energy.argmax())
        if mixed_energy < _CANCELLED * energy[loudest]:
            channel, peak = loudest, float(peaks[loudest])
            notes.append(f"the {channels} channels cancel each other when mixed: channel {loudest + 1} alone is used")
        else:
            notes.append(f"mixed {channels} channels to mono")
    gain, remark = _gain(peak)
    return Treatment(channel, gain, notes + ([remark] if remark else []))


def treat(block: Block, treatment: Treatment) -> Block:
    """Return float32[n] from float32[n, channels] by the treatment's channel and gain."""
    data, _ = finite(block)
    mono = data[:, treatment.channel] if treatment.channel is not None else data.mean(axis=1, dtype=np.float64)
    if treatment.gain != 1.0:
        mono = mono * treatment.gain
    return mono.astype(np.float32)


def finite(block: Block) -> tuple[Block, int]:
    """Return the block with zeros in place of NaN and infinity, and the number of these values."""
    bad = ~np.isfinite(block)
    count = int(bad.sum())
    return (np.where(bad, np.float32(0), block), count) if count else (block, 0)


def _gain(peak: float) -> tuple[float, str]:
    if peak <= 1:
        return 1.0, ""
    over = 20 * math.log10(peak)
    if peak <= _OVERSHOOT:
        return 1.0, f"clipped: samples reach {over:.1f} dB beyond full scale"
    scale = next((scale for scale in _SCALES if peak <= scale), None)
    if peak >= _HOT and scale is not None:
        return 1 / scale, f"the floats are {scale.bit_length()}-bit integers: divided by {scale}"
    return 1 / peak, f"samples reach {over:.0f} dB beyond full scale: made {over:.0f} dB quieter"
