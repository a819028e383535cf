# SPDX-License-Identifier: BSD-2-Clause
"""Writes a vocoder checkpoint as int8 arrays for the kernels, and as float16 master weights to resume from.

`python -m models.training.export_vocoder --run runs/vocoder --name standard` makes vocoder_standard.npz (what the
product reads), vocoder_standard_master.npz and the model card, byte-for-byte reproducible; then run
`python -m models.training.manifest`.
"""

from __future__ import annotations

import argparse
import csv
import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from dredge_kernels.lpcnet_weights import WEIGHT, checked
from models.training.cards import SPEECH_DATA, rounded, write_card

Weights = dict[str, NDArray[np.float32]]


def quantised_rows(w: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Scale the rows to the range of weights; return the integers and the step of each row."""
    step = np.maximum(np.abs(w).max(axis=-1), 1e-6) / WEIGHT
    q = np.clip(np.rint(w / step[..., None]), -WEIGHT, WEIGHT).astype(np.int8)
    return q, step.astype(np.float32)


def blocks(name: str, w: NDArray[np.float32]) -> dict[str, NDArray]:
    """Return the non-zero 8 x 4 blocks of w [outputs, inputs] with their places; activations come as round(127 x)."""
    q, step = quantised_rows(w)
    outputs, inputs = q.shape
    tiles = q.reshape(outputs // 8, 8, inputs // 4, 4).transpose(0, 2, 1, 3)
    used = np.abs(tiles).max(axis=(2, 3)) > 0
    column = np.broadcast_to(np.arange(inputs // 4, dtype=np.uint8), used.shape)[used]
    return {
        f"{name}_blocks": np.ascontiguousarray(tiles[used]),
        f"{name}_column": column,
        f"{name}_count": used.sum(1).astype(np.uint16),
        f"{name}_scale": step / np.float32(127),
    }


def conv(w: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the kernel [out, in, 3] as [3 in, out], oldest frame first."""
    return w.transpose(2, 1, 0).reshape(-1, w.shape[0]).astype(np.float16)


def table(name: str, embedding: NDArray[np.float32], matrix: NDArray[np.float32]) -> dict[str, NDArray]:
    """Return the contribution of a code to each gate, int8 [S, L, N] with one step per column, from embedding [S, L, E]
    and matrix [S E, N].
    """
    slots, _, width = embedding.shape
    rows = embedding @ matrix.reshape(slots, width, -1)
    step = np.maximum(np.abs(rows).max(axis=(0, 1)), 1e-6) / np.float32(127)
    q = np.clip(np.rint(rows / step), -127, 127).astype(np.int8)
    return {name: q, f"{name}_scale": step.astype(np.float32)}


def exported(w: Weights) -> dict[str, NDArray]:
    """Return the arrays of dredge_kernels.lpcnet_weights.checked made of the trained ones."""
    tree, tree_step = quantised_rows(np.stack([w["tw1"], w["tw2"]]))
    out: dict[str, NDArray] = {
        **table("table", w["emb_a"], w["wx"]), **table("table_b", w["emb_b"], w["wxb"]),
        "bias_a": w["bn"], "bias_b": w["bbn"],
        "tree": tree, "tree_scale": tree_step / np.float32(127),
        "tree_bias": np.stack([w["tb1"], w["tb2"]]), "tree_gain": np.stack([w["ts1"], w["ts2"]]),
        "pitch": w["pitch.weight"].astype(np.float16),
        "conv1": conv(w["c1.weight"]), "conv1_bias": w["c1.bias"],
        "conv2": conv(w["c2.weight"]), "conv2_bias": w["c2.bias"],
    }
    for name, matrix in (("recur_a", "wh"), ("input_b", "wbi"), ("recur_b", "wb")):
        out |= blocks(name, np.ascontiguousarray(w[matrix].T))
    for name, layer in (("dense1", "d1"), ("dense2", "d2"), ("cond_a", "ca"), ("cond_b", "cb")):
        out[name] = np.ascontiguousarray(w[f"{layer}.weight"].T).astype(np.float16)
        out[f"{name}_bias"] = w[f"{layer}.bias"]
    return out


def averaged(state: dict) -> Weights:
    """Return the moving average of a checkpoint's weights; pruned weights are zero in it, too."""
    weights = {k: v.float().numpy() for k, v in state["average"]["values"].items()}
    for name, mask in state["masks"].items():
        weights[name] = weights[name] * mask.numpy()
    return weights


def save(path: Path, arrays: dict[str, NDArray]) -> None:
    """Write a compressed file that is complete or absent."""
    part = path.with_suffix(".part.npz")
    np.savez_compressed(part, **dict(sorted(arrays.items())))  # type: ignore[arg-type]
    os.replace(part, path)


def last_losses(log: Path) -> dict[str, float]:
    """Return the losses in nats per sample and millions of samples seen, from the last line of the log."""
    with log.open(newline="", encoding="utf-8") as file:
        row = list(csv.DictReader(file))[-1]
    return rounded({name: float(row[name]) for name in ("loss", "valid_nats", "million_samples")})


def card(name: str, state: dict, losses: dict[str, float], density: dict[str, float], quality: dict[str, float],
         note: str) -> dict:
    """Return the model card."""
    args = state["args"]
    command = f"python -m models.training.train_vocoder --minutes {args['minutes']:g} --hidden {args['hidden']}"
    if args["init"] is not None:
        command += f" --init {Path(args['init']).name} --rate {args['rate']:g}"
    sparse = [f"{value:g}" for value in (*args["density"], *args["sparse"])]
    command += f" --density {' '.join(sparse[:3])} --density-b {args['density_b']:g} --sparse {' '.join(sparse[3:])}"
    return {
        "id": f"lpcnet-{name}", "title": f"LPCNet vocoder, {args['hidden']} + {args['hidden_b']} units, int8",
        "licence": "BSD-2-Clause", "data": SPEECH_DATA, "command": command, "seed": args["seed"],
        "steps": state["step"], "seconds": round(state["seconds"]), "losses": losses,
        "density": density, "quality": quality, **({"note": note} if note else {}),
        "files": {f"vocoder_{name}.npz": "kernel weights", f"vocoder_{name}_master.npz": "master weights (float16)"},
    }


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--run", type=Path, default=Path("runs/vocoder"))
    p.add_argument("--out", type=Path, default=Path("models/dredge_models/weights"))
    p.add_argument("--name", default="standard")
    p.add_argument("--quality", nargs="*", default=[], metavar="KEY=VALUE", help="measured figures for the card")
    p.add_argument("--note", default="", help="what the command alone does not say")
    args = p.parse_args(argv)
    state = torch.load(args.run / "checkpoint.pt", weights_only=False, map_location="cpu")
    weights = averaged(state)
    arrays = exported(weights)
    checked(arrays)
    save(args.out / f"vocoder_{args.name}.npz", arrays)
    master = {k: v.astype(np.float16) for k, v in weights.items()}
    save(args.out / f"vocoder_{args.name}_master.npz", master)
    density = {name: round(len(arrays[f"{name}_blocks"]) * 32 / weights[matrix].size, 3)
               for name, matrix in (("recur_a", "wh"), ("input_b", "wbi"))}
    quality = {k: float(v) for k, v in (pair.split("=", 1) for pair in args.quality)}
    write_card(args.out, card(args.name, state, last_losses(args.run / "log.csv"), density, quality, args.note))
    print(f"vocoder_{args.name}: step {state['step']}, {state['seconds']:.0f} s, density {density}")


if __name__ == "__main__":
    main()
