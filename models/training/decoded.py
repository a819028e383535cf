# SPDX-License-Identifier: BSD-2-Clause
"""The features that a receiver gets: those of the data files after the shipped RDO-VAE.

`python -m models.training.decoded --data runs/data --out runs/data` writes train_decoded.npz and valid_decoded.npz with
`f` float32 [n, 20], row by row beside `f` of train.npz and valid.npz. The stream is cut into chunks of random length
(1 to 26 latents of 40 ms), each coded as a packet would be (random level and slope) and decoded newest first.
"""

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.training.manifest import FOLDER
from models.training.progress import Bar
from models.training.rdovae_eval import symbols
from models.training.rdovae_loss import LEVEL_STEPS, level_schedule
from models.training.rdovae_net import FEATURES, RdoVae
from models.training.train_rdovae import load_features, load_start

MOST = 26                  # latents of a chunk
CONTEXT = 100              # encoder steps (2 s) before a lane's own: its memory is then as in a long stream
LANE = 4000                # frames per lane; lanes are encoded side by side
LANES = 32                 # … so many at once
BATCH = 512                # chunks decoded at once
# The range to which dredge_models.dred limits decoded features, as a vocoder gets them.
LOW = torch.tensor([-20.0] * 18 + [-1.5, -0.5])
HIGH = torch.tensor([20.0] * 18 + [1.5, 0.5])


@dataclass
class Chunk:
    """`length` latents back from encoder step `newest` of lane `lane`; its oldest frame is row `frame` of the data."""

    lane: int
    newest: int
    length: int
    frame: int


def cut(rng: np.random.Generator, lane: int, first: int, last: int, shift: int) -> list[Chunk]:
    """Return the chunks that tile the frames first … last - 1 and a little beyond, at a random phase.

    `shift` (0 or 1) is the frame at which the lane's encoder steps begin, CONTEXT steps before `first`.
    """
    step = CONTEXT - 1 - int(rng.integers(0, 2))   # never begins after `first`
    chunks = []
    while (frame := first - 2 * CONTEXT + shift + 2 * step) < last:
        length = int(rng.integers(1, MOST + 1))
        step += 2 * length
        chunks.append(Chunk(lane, step - 1, length, frame))
    return chunks


def lane_rows(features: np.ndarray, first: int, shift: int) -> np.ndarray:
    """Return the encoder's input of one lane, float32 [2 * steps, 20]; the ends of the data are held."""
    count = LANE + 2 * CONTEXT + 4 * (MOST + 1)
    index = first - 2 * CONTEXT + shift + np.arange(count)
    return features[np.clip(index, 0, len(features) - 1)]


@torch.no_grad()
def decode_chunks(model: RdoVae, rng: np.random.Generator, latents: Tensor, states: Tensor, chunks: list[Chunk],
                  put: Callable[[int, np.ndarray], None]) -> None:
    """Code and decode `chunks` of equal or rising length; put(frame, rows float32 [4 * length, 20]) takes each.

    latents [T, B, L], states [T, B, S]. Each chunk has its own level of the newest latent (0 to 10) and slope (4 to 7).
    """
    longest = max(c.length for c in chunks)
    lane = torch.tensor([c.lane for c in chunks])
    newest = torch.tensor([c.newest for c in chunks])
    # A shorter chunk is decoded further into the past, and the surplus is dropped.
    steps = (newest[None] - 2 * torch.arange(longest)[:, None]).clamp(min=0)
    slope = np.array(LEVEL_STEPS)[rng.integers(4, 8, len(chunks))]
    levels = torch.from_numpy(level_schedule(rng.integers(0, 11, len(chunks)), slope, longest))
    width = latents.shape[-1]
    z, z_scale = symbols(model, latents[steps, lane], levels, 0)
    s, s_scale = symbols(model, states[newest, lane], levels[0], width)
    rows = model.decoder(z / z_scale, levels, s / s_scale).clamp(LOW, HIGH)
    for i, chunk in enumerate(chunks):
        put(chunk.frame, rows[: chunk.length, i].flip(0).reshape(-1, FEATURES).numpy())


@torch.no_grad()
def decoded(model: RdoVae, features: np.ndarray, seed: int = 1,
            show: Callable[[float], None] | None = None) -> np.ndarray:
    """Return every row of features float32 [n, 20] as a packet would describe it, float32 [n, 20]."""
    rng = np.random.default_rng(seed)
    out = np.full_like(features, np.nan)

    def put(frame: int, rows: np.ndarray) -> None:
        low, high = max(0, frame), min(len(out), frame + len(rows))
        if low < high:
            out[low:high] = rows[low - frame : high - frame]

    starts = list(range(0, len(features), LANE))
    for at in range(0, len(starts), LANES):
        group = starts[at : at + LANES]
        shifts = rng.integers(0, 2, len(group))
        frames = torch.from_numpy(np.stack([lane_rows(features, s, k) for s, k in zip(group, shifts, strict=True)], 1))
        latents, states = model.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
        chunks = [c for b, (s, k) in enumerate(zip(group, shifts, strict=True))
                  for c in cut(rng, b, s, min(s + LANE, len(features)), int(k))]
        chunks.sort(key=lambda c: c.length)
        for i in range(0, len(chunks), BATCH):
            decode_chunks(model, rng, latents, states, chunks[i : i + BATCH], put)
        if show:
            show(min(1.0, (at + LANES) / len(starts)))
    return out


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="folder of train.npz and valid.npz")
    parser.add_argument("--out", type=Path, default=Path("runs/data"))
    parser.add_argument("--weights", type=Path, default=FOLDER / "rdovae_training.npz")
    parser.add_argument("--splits", nargs="+", default=["train", "valid"])
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_start(args.weights)
    args.out.mkdir(parents=True, exist_ok=True)
    for split in args.splits:
        bar = Bar(f"decoded {split}")
        rows = decoded(model, load_features(args.data / f"{split}.npz"), args.seed, lambda x, b=bar: b.show(x, ""))
        bar.close()
        part = args.out / f"{split}_decoded.part.npz"
        np.savez(part, f=rows)
        os.replace(part, args.out / f"{split}_decoded.npz")


if __name__ == "__main__":
    main()
