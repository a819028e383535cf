# SPDX-License-Identifier: BSD-2-Clause
"""Trains the RDO-VAE: features -> latents and back, for 16 quantiser levels at once.

`python -m models.training.train_rdovae --data runs/data --out runs/rdovae --minutes 60`
Stop it at any time (Ctrl-C or SIGTERM): it saves first, and the same command continues.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from models.training.augment import augment
from models.training.loop import Loop, add_machine_options, pick_bfloat16, pick_device
from models.training.optimiser import Optimiser
from models.training.pairs import Pairs, load_pairs
from models.training.progress import Average, Budget
from models.training.rdovae_eval import evaluate, sequences
from models.training.rdovae_grow import with_more_latents, with_more_state
from models.training.rdovae_loss import (
    LAMBDA_MAX,
    LAMBDA_MIN,
    Chunks,
    chunk_loss,
    draw_chunks,
    draw_schedules,
    lambdas,
    level_schedule,
)
from models.training.rdovae_net import RdoVae, RdoVaeConfig

# (encoder steps, latents per chunk): mostly whole packets, some short ones; 20 ms per step.
SHAPES = ((106, 26), (106, 26), (106, 25), (106, 13), (90, 7), (212, 26))
SOFT_STEPS = 1000  # steps over which the rate term grows to its full weight
SOFT_STATE_STEPS = 2500
TINY = RdoVaeConfig(latent=6, state=8, enc_dense=16, enc_gru=16, enc_conv=8, enc_dilations=(1, 2), dec_dense=16,
                    dec_gru=16, dec_conv=8, dec_stages=2, hidden=12)
COLUMNS = ["rate", "loss", "distortion", "latent_bits", "state_bits", "valid_distortion", "payload_bytes",
           "bits_q0", "bits_q6", "bits_q15", "dist_q0", "dist_q15", "db_short", "db_medium", "db_long", "kept"]


class Trainer:
    """Model, optimiser, random state and average: everything a checkpoint holds."""

    def __init__(self, args: argparse.Namespace, data: np.ndarray, valid: np.ndarray, config: RdoVaeConfig,
                 pairs: list[Pairs] | None = None) -> None:
        torch.manual_seed(args.seed)
        self.pairs, self.share, self.state_from = pairs or [], args.pairs, 0
        self.data, self.valid, self.batch, self.lr, self.seed = data, valid, args.batch, args.lr, args.seed
        self.device = pick_device(args.device)
        self.budget = Budget(args.steps, args.minutes)
        self.model = RdoVae(config).to(self.device)
        self.model.reduce(pick_bfloat16(args.precision, self.device))
        self.average = Average(self.model)
        self.optimiser = Optimiser(self.model, args.lr, args.optimiser)
        self.rng = np.random.default_rng(args.seed)
        self.noise = torch.Generator().manual_seed(args.seed)
        self.lam_range = (args.lambda_min, args.lambda_max)
        self.lam = lambdas(*self.lam_range).to(self.device)

    def draw(self, steps: int, batch: int) -> tuple[Tensor, Tensor]:
        """Return random sequences, float32 [2 steps, batch, 20]: the wanted output, and the encoder's
        input.

        Where there are pairs (models.training.pairs), a share of the batch are of them.
        """
        length = 2 * steps
        mixed = round(self.share * batch) if self.pairs else 0
        starts = self.rng.integers(0, len(self.data) - length, batch - mixed)
        clean = [self.data[s : s + length] for s in starts]
        frames = np.stack(clean, 1)
        augment(self.rng, frames)
        wanted, heard = [frames], [frames]
        if mixed:
            chosen = [self.pairs[self.rng.integers(len(self.pairs))] for _ in range(mixed)]
            places = [(p, int(self.rng.integers(0, len(p.clean) - length))) for p in chosen]
            wanted.append(np.stack([p.clean[s : s + length] for p, s in places], 1).astype(np.float32))
            heard.append(np.stack([p.heard[s : s + length] for p, s in places], 1).astype(np.float32))
        both = [torch.from_numpy(np.concatenate(parts, 1)).to(self.device) for parts in (wanted, heard)]
        return both[0], both[1]

    def step(self) -> dict[str, float]:
        """Do one update and return its figures."""
        steps, length = SHAPES[self.rng.integers(len(SHAPES))]
        batch = max(2, self.batch * 106 // steps)
        frames, heard = self.draw(steps, batch)
        chunks = draw_chunks(self.rng, steps, batch, length)
        count = batch * chunks.steps.shape[2]
        levels = torch.from_numpy(level_schedule(*draw_schedules(self.rng, count), length)).to(self.device)
        hard = torch.from_numpy(self.rng.random(count) < 0.5).to(self.device)
        # Without a soft start the rate term drives latents and state to zero before they carry information.
        soft_start = (min(1.0, 0.1 + self.budget.step / SOFT_STEPS),
                      min(1.0, 0.1 + (self.budget.step - self.state_from) / SOFT_STATE_STEPS))
        loss = chunk_loss(self.model, frames, heard, Chunks(chunks.steps.to(self.device), chunks.batch.to(self.device)),
                          levels, hard, self.noise, self.lam, soft_start)
        self.optimiser.update(loss.total, self.budget.rate())
        self.average.update(self.model)
        self.budget.step += 1
        return {"rate": self.lr * self.budget.rate(), "loss": loss.total.item(), "distortion": loss.distortion.item(),
                "latent_bits": loss.latent_bits.item(), "state_bits": loss.state_bits.item()}

    def validate(self) -> dict[str, float]:
        """Measure the averaged weights on the held-out features."""
        model = RdoVae(self.model.cfg)
        model.load_state_dict(self.average.values)
        return evaluate(model, self.valid)

    def state(self) -> dict:
        """Return the state for a checkpoint."""
        return {
            "kind": "rdovae", "config": self.model.cfg.as_dict(), "seed": self.seed,
            "model": self.model.state_dict(), "average": self.average.state(),
            "optimiser": self.optimiser.state_dict(), "rng": self.rng.bit_generator.state,
            "noise": self.noise.get_state(), "lam": self.lam_range, "state_from": self.state_from,
        }

    def restore(self, state: dict) -> None:
        """Restore a result of `state`, so that training continues exactly from there."""
        self.model.load_state_dict(state["model"])
        self.average.restore(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.rng.bit_generator.state = state["rng"]
        self.noise.set_state(state["noise"])
        self.state_from = state["state_from"]

    def start_from(self, path: Path) -> None:
        """Start from exported weights, with further latents and state values if need be; the soft start of the latents'
        rate is skipped, that of the state's as well unless the state is larger now."""
        start, wanted = load_start(path), self.model.cfg
        self.budget.step = SOFT_STEPS
        self.state_from = SOFT_STEPS if start.cfg.state < wanted.state else SOFT_STEPS - SOFT_STATE_STEPS
        if start.cfg.state < wanted.state:
            start = with_more_state(start, wanted.state, sequences(self.data, count=128))
        if start.cfg.latent < wanted.latent:
            start = with_more_latents(start, wanted.latent, sequences(self.data, count=128))
        self.model.load_state_dict(start.state_dict())
        self.average = Average(self.model)


def load_features(path: Path) -> np.ndarray:
    """Return the array `f` float32 [n, 20] of a data file. Raises RuntimeError with a sentence if it is unusable."""
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
    """Return the network in an exported rdovae_training.npz, in evaluation mode; its sizes are stored with it."""
    with np.load(path) as file:
        model = RdoVae(RdoVaeConfig(**json.loads(str(file["config"]))))
        model.load_state_dict({k: torch.from_numpy(file[k].astype(np.float32)) for k in file.files if k != "config"})
    return model.eval()


def wanted_config(args: argparse.Namespace) -> RdoVaeConfig:
    """Return the layer sizes: those of --init (an exported network has lost its unused latents), else the defaults,
    with what --config changes.
    """
    sizes = load_start(args.init).cfg if args.init else RdoVaeConfig()
    return replace(sizes, **json.loads(args.config)) if args.config else sizes


def train(args: argparse.Namespace) -> dict:
    """Run until the budget is used or a signal asks to stop; return the last validation."""
    torch.set_num_threads(args.threads)
    valid = load_features(args.data / "valid.npz")
    config = wanted_config(args)
    if args.smoke:
        args.steps, args.minutes, args.batch, config = 8, None, 4, TINY
    trainer = Trainer(args, load_features(args.data / "train.npz"), valid, config, load_pairs(args.data))
    loop = Loop("rdovae", args.out, COLUMNS, args.valid_every)
    if not loop.resume(trainer) and args.init is not None:
        trainer.start_from(args.init)
    return loop.run(trainer)


def options(description: str) -> argparse.ArgumentParser:
    """Return a parser with what the trainers of an RDO-VAE have in common."""
    p = argparse.ArgumentParser(description=description)
    p.add_argument("--data", type=Path, default=Path("runs/data"),
                   help="folder of train.npz, valid.npz and pairs_*.npz")
    p.add_argument("--out", type=Path, default=Path("runs/rdovae"))
    p.add_argument("--init", type=Path,
                   help="exported rdovae_training.npz to start from when there is no checkpoint")
    p.add_argument("--minutes", type=float)
    p.add_argument("--steps", type=int)
    p.add_argument("--batch", type=int, default=64, help="sequences of 2.1 s per step")
    p.add_argument("--lr", type=float, default=2.5e-3)
    p.add_argument("--pairs", type=float, default=0.1, help="share of the sequences that are disturbed pairs")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--valid-every", type=int, default=250)
    p.add_argument("--lambda-min", type=float, default=LAMBDA_MIN)
    p.add_argument("--lambda-max", type=float, default=LAMBDA_MAX)
    add_machine_options(p)
    p.add_argument("--optimiser", choices=["adam", "muon"], default="muon", help="muon: orthogonal steps for matrices")
    return p


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = options((__doc__ or "").split(":")[0])
    p.add_argument("--config", help="layer sizes as JSON that differ from those of --init or the defaults")
    return p


if __name__ == "__main__":
    args = parser().parse_args()
    if args.steps is None and args.minutes is None:
        args.minutes = 60.0
    print(json.dumps(train(args)))
