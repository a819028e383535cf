# SPDX-License-Identifier: BSD-2-Clause
"""The loss by int8 weights in the vocoder: the same speech from the float16 master weights and from the kernels.

`python -m models.training.vocoder_float --speech FOLDER` takes pieces of its recordings, synthesises them from their
exact features with both, postfilter included, and prints the mean PLCMOS of each (needs the extra `metrics`).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dredge_kernels.features import FeatureExtractor, lpc_from_cepstrum
from dredge_kernels.lpcnet import CONTEXT, Lpcnet, from_ulaw, to_ulaw
from dredge_kernels.postfilter import Postfilter
from models.training.data import load
from models.training.manifest import FOLDER
from models.training.progress import Bar
from models.training.vocoder_data import PREEMPHASIS
from models.training.vocoder_net import HOP, VocoderNet, period

SHARPEN, TRIM = 0.5, 0.02  # as in the kernel
EXPAND = np.array([from_ulaw(u) for u in range(256)])
codes = np.vectorize(to_ulaw, otypes=[np.int64])  # mu-law codes of samples at int16 scale

Array = NDArray[np.float32]


def sigmoid(x: Array) -> Array:
    """Return 1 / (1 + e^-x)."""
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def gru(x: Array, h: Array, w: Array, bias: Array) -> Array:
    """Return the state after one step of a reset-after GRU; x: input sums r, z, n [B, 3H]."""
    n = h.shape[1]
    p = h @ w
    r, z = sigmoid(x[:, :n] + p[:, :n]), sigmoid(x[:, n : 2 * n] + p[:, n : 2 * n])
    new = np.tanh(x[:, 2 * n :] + r * (p[:, 2 * n :] + bias))
    return np.asarray(new + z * (h - new), np.float32)


class FloatVocoder:
    """The sample loop in NumPy, for B tracks side by side: slow, and without any integer weight."""

    def __init__(self, net: VocoderNet, rows: Array, seed: int = 1) -> None:
        """Prepare the synthesis of rows float32 [B, n + 4, 20]: features with two rows of context on both sides."""
        with torch.no_grad():
            weights = [w.numpy() for w in net.weights(torch.from_numpy(rows))]
        (self.table_a, self.wh, self.bn, ca, self.wbi, self.table_b, self.wb, self.bbn, self.cb, *self.tree) = weights
        self.cond_a = np.roll(ca.reshape(*ca.shape[:2], 3, -1), -1, axis=2).reshape(ca.shape)  # n, r, z -> r, z, n
        a = self.table_a.reshape(*self.table_a.shape[:2], 3, -1)
        self.table_a = np.roll(a, -1, axis=2).reshape(self.table_a.shape)
        self.f = rows[:, CONTEXT:-CONTEXT]
        self.lpc = np.stack([lpc_from_cepstrum(np.ascontiguousarray(f)) for f in self.f])
        self.lag = period(torch.from_numpy(self.f.copy())).numpy()
        self.rng = np.random.default_rng(seed)

    def draw(self, h: Array, sharpness: Array) -> NDArray[np.int64]:
        """Return one excitation code per track: eight binary decisions."""
        node = np.ones(len(h), np.int64)
        w1, b1, g1, w2, b2, g2 = self.tree
        for _ in range(8):
            logit = g1[node] * np.tanh((w1[node] * h).sum(1) + b1[node])
            logit = logit + g2[node] * np.tanh((w2[node] * h).sum(1) + b2[node])
            rng = TRIM + (1 - 2 * TRIM) * self.rng.random(len(h))
            node = 2 * node + (sigmoid(sharpness * logit) > rng)
        return node - 256

    def synthesise(self, bar: Bar) -> NDArray[np.int16]:
        """Return the speech, int16 [B, 160 n]."""
        tracks, frames = self.f.shape[:2]
        total, every = frames * HOP, np.arange(tracks)
        a = np.zeros((tracks, len(self.wh)), np.float32)
        b = np.zeros((tracks, len(self.wb)), np.float32)
        memory, speech = np.zeros((tracks, 16), np.float32), np.zeros(tracks)
        e = np.full((tracks, 512 + total + 4), 128)
        out = np.zeros((tracks, total), np.int16)
        sharp = 1 + SHARPEN * np.maximum(0, 1.5 * (self.f[:, :, 19] + 0.5) - 0.5)
        for t in range(total):
            frame, now = t // HOP, 512 + t
            prediction = -(self.lpc[:, frame] * memory).sum(1)
            s, p = codes(memory[:, 0]), codes(prediction)
            if t % 2 == 0:
                taps = [e[every, now - 1 - self.lag[:, frame] + k] for k in range(4)]
                slots = [s, p, e[:, now - 1], e[:, now - 2], *taps]
                x = self.cond_a[frame] + sum(self.table_a[k][c >> 1] for k, c in enumerate(slots))
                a = gru(x, a, self.wh, self.bn)
                halves = np.split(a @ self.wbi, 2, axis=1)
            x = halves[t % 2] + self.cb[frame]
            x = x + self.table_b[0][s] + self.table_b[1][p] + self.table_b[2][e[:, now - 1]]
            b = gru(x, b, self.wb, self.bbn)
            e[:, now] = self.draw(b, sharp[:, frame])
            sample = np.clip(prediction + EXPAND[e[:, now]], -32767, 32767)
            memory = np.concatenate([sample[:, None], memory[:, :15]], 1).astype(np.float32)
            speech = np.clip(sample + PREEMPHASIS * speech, -32767, 32767)
            out[:, t] = np.rint(speech)
            if t % HOP == 0:
                bar.show(t / total, "")
        return out


def pieces(folder: Path, count: int, seconds: float) -> list[NDArray[np.int16]]:
    """Return int16 pieces from the middle of `count` recordings, evenly through the folder. Raises ValueError."""
    paths = sorted(p for p in folder.iterdir() if p.suffix in {".opus", ".flac", ".wav"})
    need, found = int(16000 * seconds), []
    for path in paths[:: max(1, len(paths) // count)]:
        x = np.rint(np.clip(load(path), -32768, 32767)).astype(np.int16)
        if len(x) >= need and len(found) < count:
            at = (len(x) - need) // 2
            found.append(x[at : at + need])
    if not found:
        raise ValueError(f"{folder}: expected recordings of at least {seconds:g} s, found none")
    return found


def both(net: VocoderNet, arrays: dict[str, NDArray], clips: list[NDArray[np.int16]]) -> dict[str, list[NDArray]]:
    """Return the speech of every clip from float and from int8 weights, int16, through the postfilter."""
    tracks = np.stack([FeatureExtractor().process(x[: len(x) // HOP * HOP]) for x in clips])
    rows = np.pad(tracks, ((0, 0), (CONTEXT, CONTEXT), (0, 0)), mode="edge")
    bar = Bar("float")
    made = {"float": list(FloatVocoder(net, rows).synthesise(bar))}
    bar.close()
    made["int8"] = [Lpcnet(arrays).synthesise(r) for r in rows]
    return {name: [Postfilter().process(x, f) for x, f in zip(xs, tracks, strict=True)] for name, xs in made.items()}


def main() -> None:
    """Run the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--speech", type=Path, required=True, help="folder of recordings")
    p.add_argument("--name", default="standard", help="shipped vocoder")
    p.add_argument("--count", type=int, default=8)
    p.add_argument("--seconds", type=float, default=3.0)
    args = p.parse_args()
    from speechmos import plcmos

    with np.load(FOLDER / f"vocoder_{args.name}_master.npz") as z:
        weights = {k: torch.from_numpy(z[k].astype(np.float32)) for k in z.files}
    net = VocoderNet(len(weights["bn"]), len(weights["bbn"]))
    net.load_state_dict(weights)
    with np.load(FOLDER / f"vocoder_{args.name}.npz") as z:
        arrays = dict(z)
    clips = pieces(args.speech, args.count, args.seconds)
    for name, heard in {"original": clips, **both(net, arrays, clips)}.items():
        np.random.seed(0)
        scores = [plcmos.run(x / 32768.0, 16000)["plcmos"] for x in heard]
        print(f"{name:9s} PLCMOS {np.mean(scores):.3f}")


if __name__ == "__main__":
    main()
