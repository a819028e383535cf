# SPDX-License-Identifier: BSD-2-Clause
"""Trains the decoder of a finished RDO-VAE alone: what is sent does not change, only what receivers make of it.

`python -m models.training.train_rdovae_decoder --data runs/data --out runs/decoder --init WEIGHTS --minutes 20`
Encoder and quantiser stay as they are, and the decoder learns from rounded values alone. With --adversarial, small
discriminators look at the band levels as well. Stop it at any time: the same command continues.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from models.training.discriminators import Discriminators, deceive_loss, images, judge_loss, matching_loss
from models.training.export_rdovae import load_model
from models.training.loop import Loop
from models.training.optimiser import Optimiser
from models.training.pairs import Pairs, load_pairs
from models.training.progress import Average, load_checkpoint
from models.training.rdovae_ages import age_weights, growing
from models.training.rdovae_eval import SHIPPED, code, readable_errors, run, sequences, used
from models.training.rdovae_loss import (
    BANDS,
    LEVEL_STEPS,
    Chunks,
    distortion,
    draw_chunks,
    draw_schedules,
    gather_targets,
    level_schedule,
)
from models.training.rdovae_net import RdoVae, RdoVaeConfig
from models.training.train_rdovae import SHAPES, TINY, Trainer, load_features, load_start, options

JUDGE_LR = 5e-4
LEARN_STEPS = 150         # steps in which the discriminators learn before the decoder listens to them
SOFT_STEPS = 300          # steps over which it then listens more and more
COLUMNS = ["rate", "loss", "distortion", "judge", "deceive", "matching",
           "valid_distortion", "db_short", "db_medium", "db_long", "kept", "pitch_semitones"]


class DecoderTrainer(Trainer):
    """Trains the decoder, and discriminators beside it where they count."""

    def __init__(self, args: argparse.Namespace, data: np.ndarray, valid: np.ndarray, config: RdoVaeConfig,
                 pairs: list[Pairs] | None = None) -> None:
        super().__init__(args, data, valid, config, pairs)
        self.optimiser = Optimiser(self.model.decoder, args.lr, args.optimiser)
        self.strength = args.adversarial
        self.full_from_ms = args.adversarial_from
        self.judges = Discriminators().to(self.device)
        self.judging = torch.optim.Adam(self.judges.parameters(), JUDGE_LR, betas=(0.5, 0.9))

    def step(self) -> dict[str, float]:
        """Do one update and return its figures."""
        steps, length = SHAPES[self.rng.integers(len(SHAPES))]
        batch = max(2, self.batch * 106 // steps)
        frames, heard = self.draw(steps, batch)
        chunks = draw_chunks(self.rng, steps, batch, length)
        q0, slope = draw_used_schedules(self.rng, batch * chunks.steps.shape[2])
        levels = torch.from_numpy(level_schedule(q0, slope, length)).to(self.device)
        chunks = Chunks(chunks.steps.to(self.device), chunks.batch.to(self.device))
        coded = code(self.model, heard, chunks, levels)
        out = self.model.decoder(coded.z, levels, coded.s)
        wanted, loud = gather_targets(frames, chunks)
        rows = out.detach().requires_grad_()
        error = (distortion(wanted, rows) * loud).mean(-1)
        weight = age_weights(length).to(error)[:, None]
        total = (weight * error / self.lam.sqrt()[levels]).sum(0).mean() / weight.sum()
        slopes, = torch.autograd.grad(total, rows)
        figures = {"judge": 0.0, "deceive": 0.0, "matching": 0.0}
        if self.strength > 0:
            figures, pull = self._judge(wanted, rows, levels)
            strength = self._ramp() * growing(length, self.full_from_ms).to(pull)
            slopes = slopes + strength[:, None, None, None] * matched(pull, slopes)
        self.optimiser.update((out * slopes).sum(), self.budget.rate())
        self.average.update(self.model)
        self.budget.step += 1
        return figures | {"rate": self.lr * self.budget.rate(), "loss": total.item(), "distortion": error.mean().item()}

    def _ramp(self) -> float:
        """Return the weight of the adversarial gradient at this step."""
        return self.strength * min(1.0, max(0.0, (self.budget.step - LEARN_STEPS) / SOFT_STEPS))

    def _judge(self, wanted: Tensor, rows: Tensor, levels: Tensor) -> tuple[dict[str, float], Tensor]:
        """Train the discriminators on this batch; return figures and the gradient by `rows` of the decoder's losses.

        Both sides learn from the same verdicts, those of before the update.
        """
        true, decoded = images(wanted, rows, levels)
        seen_true, seen = self.judges(true), self.judges(decoded)
        judge = judge_loss(seen_true, seen)
        deceive, matching = deceive_loss(seen), matching_loss(seen_true, seen)
        pull, = torch.autograd.grad(deceive + matching, rows, retain_graph=True)
        self.judging.zero_grad(set_to_none=True)
        judge.backward(inputs=list(self.judges.parameters()))
        self.judging.step()
        return {"judge": judge.item(), "deceive": deceive.item(), "matching": matching.item()}, pull

    def validate(self) -> dict[str, float]:
        """Measure the averaged weights on the held-out features, at the shipped schedule."""
        model = RdoVae(self.model.cfg)
        model.load_state_dict(self.average.values)
        model.eval()
        got = run(model, sequences(self.valid), *SHIPPED)
        pitch = readable_errors(got["wanted"], got["out"], got["weight"])["pitch_semitones"]
        return {"valid_distortion": float(got["error"].mean()), **used(got), "pitch_semitones": pitch}

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return super().state() | {"kind": "rdovae decoder", "judges": self.judges.state_dict(),
                                  "judging": self.judging.state_dict(), "adversarial": self.strength,
                                  "adversarial_from": self.full_from_ms}

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`, so that training continues exactly from there. Raises ValueError when the
        checkpoint is of another kind of training.
        """
        if "judges" not in state:
            raise ValueError("checkpoint: of train_rdovae; give it to --init and choose another --out")
        super().restore(state)
        self.judges.load_state_dict(state["judges"])
        self.judging.load_state_dict(state["judging"])

    def start_from(self, path: Path) -> None:
        """Start from the weights of a finished network."""
        self.model.load_state_dict(load_network(path).state_dict())
        self.average = Average(self.model)


def load_network(path: Path) -> RdoVae:
    """Return the network of an exported rdovae_training.npz, or the averaged one of a checkpoint.pt of train_rdovae.

    Raises RuntimeError when there is no such file.
    """
    if path.suffix != ".pt":
        return load_start(path)
    checkpoint = load_checkpoint(path)
    if checkpoint is None:
        raise RuntimeError(f"{path}: no checkpoint; give that of a run of train_rdovae")
    return load_model(checkpoint)


def draw_used_schedules(rng: np.random.Generator, chunks: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a random (q0, step) per chunk: half the shipped one, three eighths its neighbourhood, an eighth any."""
    q0, slope = draw_schedules(rng, chunks)
    kind = rng.random(chunks)
    near = kind < 0.875
    q0 = np.where(near, rng.integers(1, 6, chunks), q0)
    slope = np.where(near, rng.choice(LEVEL_STEPS[6:], chunks), slope)
    return np.where(kind < 0.5, SHIPPED[0], q0), np.where(kind < 0.5, SHIPPED[1], slope)


def matched(pull: Tensor, slopes: Tensor) -> Tensor:
    """Return the gradient `pull` scaled, at every age, to the norm of the cepstral part of `slopes`; both
    [K, n, 4, 20].
    """
    size = slopes[..., :BANDS].square().sum((1, 2, 3), keepdim=True).sqrt()
    return pull * size / (pull.square().sum((1, 2, 3), keepdim=True).sqrt() + 1e-12)


def train(args: argparse.Namespace) -> dict[str, float]:
    """Run until the budget is used or a signal asks to stop; return the last validation."""
    torch.set_num_threads(args.threads)
    valid = load_features(args.data / "valid.npz")
    if args.smoke:
        args.steps, args.minutes, args.batch = 8, None, 4
    config = load_network(args.init).cfg if args.init else TINY
    trainer = DecoderTrainer(args, load_features(args.data / "train.npz"), valid, config, load_pairs(args.data))
    loop = Loop("decoder", args.out, COLUMNS, args.valid_every)
    if not loop.resume(trainer) and args.init is not None:
        trainer.start_from(args.init)
    return loop.run(trainer)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    p = options((__doc__ or "").split(":")[0])
    p.add_argument("--adversarial", type=float, default=0.0,
                   help="norm of the discriminators' gradient relative to that of the distortion; 0: none")
    p.add_argument("--adversarial-from", type=float, default=0.0, metavar="MS",
                   help="age of a latent from which they count in full, those of up to half of it not at all; 0: all")
    p.set_defaults(out=Path("runs/decoder"), batch=16, lr=1e-3)
    return p


if __name__ == "__main__":
    arguments = parser()
    given = arguments.parse_args()
    if given.init is None and not given.smoke:
        arguments.error("--init is missing: rdovae_training.npz or a checkpoint.pt of train_rdovae")
    if given.steps is None and given.minutes is None:
        given.minutes = 20.0
    print(json.dumps(train(given)))
