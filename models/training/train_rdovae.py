# SPDX-License-Identifier: BSD-2-Clause
"""Trains the RDO-VAE: features -> latents and back, for 16 quantiser levels at once.

`python -m models.training.train_rdovae --data runs/data --out runs/rdovae --minutes 60`
Stop it at any time (Ctrl-C or SIGTERM): it saves first, and the same command goes on from there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from models.training.augment import augment
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
from models.training.rdovae_eval import evaluate
from models.training.rdovae_loss import (
    LAMBDA_MAX,
    LAMBDA_MIN,
    chunk_loss,
    draw_chunks,
    draw_schedules,
    lambdas,
    level_schedule,
)
from models.training.rdovae_net import RdoVae, RdoVaeConfig

# (encoder steps, latents per chunk): mostly whole packets, some short ones; 20 ms per step.
SHAPES = ((106, 26), (106, 26), (106, 25), (106, 13), (90, 7), (212, 26))
SOFT_STEPS = 1000  # over which the rate term grows to its weight
LOG = ["step", "seconds", "rate", "loss", "distortion", "latent_bits", "state_bits",
       "valid_distortion", "payload_bytes", "bits_q0", "bits_q6", "bits_q15", "dist_q0", "dist_q15"]


class Trainer:
    """Model, optimiser, random state and average: everything a checkpoint holds."""

    def __init__(self, data: np.ndarray, batch: int, seed: int, lr: float,
                 lam: tuple[float, float], config: RdoVaeConfig) -> None:
        torch.manual_seed(seed)
        self.data, self.batch, self.lr, self.seed = data, batch, lr, seed
        self.model = RdoVae(config)
        self.average = Average(self.model)
        self.optimiser = torch.optim.Adam(self.model.parameters(), lr, betas=(0.8, 0.98),
                                          foreach=True)
        self.rng = np.random.default_rng(seed)
        self.noise = torch.Generator().manual_seed(seed)
        self.lam_range = lam
        self.lam = lambdas(*lam)

    def draw(self, steps: int, batch: int) -> torch.Tensor:
        """Random augmented sequences, float32 [2 steps, batch, 20]."""
        length = 2 * steps
        starts = self.rng.integers(0, len(self.data) - length, batch)
        frames = np.stack([self.data[s : s + length] for s in starts], 1)
        augment(self.rng, frames)
        return torch.from_numpy(frames)

    def step(self, budget: Budget):
        """One update; returns the Loss."""
        steps, length = SHAPES[self.rng.integers(len(SHAPES))]
        batch = max(2, self.batch * 106 // steps)
        frames = self.draw(steps, batch)
        chunks = draw_chunks(self.rng, steps, batch, length)
        count = batch * chunks.steps.shape[2]
        levels = torch.from_numpy(level_schedule(*draw_schedules(self.rng, count), length))
        hard = torch.from_numpy(self.rng.random(count) < 0.5)
        for group in self.optimiser.param_groups:
            group["lr"] = self.lr * budget.rate()
        # Without a soft start the rate term empties the latents before they carry anything.
        soft_start = min(1.0, 0.1 + budget.step / SOFT_STEPS)
        self.optimiser.zero_grad(set_to_none=True)
        loss = chunk_loss(self.model, frames, chunks, levels, hard, self.noise, self.lam,
                          soft_start)
        loss.total.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
        self.optimiser.step()
        self.average.update(self.model)
        budget.step += 1
        return loss

    def state(self, budget: Budget) -> dict:
        """The checkpoint."""
        return {
            "kind": "rdovae", "config": self.model.cfg.as_dict(), "seed": self.seed,
            "model": self.model.state_dict(),
            "average": self.average.state(), "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state, "noise": self.noise.get_state(),
            "lam": self.lam_range, "step": budget.step, "seconds": budget.seconds(),
        }

    def start_from(self, path: Path, budget: Budget) -> None:
        """Takes exported float16 weights; the soft start of the rate lies behind them."""
        with np.load(path) as file:
            self.model.load_state_dict({k: torch.from_numpy(file[k].astype(np.float32)) for k in file.files})
        self.average = Average(self.model)
        budget.step = SOFT_STEPS

    def restore(self, state: dict, budget: Budget) -> None:
        """Continues exactly where `state` was saved."""
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]
        self.noise.set_state(state["noise"])
        budget.step, budget.spent = state["step"], state["seconds"]


def load_features(path: Path) -> np.ndarray:
    """Array `f` float32 [n, 20] of a data file; RuntimeError with a clear sentence if unusable."""
    try:
        with np.load(path) as file:
            features = np.ascontiguousarray(file["f"], np.float32)
    except (OSError, KeyError, ValueError) as error:
        raise RuntimeError(f"{path}: no feature file ({error}); "
                           "run models.training.data") from error
    if features.ndim != 2 or features.shape[1] != 20 or len(features) < 1000:
        raise RuntimeError(f"{path}: expected at least 1000 x 20 features, got {features.shape}")
    return features


def load_start(path: Path) -> RdoVae:
    """The network in an exported rdovae_training.npz; layer sizes are read off the arrays."""
    with np.load(path) as file:
        arrays = {k: torch.from_numpy(file[k].astype(np.float32)) for k in file.files}
    model = RdoVae(RdoVaeConfig())
    model.load_state_dict(arrays)
    return model.eval()


def train(args: argparse.Namespace) -> dict:
    """Runs until the budget is used or a signal asks to stop; returns the last validation."""
    torch.set_num_threads(args.threads)
    valid = load_features(args.data / "valid.npz")
    config = RdoVaeConfig(**json.loads(args.config)) if args.config else RdoVaeConfig()
    trainer = Trainer(load_features(args.data / "train.npz"), args.batch, args.seed, args.lr,
                      (args.lambda_min, args.lambda_max), config)
    budget = Budget(args.steps, args.minutes)
    path = args.out / "checkpoint.pt"
    if (state := load_checkpoint(path)) is not None:
        trainer.restore(state, budget)
    elif args.init is not None:
        trainer.start_from(args.init, budget)
    log, bar, sums, saved = CsvLog(args.out / "log.csv", LOG), Bar("rdovae"), [], budget.seconds()
    result: dict = {}
    with stop_on_signal() as stop:
        while not budget.done() and not stop:
            loss = trainer.step(budget)
            sums.append([loss.total.item(), loss.distortion.item(), loss.latent_bits.item(),
                         loss.state_bits.item()])
            bar.show(budget.fraction(), f"step {budget.step} loss {sums[-1][0]:.3f}")
            if budget.step % args.valid_every == 0 or budget.done():
                result = validate(trainer, valid, budget, np.mean(sums, 0), log)
                sums = []
            if budget.seconds() - saved > CHECKPOINT_SECONDS:
                save_atomic(path, trainer.state(budget))
                saved = budget.seconds()
    save_atomic(path, trainer.state(budget))
    log.close()
    bar.close()
    return result


def validate(trainer: Trainer, valid: np.ndarray, budget: Budget, mean: np.ndarray,
             log: CsvLog) -> dict:
    """Measures the averaged weights on the held-out features and writes the log row."""
    model = RdoVae(trainer.model.cfg)
    model.load_state_dict(trainer.average.values)
    row = evaluate(model, valid)
    log.write(step=budget.step, seconds=round(budget.seconds()), rate=trainer.lr * budget.rate(),
              loss=float(mean[0]), distortion=float(mean[1]), latent_bits=float(mean[2]),
              state_bits=float(mean[3]), **row)
    return row


def parser() -> argparse.ArgumentParser:
    """The command line."""
    p = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    p.add_argument("--data", type=Path, default=Path("runs/data"),
                   help="folder of train.npz and valid.npz")
    p.add_argument("--out", type=Path, default=Path("runs/rdovae"))
    p.add_argument("--init", type=Path,
                   help="exported rdovae_training.npz to start from when there is no checkpoint")
    p.add_argument("--minutes", type=float)
    p.add_argument("--steps", type=int)
    p.add_argument("--batch", type=int, default=64, help="sequences of 2.1 s per step")
    p.add_argument("--lr", type=float, default=2.5e-3)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--valid-every", type=int, default=250)
    p.add_argument("--lambda-min", type=float, default=LAMBDA_MIN)
    p.add_argument("--lambda-max", type=float, default=LAMBDA_MAX)
    p.add_argument("--config", help="layer sizes as JSON, for experiments and tests")
    return p


if __name__ == "__main__":
    args = parser().parse_args()
    if args.steps is None and args.minutes is None:
        args.minutes = 60.0
    print(json.dumps(train(args)))
