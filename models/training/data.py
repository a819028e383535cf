# SPDX-License-Identifier: BSD-2-Clause
"""Conversion of folders of recordings to the arrays for all trainers.

`python -m models.training.data --speech FOLDER [FOLDER …] --out runs/data` writes train.npz, valid.npz and test.npz
with `f` float32 [n, 20] (features, one row per 10 ms), `pcm` int16 [160 n] (what the features were computed from) and
`first`, the number of rows that come from the first folder: the vocoder trains on those alone, so it should be the one
with the best recordings. A folder may lack a split. Training files are equalised and scaled at random so that the
models are trained on many microphones and levels; all files pass the high-pass that the sender puts before its encoder.
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
from dredge_kernels.highpass import HighPass

RATE = 16000
HOP = 160
REFERENCE_RMS = 2500.0  # int16 units; active speech at about -22 dBFS


def load(path: Path) -> NDArray[np.float64]:
    """Return one recording as mono float64 at 16 kHz and int16 scale."""
    x, rate = sf.read(path, dtype="float64", always_2d=True)
    mono = x.mean(axis=1)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE, quality="VHQ")
    return mono * 32768.0


def active_rms(x: NDArray[np.float64]) -> float:
    """Return the level of the samples that are not background."""
    active = x[np.abs(x) > 100.0]
    return float(np.sqrt(np.mean(active**2))) if len(active) else 1.0


def augment(x: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Return a piece with a random second-order spectral tilt and a level between -12 and +6 dB of the reference."""
    from scipy.signal import lfilter

    b, a = 0.3 * rng.uniform(-1, 1, 2), 0.3 * rng.uniform(-1, 1, 2)
    y = lfilter([1.0, *b], [1.0, *a], x)
    return y * (REFERENCE_RMS / active_rms(y)) * 10 ** (rng.uniform(-12, 6) / 20)


def prepare_file(path: Path, rng: np.random.Generator, train: bool) -> NDArray[np.int16]:
    """Return int16 samples of one recording, a whole number of hops, dithered, limited below full scale and
    high-passed.
    """
    x = load(path)
    x = augment(x, rng) if train else x * (REFERENCE_RMS / active_rms(x))
    peak = np.abs(x).max()
    x = x * min(1.0, 31000.0 / peak) + rng.uniform(-0.5, 0.5, len(x))
    return HighPass().process(np.rint(x[: len(x) // HOP * HOP]).astype(np.int16))


def prepare_split(folders: list[Path], out: Path, train: bool, seed: int) -> None:
    """Write one .npz, complete or not at all."""
    rng = np.random.default_rng(seed)
    extractor = FeatureExtractor()
    pcm, rows, first = [], [], 0
    for i, folder in enumerate(folders):
        paths = sorted(p for p in folder.iterdir() if p.suffix in {".opus", ".flac", ".wav"})
        rng.shuffle(paths)  # type: ignore[arg-type]
        for path in track(paths, f"{folder.name}: {len(paths)} recordings"):
            pcm.append(prepare_file(path, rng, train))
            extractor.reset()
            rows.append(extractor.process(pcm[-1]))
            first += len(rows[-1]) if i == 0 else 0
    part = out.with_suffix(".part.npz")
    np.savez(part, f=np.concatenate(rows), pcm=np.concatenate(pcm), first=np.array(first))
    os.replace(part, out)


def folders(given: list[Path] | None) -> list[Path]:
    """Return the folders named, else those in DREDGE_SPEECH and DREDGE_SPEECH2."""
    named = given or [Path(os.environ[name]) for name in ("DREDGE_SPEECH", "DREDGE_SPEECH2") if os.environ.get(name)]
    for folder in named:
        if not folder.is_dir():
            raise SystemExit(f"--speech: expected a folder, found none at {folder}")
    return named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--speech", type=Path, nargs="+", help="folders of train/ valid/ test/; the best first")
    parser.add_argument("--out", type=Path, default=Path("runs/data"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--splits", nargs="+", default=["train", "valid", "test"])
    args = parser.parse_args()
    speech = folders(args.speech)
    if not speech:
        parser.error("--speech: expected a folder (or set DREDGE_SPEECH)")
    args.out.mkdir(parents=True, exist_ok=True)
    for split in args.splits:
        parts = [folder / split for folder in speech if (folder / split).is_dir()]
        if not parts:
            parser.error(f"--speech: expected {split}/ in at least one folder; choose others with --splits")
        prepare_split(parts, args.out / f"{split}.npz", split == "train", args.seed)


if __name__ == "__main__":
    main()
