# SPDX-License-Identifier: BSD-2-Clause
"""Trains the concealment predictor on simulated bursts.

`python -m models.training.train_plc --data runs/data --out runs/plc --minutes 10`
Stop it at any time (Ctrl-C or SIGTERM): it saves first, and the same command goes on from there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from models.training.augment import augment
from models.training.plc_net import PlcConfig, PlcNet, plc_loss
from models.training.progress import (
    CHECKPOINT_SECONDS,
    Average,
    Bar,
    Budget,
    CsvLog,
    load_checkpoint,
    save_atomic,
    stop_on_signal,
)
from models.training.train_rdovae import load_features

LOG = ["step", "seconds", "rate", "loss", "valid_loss", "hold_loss"]
FRAMES = 120


def draw_losses(rng: np.random.Generator, frames: int, batch: int) -> np.ndarray:
    """Bursts of 20 ms packets: float32 [frames, batch], 1 = lost; the first 100 ms arrive."""
    lost = np.zeros((frames, batch), np.float32)
    for b in range(batch):
        t = 10 + 2 * int(rng.integers(0, 10))
        while t < frames:
            burst = 2 * (1 + min(14, int(rng.geometric(0.3))))
            lost[t : t + burst, b] = 1
            t += burst + 2 * (1 + int(rng.geometric(0.08)))
    return lost


class Trainer:
    """Everything a checkpoint holds."""

    def __init__(self, data: np.ndarray, batch: int, seed: int, lr: float,
                 config: PlcConfig) -> None:
        torch.manual_seed(seed)
        self.data, self.batch, self.lr, self.seed = data, batch, lr, seed
        self.model = PlcNet(config)
        self.average = Average(self.model)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr, foreach=True)
        self.rng = np.random.default_rng(seed)

    def step(self, budget: Budget) -> float:
        """One update; returns the loss."""
        starts = self.rng.integers(0, len(self.data) - FRAMES, self.batch)
        frames = np.stack([self.data[s : s + FRAMES] for s in starts], 1)
        augment(self.rng, frames)
        lost = torch.from_numpy(draw_losses(self.rng, FRAMES, self.batch))
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr * budget.rate()
        self.optimiser.zero_grad(set_to_none=True)
        target = torch.from_numpy(frames)
        loss = plc_loss(target[1:], self.model(target, lost)[1:], lost[1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.model)
        budget.step += 1
        return loss.item()

    def state(self, budget: Budget) -> dict:
        """The checkpoint."""
        return {"kind": "plc", "config": self.model.cfg.as_dict(), "seed": self.seed,
                "model": self.model.state_dict(), "average": self.average.state(),
                "optimiser": self.optimiser.state_dict(), "rng": self.rng.bit_generator.state,
                "step": budget.step, "seconds": budget.seconds()}

    def restore(self, state: dict, budget: Budget) -> None:
        """Continues exactly where `state` was saved."""
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]
        budget.step, budget.spent = state["step"], state["seconds"]


@torch.no_grad()
def evaluate(model: PlcNet, features: np.ndarray, batch: int = 128) -> dict[str, float]:
    """Held-out loss of the network, and of holding the last received frame for comparison."""
    starts = np.linspace(0, len(features) - FRAMES, batch).astype(int)
    frames = torch.from_numpy(np.stack([features[s : s + FRAMES] for s in starts], 1))
    lost = torch.from_numpy(draw_losses(np.random.default_rng(0), FRAMES, batch))
    held = frames.clone()
    for t in range(1, FRAMES):
        held[t] = torch.where(lost[t - 1][:, None] > 0, held[t - 1], frames[t - 1])
    return {"valid_loss": float(plc_loss(frames[1:], model(frames, lost)[1:], lost[1:])),
            "hold_loss": float(plc_loss(frames[1:], held[1:], lost[1:]))}


def train(args: argparse.Namespace) -> dict:
    """Runs until the budget is used or a signal asks to stop; returns the last validation."""
    torch.set_num_threads(args.threads)
    valid = load_features(args.data / "valid.npz")
    trainer = Trainer(load_features(args.data / "train.npz"), args.batch, args.seed, args.lr,
                      PlcConfig(args.dense, args.gru))
    budget = Budget(args.steps, args.minutes)
    path = args.out / "checkpoint.pt"
    if (state := load_checkpoint(path)) is not None:
        trainer.restore(state, budget)
    log, bar, sums, saved = CsvLog(args.out / "log.csv", LOG), Bar("plc"), [], budget.seconds()
    result: dict = {}
    with stop_on_signal() as stop:
        while not budget.done() and not stop:
            sums.append(trainer.step(budget))
            bar.show(budget.fraction(), f"step {budget.step} loss {sums[-1]:.3f}")
            if budget.step % args.valid_every == 0 or budget.done():
                model = PlcNet(trainer.model.cfg)
                model.load_state_dict(trainer.average.values)
                result = evaluate(model, valid)
                log.write(step=budget.step, seconds=round(budget.seconds()),
                          rate=args.lr * budget.rate(), loss=float(np.mean(sums)), **result)
                sums = []
            if budget.seconds() - saved > CHECKPOINT_SECONDS:
                save_atomic(path, trainer.state(budget))
                saved = budget.seconds()
    save_atomic(path, trainer.state(budget))
    log.close()
    bar.close()
    return result


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    p.add_argument("--data", type=Path, default=Path("runs/data"),
                   help="folder of train.npz and valid.npz")
    p.add_argument("--out", type=Path, default=Path("runs/plc"))
    p.add_argument("--minutes", type=float)
    p.add_argument("--steps", type=int)
    p.add_argument("--batch", type=int, default=128, help="sequences of 1.2 s per step")
    p.add_argument("--lr", type=float, default=2e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--valid-every", type=int, default=100)
    p.add_argument("--dense", type=int, default=PlcConfig.dense)
    p.add_argument("--gru", type=int, default=PlcConfig.gru)
    return p


if __name__ == "__main__":
    args = parser().parse_args()
    if args.steps is None and args.minutes is None:
        args.minutes = 10.0
    print(json.dumps(train(args)))
