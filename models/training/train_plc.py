# SPDX-License-Identifier: BSD-2-Clause
"""Trains the concealment predictor on simulated bursts.

`python -m models.training.train_plc --data runs/data --out runs/plc --minutes 10`
Stop it at any time (Ctrl-C or SIGTERM): it saves first, and the same command continues.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from models.training.augment import augment
from models.training.loop import Loop, add_machine_options, pick_device
from models.training.optimiser import Optimiser
from models.training.plc_net import Ahead, PlcConfig, PlcNet, plc_loss
from models.training.progress import Average, Budget
from models.training.train_rdovae import load_features

COLUMNS = ["rate", "loss", "valid_loss", "bridge_loss", "hold_loss", "straight_loss"]
FRAMES = 120
KNOWN = 0.6            # share of the bursts whose end is known


def draw_losses(rng: np.random.Generator, frames: int, batch: int) -> np.ndarray:
    """Return random bursts of 20 ms packets: float32 [frames, batch], 1 = lost; the first 100 ms arrive.

    A third are single packets, the others geometric up to 600 ms, as in traces of real calls: many short bursts, and a
    tail.
    """
    lost = np.zeros((frames, batch), np.float32)
    for b in range(batch):
        t = 10 + 2 * int(rng.integers(0, 10))
        while t < frames:
            burst = 2 * (1 if rng.random() < 0.33 else 1 + min(29, int(rng.geometric(0.2))))
            lost[t : t + burst, b] = 1
            t += burst + 2 * (1 + int(rng.geometric(0.08)))
    return lost


def look_ahead(rng: np.random.Generator, frames: np.ndarray, lost: np.ndarray, share: float = KNOWN) -> Ahead:
    """Return, for a random `share` of the bursts, the first or second row after them (as from a real decoder
    output).
    """
    count, batch = lost.shape
    anchor, distance = np.zeros_like(frames), np.zeros_like(lost)
    for b in range(batch):
        edges = np.flatnonzero(np.diff(lost[:, b], prepend=0, append=0))
        for first, end in zip(edges[::2], edges[1::2], strict=True):
            at = end + int(rng.integers(0, 2))
            if at < count and rng.random() < share:
                steps = np.arange(first - 1, end - 1)          # row t leads to row t + 1, which is lost
                anchor[steps, b], distance[steps, b] = frames[at, b], at - steps
    return Ahead(torch.from_numpy(anchor), torch.from_numpy(distance))


class Trainer:
    """The trainer and all its state in a checkpoint."""

    def __init__(self, args: argparse.Namespace, data: np.ndarray, valid: np.ndarray) -> None:
        torch.manual_seed(args.seed)
        self.data, self.valid, self.batch, self.lr, self.seed = data, valid, args.batch, args.lr, args.seed
        self.device = pick_device(args.device)
        self.budget = Budget(args.steps, args.minutes)
        self.model = PlcNet(PlcConfig(args.dense, args.gru)).to(self.device)
        self.average = Average(self.model)
        self.optimiser = Optimiser(self.model, args.lr, args.optimiser)
        self.rng = np.random.default_rng(args.seed)

    def step(self) -> dict[str, float]:
        """Do one update and return its figures."""
        starts = self.rng.integers(0, len(self.data) - FRAMES, self.batch)
        frames = np.stack([self.data[s : s + FRAMES] for s in starts], 1)
        augment(self.rng, frames)
        losses = draw_losses(self.rng, FRAMES, self.batch)
        known = look_ahead(self.rng, frames, losses)
        target, lost = torch.from_numpy(frames).to(self.device), torch.from_numpy(losses).to(self.device)
        ahead = Ahead(known.anchor.to(self.device), known.distance.to(self.device))
        loss = plc_loss(target[1:], self.model(target, lost, ahead)[1:], lost[1:])
        rate = self.budget.rate()
        self.optimiser.update(loss, rate)
        self.average.update(self.model)
        self.budget.step += 1
        return {"rate": self.lr * rate, "loss": loss.item()}

    def validate(self) -> dict[str, float]:
        """Return the losses of the averaged weights on held-out features."""
        model = PlcNet(self.model.cfg)
        model.load_state_dict(self.average.values)
        return evaluate(model, self.valid)

    def state(self) -> dict:
        """Return the state for a checkpoint."""
        return {"kind": "plc", "config": self.model.cfg.as_dict(), "seed": self.seed,
                "model": self.model.state_dict(), "average": self.average.state(),
                "optimiser": self.optimiser.state_dict(), "rng": self.rng.bit_generator.state}

    def restore(self, state: dict) -> None:
        """Restore a result of `state`, so that training continues exactly from there."""
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]


@torch.no_grad()
def evaluate(model: PlcNet, features: np.ndarray, batch: int = 128) -> dict[str, float]:
    """Return the losses on held-out data: of the network without and with the row after each gap, of repeating the last
    row, and of a straight line.
    """
    starts = np.linspace(0, len(features) - FRAMES, batch).astype(int)
    rows = np.stack([features[s : s + FRAMES] for s in starts], 1)
    losses = draw_losses(np.random.default_rng(0), FRAMES, batch)
    ahead = look_ahead(np.random.default_rng(0), rows, losses, 1.0)
    frames, lost = torch.from_numpy(rows), torch.from_numpy(losses)
    bare = PlcNet(PlcConfig(1, 1))           # its last layer is zero: holds, or goes straight to an anchor
    return {name: float(plc_loss(frames[1:], net(frames, lost, known)[1:], lost[1:]))
            for name, net, known in (("valid_loss", model, None), ("bridge_loss", model, ahead),
                                     ("hold_loss", bare, None), ("straight_loss", bare, ahead))}


def train(args: argparse.Namespace) -> dict:
    """Run until the budget is used or a signal asks to stop; return the last validation."""
    torch.set_num_threads(args.threads)
    valid = load_features(args.data / "valid.npz")
    if args.smoke:
        args.steps, args.minutes, args.batch, args.dense, args.gru = 8, None, 4, 12, 10
    trainer = Trainer(args, load_features(args.data / "train.npz"), valid)
    loop = Loop("plc", args.out, COLUMNS, args.valid_every)
    loop.resume(trainer)
    return loop.run(trainer)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("runs/data"),
                   help="folder of train.npz and valid.npz")
    p.add_argument("--out", type=Path, default=Path("runs/plc"))
    p.add_argument("--minutes", type=float)
    p.add_argument("--steps", type=int)
    p.add_argument("--batch", type=int, default=128, help="sequences of 1.2 s per step")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--seed", type=int, default=1)
    add_machine_options(p)
    p.add_argument("--optimiser", choices=["adam", "muon"], default="adam", help="muon: orthogonal steps for matrices")
    p.add_argument("--valid-every", type=int, default=100)
    p.add_argument("--dense", type=int, default=PlcConfig.dense)
    p.add_argument("--gru", type=int, default=PlcConfig.gru)
    return p


if __name__ == "__main__":
    args = parser().parse_args()
    if args.steps is None and args.minutes is None:
        args.minutes = 10.0
    print(json.dumps(train(args)))
