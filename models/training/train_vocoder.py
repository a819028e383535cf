# SPDX-License-Identifier: BSD-2-Clause
"""Trains the LPCNet vocoder on a CPU or one CUDA GPU; resumes from its last checkpoint.

`python -m models.training.train_vocoder --data runs/data --out runs/vocoder --minutes 600`
Stop it at any time (Ctrl-C or SIGTERM): the checkpoint is written first. Run it again with a later `--minutes`
to continue; the learning rate follows a cosine over the whole budget.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.training.loop import Loop, pick_device
from models.training.progress import Average, Budget
from models.training.vocoder_data import Corpus, Streams
from models.training.vocoder_net import HOP, VocoderNet

# loss: nats per sample in training
COLUMNS = ["loss", "million_samples", "valid_nats", "rate", "density_wh", "density_wbi"]
DECAY = 0.999  # of the moving average of the weights, per step


def shrunk(weights: dict[str, Tensor], hidden: int) -> dict[str, Tensor]:
    """Return the network with the `hidden` units of GRU A that GRU B weighs most, otherwise unchanged. Raises
    ValueError.
    """
    old = len(weights["bn"])
    if hidden > old:
        raise ValueError(f"--init: expected a network of at least {hidden} units, got {old}; train without --init")
    keep = weights["wbi"].square().sum(1).topk(hidden).indices.sort().values
    gates = torch.cat([keep, keep + old, keep + 2 * old])
    columns = {name: weights[name][..., gates] for name in ("wx", "wh")}
    rows = {name: weights[name][keep] for name in ("bn", "wbi")}
    rows |= {name: weights[name][gates] for name in ("ca.weight", "ca.bias")}
    return weights | columns | rows | {"wh": columns["wh"][keep]}


def block_mask(w: Tensor, density: list[float]) -> Tensor:
    """Keep the strongest 4 x 8 (inputs x outputs) blocks of w [inputs, outputs] in each of its equally wide gates."""
    masks = []
    for gate, keep in zip(w.split(w.shape[1] // len(density), 1), density, strict=True):
        blocks = gate.reshape(w.shape[0] // 4, 4, -1, 8)
        energy = blocks.square().sum((1, 3))
        n = max(1, round(keep * energy.numel()))
        limit = energy.flatten().kthvalue(energy.numel() - n + 1).values
        mask = (energy >= limit).float()[:, None, :, None].expand_as(blocks)
        masks.append(mask.reshape(gate.shape))
    return torch.cat(masks, 1)


class Sparse:
    """A matrix whose gates lose their weakest blocks until each has its wanted density; then the blocks stay."""

    def __init__(self, matrix: nn.Parameter, goal: list[float], mask: Tensor | None = None) -> None:
        """Prepare the pruning of a matrix; mask: of one that is sparse already."""
        self.matrix, self.goal, self.mask = matrix, goal, mask
        whole = torch.ones_like(matrix) if mask is None else mask
        self.start = [float(gate.mean()) for gate in whole.split(matrix.shape[1] // len(goal), 1)]

    def settled(self) -> bool:
        """Return whether nothing is left to prune."""
        if self.mask is None:
            return min(self.goal) >= 1
        return float(self.mask.mean()) < sum(self.goal) / len(self.goal) + 0.005

    @torch.no_grad()
    def prune(self, progress: float, due: bool) -> None:
        """Prune to the density of a cubic in progress, from 0 (as at the start) to 1, whenever `due`."""
        if progress > 0 and (due or progress >= 1 or self.mask is None) and not self.settled():
            left = (1 - min(1.0, progress)) ** 3
            density = [g + max(0.0, s - g) * left for s, g in zip(self.start, self.goal, strict=True)]
            self.mask = block_mask(self.matrix.detach(), density)
        if self.mask is not None:
            self.matrix.mul_(self.mask)


class Trainer:
    """Network, optimiser, data streams: everything a checkpoint holds."""

    def __init__(self, args: argparse.Namespace) -> None:
        torch.manual_seed(args.seed)
        self.args = args
        self.budget = Budget(steps=args.steps, minutes=None if args.steps else args.minutes, hold=0.2)
        self.device = pick_device(args.device)
        batch = args.batch or (32 if self.device.type == "cpu" else 512)
        self.net = VocoderNet(args.hidden, args.hidden_b).to(self.device)
        self.average = Average(self.net, decay=DECAY)
        self.optimiser = torch.optim.Adam(self.net.parameters(), args.rate, betas=(0.9, 0.99), eps=1e-8, foreach=True)
        corpus = Corpus(args.data / "train.npz", args.data / "train_decoded.npz")
        self.streams = Streams(corpus, batch, args.frames, args.seed, args.noise, decoded=args.decoded,
                               gain=tuple(args.gain))
        self.valid_batch = Streams(Corpus(args.data / "valid.npz"), 32, 100, 7, noise=0.0).next().to(self.device)
        self.ha = torch.zeros(batch, args.hidden, device=self.device)
        self.hb = torch.zeros(batch, args.hidden_b, device=self.device)
        self.sparse = self.wanted_sparse()

    def wanted_sparse(self, masks: dict[str, Tensor] | None = None) -> dict[str, Sparse]:
        """Return the matrices to prune: the recurrent one of layer A, and that from it to layer B (three gates of each
        of two samples).
        """
        goals = {"wh": list(self.args.density), "wbi": [self.args.density_b] * 6}
        return {name: Sparse(getattr(self.net, name), goal, (masks or {}).get(name)) for name, goal in goals.items()}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`; the data streams start at new places."""
        self.net.load_state_dict(state["net"])
        average = {k: v.to(self.device) for k, v in state["average"]["values"].items()}
        self.average.restore({**state["average"], "values": average})
        self.optimiser.load_state_dict(state["optimiser"])
        self.sparse = self.wanted_sparse({name: mask.to(self.device) for name, mask in state["masks"].items()})
        for name, start in state["dense_from"].items():
            self.sparse[name].start = start
        self.streams.rng.bit_generator.state = state["rng"]

    def start_from(self, master: Path) -> None:
        """Start from exported float16 weights, of a larger GRU A if necessary; sparse matrices stay sparse."""
        with np.load(master) as arrays:
            weights = {k: torch.from_numpy(arrays[k].astype(np.float32)) for k in arrays.files}
        same = len(weights["bn"]) == self.args.hidden
        self.net.load_state_dict(weights if same else shrunk(weights, self.args.hidden))
        self.average = Average(self.net, decay=DECAY)
        masks = {name: (getattr(self.net, name).detach() != 0).float() for name in self.sparse}
        self.sparse = self.wanted_sparse({n: m for n, m in masks.items() if same and float(m.mean()) < 0.99})

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {
            "net": self.net.state_dict(), "average": self.average.state(), "optimiser": self.optimiser.state_dict(),
            "masks": {name: s.mask for name, s in self.sparse.items() if s.mask is not None},
            "dense_from": {name: s.start for name, s in self.sparse.items()},
            "rng": self.streams.rng.bit_generator.state, "args": vars(self.args),
        }

    def sparsify(self) -> None:
        """Prune between the shares of the budget that --sparse names."""
        begin, end = self.args.sparse
        for matrix in self.sparse.values():
            matrix.prune((self.budget.fraction() - begin) / (end - begin), self.budget.step % 50 == 0)

    def step(self) -> dict[str, float]:
        """Do one update and return its figures."""
        batch = self.streams.next().to(self.device)
        keep = (~batch.fresh).float()[:, None]
        for group in self.optimiser.param_groups:
            group["lr"] = self.args.rate * self.budget.rate()
        self.optimiser.zero_grad(set_to_none=True)
        loss, self.ha, self.hb = self.net(batch.idx_a, batch.idx_b, batch.target, batch.features, self.ha * keep,
                                          self.hb * keep)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.sparsify()
        self.average.update(self.net)
        self.budget.step += 1
        return {"loss": float(loss.detach())}

    def validate(self) -> dict[str, float]:
        """Return the loss of the averaged weights on validation speech without noise, nats per sample."""
        b = self.valid_batch
        zero_a, zero_b = (torch.zeros(32, n, device=self.device) for n in (self.net.hidden, self.net.hidden_b))
        present = {k: v.clone() for k, v in self.net.state_dict().items()}
        self.net.load_state_dict(self.average.values)
        with torch.no_grad():
            loss, _, _ = self.net(b.idx_a, b.idx_b, b.target, b.features, zero_a, zero_b)
        self.net.load_state_dict(present)
        return {
            "million_samples": self.budget.step * self.ha.shape[0] * self.args.frames * HOP / 1e6,
            "valid_nats": float(loss), "rate": self.args.rate * self.budget.rate(),
            **{f"density_{name}": 1.0 if s.mask is None else float(s.mask.mean()) for name, s in self.sparse.items()},
        }


def run(args: argparse.Namespace) -> Trainer:
    """Train until the budget is spent or a signal asks to stop; saves either way."""
    trainer, loop = Trainer(args), Loop("vocoder", args.out, COLUMNS, args.log_steps)
    if not loop.resume(trainer) and args.init is not None:
        trainer.start_from(args.init)
    loop.run(trainer)
    return trainer


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("runs/data"))
    p.add_argument("--out", type=Path, default=Path("runs/vocoder"))
    p.add_argument("--init", type=Path, help="exported master weights (.npz), of the same size or a larger one,\n"
                                             "to start from when there is no checkpoint")
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--steps", type=int, help="instead of --minutes")
    p.add_argument("--hidden", type=int, default=192)
    p.add_argument("--hidden-b", type=int, default=32)
    p.add_argument("--batch", type=int, help="streams side by side: a multiple of 32 (default: 32, on a GPU 512)")
    p.add_argument("--frames", type=int, default=8, help="frames of 10 ms per chunk")
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--noise", type=float, default=3.0)
    p.add_argument("--decoded", type=float, default=0.0,
                   help="share of streams that see features as the RDO-VAE decodes them (models.training.decoded)")
    p.add_argument("--gain", type=float, nargs=2, default=(-14.0, 6.0), help="range of the level in dB")
    p.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    p.add_argument("--density", type=float, nargs=3, default=(0.25, 0.25, 0.5), help="of layer A's gates r z n")
    p.add_argument("--density-b", type=float, default=0.3, help="of what goes from layer A to layer B")
    p.add_argument("--sparse", type=float, nargs=2, default=(0.15, 0.45), metavar=("FROM", "UNTIL"),
                   help="shares of the budget between which the densities fall")
    p.add_argument("--log-steps", type=int, default=500, help="steps between two rows of the log")
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args(argv)


def main() -> None:
    """Run the command line."""
    args = parse()
    torch.set_num_threads(1)
    run(args)


if __name__ == "__main__":
    main()
