# SPDX-License-Identifier: BSD-2-Clause
"""The errors of the speech in place of lost packets: spectrum and pitch, in those packets alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import FRAME_SAMPLES, PACKET_SAMPLES
from dredge_host.evaluation.judging.feature_track import VOICED, active, band_levels, track
from dredge_kernels.arrays import Pcm, Rows

FLOOR_DB = 60.0  # levels further below the loudest band of the reference count as equal silence
GROSS = 0.2  # gross pitch errors deviate by more (L. R. Rabiner et al., IEEE TASSP 24(5), 1976; 20 % as usual since)

Mask = NDArray[np.bool_]


def recovered_errors(reference: Pcm, played: Pcm, lost: Mask, lookahead: int) -> dict[str, float | int]:
    """Return the errors of `played` in the packets that are marked in `lost`.

    reference, played: int16[n] at 16 kHz, aligned; lost: bool[packets]; packet k starts at sample 320 k - lookahead, as
    in what `simulate` gives. Keys:

    frames, voiced_frames: rows of 10 ms that count, and those voiced in both signals; cepstral_distance_db: mean over
    the frames, absent without any; pitch_error_pct: mean deviation over voiced frames, without gross errors; absent
    without any; gross_pitch_pct: share of the voiced frames whose pitch is off by more than 20 %, absent without any;
    voicing_error_pct: share of the frames voiced in only one of the signals, absent without any.

    Raises ValueError for signals of different lengths, or fewer packets than the signal needs.
    """
    if len(reference) != len(played):
        raise ValueError(f"played: expected {len(reference)} samples as in the reference, got {len(played)}")
    if len(lost) * PACKET_SAMPLES < len(reference) + lookahead:
        need = -(-(len(reference) + lookahead) // PACKET_SAMPLES)
        raise ValueError(f"lost: expected at least {need} packets for {len(reference)} samples, got {len(lost)}")
    counts: dict[str, float | int] = {"frames": 0, "voiced_frames": 0}
    if len(reference) < FRAME_SAMPLES:
        return counts
    wanted, got = track(reference), track(played)
    chosen = lost_frames(lost, len(wanted), lookahead) & active(wanted)
    if not chosen.any():
        return counts
    return _compare(wanted, got, chosen)


def lost_frames(lost: Mask, frames: int, lookahead: int) -> Mask:
    """Return bool[frames]: True for the frames of 10 ms whose middle lies in a lost packet."""
    middles = np.arange(frames) * FRAME_SAMPLES + FRAME_SAMPLES // 2
    return np.asarray(lost, np.bool_)[(middles + lookahead) // PACKET_SAMPLES]


def frame_distances(wanted: Rows, got: Rows) -> NDArray[np.float64]:
    """Return the cepstral distance of every row in dB, float64[n], between two float32[n, 20]."""
    levels = band_levels(wanted)
    floor = levels.max() - FLOOR_DB
    difference = np.maximum(levels, floor) - np.maximum(band_levels(got), floor)
    return np.sqrt(np.mean(difference**2, axis=1))


def _compare(wanted: Rows, got: Rows, chosen: Mask) -> dict[str, float | int]:
    spoken, heard = wanted[:, 19] > VOICED, got[:, 19] > VOICED
    voiced = chosen & spoken & heard
    result: dict[str, float | int] = {
        "frames": int(chosen.sum()),
        "voiced_frames": int(voiced.sum()),
        "cepstral_distance_db": float(frame_distances(wanted, got)[chosen].mean()),
        "voicing_error_pct": float(100.0 * np.mean((spoken ^ heard)[chosen])),
    }
    # Column 18 is log2(256 / period) - 1.5, so a difference is an interval in octaves.
    off = np.abs(2.0 ** (got[voiced, 18] - wanted[voiced, 18]).astype(np.float64) - 1.0)
    if len(off):
        result["gross_pitch_pct"] = float(100.0 * np.mean(off > GROSS))
    if np.any(off <= GROSS):
        result["pitch_error_pct"] = float(100.0 * np.mean(off[off <= GROSS]))
    return result
