# SPDX-License-Identifier: BSD-2-Clause
"""Turns a folder of recordings into the arrays that every trainer reads.

`python -m models.training.data --speech FOLDER --out runs/data` writes train.npz, valid.npz and test.npz with
`f` float32 [n, 20] (features, one row per 10 ms) and `pcm` int16 [160 n] (what the features were computed from).
Training files are equalised and scaled at random so that the models meet many microphones and levels.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr
from numpy.typing import NDArray
from rich.progress import track

from dredge_kernels.features import FeatureExtractor

RATE = 16000
HOP = 160
REFERENCE_RMS = 2500.0  # int16 units; active speech at about -22 dBFS


def load(path: Path) -> NDArray[np.float64]:
    """One recording as mono 16 kHz float64 at int16 scale."""
    x, rate = sf.read(path, dtype="float64", always_2d=True)
    mono = x.mean(axis=1)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, quality="VHQ")
    return mono * 32768.0


def active_rms(x: NDArray[np.float64]) -> float:
    """Level of the samples that are not background."""
    active = x[np.abs(x) > 100.0]
    return float(np.sqrt(np.mean(active**2))) if len(active) else 1.0


def augment(x: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Random second-order spectral tilt and a level between -12 and +6 dB of the reference."""
    from scipy.signal import lfilter

    b, a = 0.3 * rng.uniform(-1, 1, 2), 0.3 * rng.uniform(-1, 1, 2)
    y = lfilter([1.0, *b], [1.0, *a], x)
    return y * (REFERENCE_RMS / active_rms(y)) * 10 ** (rng.uniform(-12, 6) / 20)


def prepare_file(path: Path, rng: np.random.Generator, train: bool) -> NDArray[np.int16]:
    """int16 samples of one recording, a whole number of hops, dithered and kept off the rails."""
    x = load(path)
    x = augment(x, rng) if train else x * (REFERENCE_RMS / active_rms(x))
    peak = np.abs(x).max()
    x = x * min(1.0, 31000.0 / peak) + rng.uniform(-0.5, 0.5, len(x))
    return np.rint(x[: len(x) // HOP * HOP]).astype(np.int16)


def prepare_split(folder: Path, out: Path, train: bool, seed: int) -> None:
    """Writes one .npz, complete or not at all."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in {".opus", ".flac", ".wav"})
    rng = np.random.default_rng(seed)
    rng.shuffle(paths)  # type: ignore[arg-type]
    pcm = [prepare_file(p, rng, train) for p in track(paths, f"{folder.name}: reading")]
    extractor = FeatureExtractor()
    rows = []
    for x in track(pcm, f"{folder.name}: features"):
        extractor.reset()
        rows.append(extractor.process(x))
    part = out.with_suffix(".part.npz")
    np.savez(part, f=np.concatenate(rows), pcm=np.concatenate(pcm))
    os.replace(part, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speech", type=Path, default=os.environ.get("DREDGE_SPEECH"), help="has train/ valid/ test/")
    parser.add_argument("--out", type=Path, default=Path("runs/data"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--splits", nargs="+", default=["train", "valid", "test"])
    args = parser.parse_args()
    if args.speech is None:
        parser.error("--speech: expected a folder (or set DREDGE_SPEECH)")
    args.out.mkdir(parents=True, exist_ok=True)
    for split in args.splits:
        prepare_split(Path(args.speech) / split, args.out / f"{split}.npz", split == "train", args.seed)


if __name__ == "__main__":
    main()
