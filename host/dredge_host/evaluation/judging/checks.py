# SPDX-License-Identifier: BSD-2-Clause
"""Two checks that need no listener: the lag of recovered speech, and clicks at changes of source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_kernels.arrays import Pcm

STEP = 16  # samples between envelope values: 1 ms, a parabola interpolates between them
BANDS_HZ = ((100, 400), (400, 800), (800, 1600), (1600, 3000), (3000, 5000), (5000, 7500))
SMOOTH_HZ = 80.0  # envelopes keep syllables and onsets, not the pitch
QUIET = 32.0  # int16 steps; a smaller jump (-60 dBFS) is never a click

Envelopes = NDArray[np.float64]


def band_envelopes(pcm: Pcm) -> Envelopes:
    """Return the envelopes of six bands, float64[6, n / 16], of int16[n] at 16 kHz; zero phase throughout.

    Power to the 1/4, as loudness goes: a logarithm would weigh the floor before an onset as much as the onset, and read
    speech that a vocoder smeared in time as early.
    """
    size = -(-len(pcm) // 4000) * 4000  # lengths with large prime factors transform slowly
    spectrum = np.fft.rfft(np.asarray(pcm, np.float64), size)
    hertz = np.fft.rfftfreq(size, 1.0 / SAMPLE_RATE)
    smoothing = np.exp(-0.5 * (hertz / SMOOTH_HZ) ** 2)
    rows = []
    for low, high in BANDS_HZ:
        inside = (hertz >= low) & (hertz < high)
        power = np.fft.irfft(spectrum * inside, size) ** 2
        smooth = np.fft.irfft(np.fft.rfft(power) * smoothing, size)[: len(pcm)]
        rows.append((np.maximum(smooth, 0.0)[::STEP] + 1.0) ** 0.25)
    return np.stack(rows)


def envelope_scores(
    first: Envelopes, second: Envelopes, mask: NDArray[np.bool_] | None = None, reach_ms: float = 40.0
) -> NDArray[np.float64]:
    """Return the mean envelope correlation for every lag in steps of 1 ms from -reach_ms to reach_ms.

    first, second: `band_envelopes` of two signals of one length n at 16 kHz; mask: bool[n], samples of the second that
    count (recovered speech only, say). The scores are sums over the envelope values that counted, so that those of
    several clips may be added. Raises ValueError for different lengths or nothing to compare.
    """
    if first.shape != second.shape or (mask is not None and len(mask[::STEP]) != second.shape[1]):
        raise ValueError(f"expected equal lengths, got {first.shape[1]} and {second.shape[1]} envelope values")
    steps = int(reach_ms * SAMPLE_RATE / 1000 / STEP)
    count = second.shape[1]
    if count < 2 * steps + 50:
        raise ValueError(f"{count * STEP} samples are too few for a lag of up to {reach_ms:g} ms")
    chosen = np.arange(steps, count - steps)
    if mask is not None:
        chosen = chosen[mask[::STEP][chosen]]
    if len(chosen) < 50:
        raise ValueError("the mask leaves nothing to compare")
    right = _standard(second[:, chosen])
    lags = range(-steps, steps + 1)
    scores = [np.mean(_standard(first[:, chosen - lag]) * right) for lag in lags]
    return np.array(scores, np.float64) * len(chosen)


def peak_ms(scores: NDArray[np.float64]) -> float:
    """Return the lag with the highest score in ms, by a parabola through the peak; negative when the second signal is
    early.
    """
    return (_peak(scores) - (len(scores) - 1) / 2) * STEP * 1000.0 / SAMPLE_RATE


def _standard(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.maximum(spread, 1e-9))


def _peak(scores: NDArray[np.float64]) -> float:
    """Return the position of the maximum, interpolated between the samples."""
    at = int(scores.argmax())
    if not 0 < at < len(scores) - 1:
        return float(at)
    left, middle, right = scores[at - 1 : at + 2]
    bend = left - 2.0 * middle + right
    return at + (0.5 * (left - right) / bend if bend < 0 else 0.0)


class Seam(NamedTuple):
    """One change of source: first sample after it, jump there, and the steps around it."""

    sample: int
    jump: float  # largest sample-to-sample step within `near` samples of the seam, int16 steps
    usual: float  # 99.9th percentile of the steps around it
    largest: float  # largest step around it

    @property
    def click(self) -> bool:
        """True for a jump larger than every step of the speech around it."""
        return self.jump > max(self.largest, QUIET)


def seams(pcm: Pcm, sources: Sequence[str], lookahead: int = 0, near: int = 2, around_ms: float = 100.0) -> list[Seam]:
    """Measure every change of source in int16[n].

    sources: one per packet of 320 samples; packet k starts at sample 320 k - lookahead (what
    `simulate` gives: its output has the Opus look-ahead taken out). The neighbourhood is
    `around_ms` on both sides of the seam, without the seam itself.
    """
    steps = np.abs(np.diff(np.asarray(pcm, np.float64)))
    around = int(around_ms * SAMPLE_RATE / 1000)
    found = []
    for packet in range(1, len(sources)):
        start = packet * PACKET_SAMPLES - lookahead
        if sources[packet] == sources[packet - 1] or not near < start < len(pcm) - near - 1:
            continue
        seam = steps[start - 1 - near : start + near]
        before = steps[max(0, start - 1 - around) : start - 1 - near]
        after = steps[start + near : start + around]
        near_by = np.concatenate([before, after])
        if len(near_by) == 0:
            continue
        usual = float(np.percentile(near_by, 99.9))
        found.append(Seam(start, float(seam.max()), usual, float(near_by.max())))
    return found


def click_summary(found: Sequence[Seam]) -> dict[str, float | int]:
    """Return the counts for a result: seams, clicks, and the worst jump against the 99.9th percentile."""
    ratios = [seam.jump / max(seam.usual, QUIET) for seam in found]
    return {
        "seams": len(found),
        "clicks": sum(seam.click for seam in found),
        "above_p999": sum(ratio > 1.0 for ratio in ratios),
        "worst_ratio_to_p999": round(max(ratios, default=0.0), 3),
    }
