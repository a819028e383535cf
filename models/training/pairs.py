# SPDX-License-Identifier: BSD-2-Clause
"""Makes pairs of features: of speech in many rooms and levels, and of the same speech with noise and clipping.

`python -m models.training.pairs --data runs/data --copies 3` reads train.npz and writes pairs_0.npz, pairs_1.npz, …,
each with `clean` and `heard` float16 [n, 20]. Both have the same random filter, room, gain and bandwidth; noise and
clipping are in `heard` alone, so that the encoder learns to suppress most of them. Another --seed makes other pairs.
"""

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from dredge_kernels.features import FeatureExtractor
from dredge_kernels.highpass import HighPass
from models.training.augment import BANDS, dct_matrix
from models.training.progress import Bar

HOP = 160
SAMPLE_RATE = 16000
PIECE = 12 * SAMPLE_RATE       # samples that share one set of conditions
LEFT = 1.2                     # bels
Samples = NDArray[np.float64]


@dataclass
class Pairs:
    """Row i of `heard` is the encoder's input, row i of `clean` the wanted output; float16 [n, 20] each."""

    clean: np.ndarray
    heard: np.ndarray


def load_pairs(folder: Path) -> list[Pairs]:
    """Return all pairs_*.npz of a folder, in order. Raises RuntimeError when one is unusable."""
    found = []
    for path in sorted(folder.glob("pairs_[0-9]*.npz")):
        try:
            with np.load(path) as file:
                found.append(Pairs(file["clean"], file["heard"]))
        except (OSError, KeyError, ValueError) as error:
            raise RuntimeError(f"{path}: expected pairs of features ({error}); run models.training.pairs") from error
    return found


def colour(rng: np.random.Generator, x: Samples) -> Samples:
    """Return `x` through a random, always stable filter of two poles and two zeros."""
    b, a = 0.4 * rng.uniform(-1, 1, 2), 0.4 * rng.uniform(-1, 1, 2)
    return signal.lfilter([1.0, *b], [1.0, *a], x)


def room(rng: np.random.Generator, x: Samples) -> Samples:
    """Return `x` in a synthetic room: the direct sound and an exponentially fading, coloured tail of noise."""
    fade = rng.uniform(0.1, 0.6)                     # seconds to -60 dB
    length = int(0.6 * fade * SAMPLE_RATE)
    tail = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / (fade * SAMPLE_RATE))
    tail[: int(rng.uniform(0.001, 0.008) * SAMPLE_RATE)] = 0
    tail = colour(rng, tail)
    tail *= 10 ** (-rng.uniform(0, 15) / 20) / np.sqrt(np.sum(tail**2) + 1e-9)
    tail[0] = 1.0
    return signal.oaconvolve(x, tail)[: len(x)]


def band_limit(rng: np.random.Generator, x: Samples) -> Samples:
    """Return `x` band-limited as by a narrow channel: low-pass, half of them with a telephone's high-pass as well."""
    top = rng.choice([3400.0, 4000.0, 5500.0, 7000.0])
    edges: float | list[float] = top
    kind = "lowpass"
    if top < 4500 and rng.random() < 0.5:
        edges, kind = [rng.uniform(150, 350), top], "bandpass"
    return signal.sosfilt(signal.butter(4, edges, kind, fs=SAMPLE_RATE, output="sos"), x)


def noise(rng: np.random.Generator, x: Samples) -> Samples:
    """Return coloured noise, in places with hum, between 3 and 40 dB below the loud parts of `x`."""
    made = signal.lfilter([1.0], [1.0, -rng.uniform(-0.3, 0.97)], colour(rng, rng.standard_normal(len(x))))
    if rng.random() < 0.2:
        turns = 2 * np.pi * rng.choice([50.0, 60.0]) / SAMPLE_RATE * np.arange(len(x))
        made += sum(rng.uniform(0, 2) * np.sin(k * turns + rng.uniform(0, 6)) for k in range(1, 7))
    loud = np.quantile(np.abs(x), 0.9) + 1e-9
    return made * loud * 10 ** (-rng.uniform(3, 40) / 20) / np.sqrt(np.mean(made**2))


def whole(x: Samples) -> NDArray[np.int16]:
    """Return the signal as int16 without dither."""
    return np.rint(np.clip(x, -32768, 32767)).astype(np.int16)


def disturb(rng: np.random.Generator, pcm: NDArray[np.int16]) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return one piece [n] as the wanted output, and as the input (the same array where nothing was added)."""
    x = colour(rng, pcm.astype(np.float64))
    if rng.random() < 1 / 3:
        x = room(rng, x)
    if rng.random() < 0.15:
        x = band_limit(rng, x)
    x *= 10 ** (rng.uniform(-30, 9) / 20)
    clean = whole(x)
    heard = x
    if rng.random() < 0.5:
        heard = heard + noise(rng, x)
    if rng.random() < 0.25:
        limit = np.quantile(np.abs(heard), 0.999) * rng.uniform(0.3, 1.0) + 1
        heard = np.clip(heard, -limit, limit)
    return clean, (clean if heard is x else whole(heard))


def rows(extractor: FeatureExtractor, highpass: HighPass, pcm: NDArray[np.int16]) -> np.ndarray:
    """Return the features float16 [n, 20] of int16 [160 n] as the sender computes them."""
    extractor.reset()
    highpass.reset()
    return extractor.process(highpass.process(pcm)).astype(np.float16)


def eased(clean: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Return `clean` float16 [n, 20] with bands at most LEFT below `heard`, since some noise may remain in pauses.
    """
    basis = dct_matrix()
    offset = np.zeros(BANDS, np.float32)
    offset[0] = 4.0
    wanted, given = (rows[:, :BANDS].astype(np.float32) + offset for rows in (clean, heard))
    bands, left = wanted @ basis.T, given @ basis.T - LEFT
    out = clean.copy()
    out[:, :BANDS] = np.maximum(bands, left) @ basis - offset
    return out


def make(pcm: NDArray[np.int16], seed: int, bar: Bar) -> Pairs:
    """Return the pairs of all of `pcm`, piece by piece."""
    rng = np.random.default_rng(seed)
    extractor, highpass = FeatureExtractor(), HighPass()
    clean, heard = [], []
    for start in range(0, len(pcm), PIECE):
        wanted, given = disturb(rng, pcm[start : start + PIECE])
        quiet = rows(extractor, highpass, wanted)
        heard.append(quiet if given is wanted else rows(extractor, highpass, given))
        clean.append(quiet if given is wanted else eased(quiet, heard[-1]))
        bar.show(start / len(pcm), f"copy of seed {seed}")
    return Pairs(np.concatenate(clean), np.concatenate(heard))


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="folder of train.npz")
    parser.add_argument("--copies", type=int, default=3, help="times that all of the speech is used")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with np.load(args.data / "train.npz") as file:
        pcm = file["pcm"]
    bar = Bar("pairs")
    for copy in range(args.copies):
        pairs = make(pcm, args.seed + copy, bar)
        path = args.data / f"pairs_{copy}.npz"
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, clean=pairs.clean, heard=pairs.heard)
        os.replace(part, path)
    bar.close()


if __name__ == "__main__":
    main()
