# SPDX-License-Identifier: BSD-2-Clause
"""Trains the LPCNet vocoder on a CPU; resumes from its last checkpoint.

`python -m models.training.train_vocoder --data runs/data --out runs/vocoder --minutes 120`
Stop it at any time (Ctrl-C or SIGTERM): the checkpoint is written first. Run it again with a later `--minutes`
to go on; the learning rate follows a cosine over the whole budget.
"""

from __future__ import annotations

import argparse
import math
import os
import signal
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .vocoder_data import Corpus, Streams
from .vocoder_net import VocoderNet

SAVE_SECONDS = 120.0


def block_mask(w: Tensor, density: tuple[float, float, float]) -> Tensor:
    """Keeps the strongest 4 x 8 (inputs x outputs) blocks of w [H, 3H] in each gate r, z, n."""
    h = w.shape[0]
    masks = []
    for gate, keep in zip(w.split(h, 1), density, strict=True):
        blocks = gate.reshape(h // 4, 4, h // 8, 8)
        energy = blocks.square().sum((1, 3))
        n = max(1, round(keep * energy.numel()))
        limit = energy.flatten().kthvalue(energy.numel() - n + 1).values
        mask = (energy >= limit).float()[:, None, :, None].expand_as(blocks)
        masks.append(mask.reshape(h, h))
    return torch.cat(masks, 1)


class Trainer:
    """Network, optimiser, data streams and the checkpoint that holds all of it."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        torch.manual_seed(args.seed)
        self.net = VocoderNet(args.hidden, args.hidden_b)
        self.optimiser = torch.optim.Adam(self.net.parameters(), args.rate, betas=(0.9, 0.99), eps=1e-8, foreach=True)
        self.streams = Streams(Corpus(args.data / "train.npz"), args.batch, args.frames, args.seed, args.noise)
        self.valid = Streams(Corpus(args.data / "valid.npz"), 32, 100, 7, noise=0.0)
        self.valid_batch = self.valid.next()
        self.ha, self.hb = torch.zeros(args.batch, args.hidden), torch.zeros(args.batch, args.hidden_b)
        self.mask: Tensor | None = None
        self.step, self.spent, self.best = 0, 0.0, math.inf
        self.stop = False
        if self.path.exists():
            self.resume()

    @property
    def path(self) -> Path:
        return self.args.out / "checkpoint.pt"

    def resume(self) -> None:
        state = torch.load(self.path, weights_only=False)
        self.net.load_state_dict(state["net"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.spent, self.mask = state["step"], state["spent"], state["mask"]
        self.streams.rng.bit_generator.state = state["rng"]

    def save(self) -> None:
        """Complete or not at all."""
        state: dict[str, Any] = {
            "net": self.net.state_dict(), "optimiser": self.optimiser.state_dict(), "step": self.step,
            "spent": self.spent, "mask": self.mask, "rng": self.streams.rng.bit_generator.state,
            "config": {"hidden": self.args.hidden, "hidden_b": self.args.hidden_b}, "args": vars(self.args),
        }
        part = self.path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, self.path)

    def rate(self) -> float:
        done = min(1.0, self.spent / (60 * self.args.minutes))
        cosine = 0.5 * (1 + math.cos(math.pi * max(0.0, (done - 0.2) / 0.8)))
        return float(self.args.rate * min(1.0, (self.step + 1) / 100) * max(0.02, cosine))

    def sparsify(self) -> None:
        """From 15 % to 45 % of the budget the density falls from 1 to its goal (cubic); then the mask stays."""
        done = self.spent / (60 * self.args.minutes)
        if done < 0.15:
            return
        progress = min(1.0, (done - 0.15) / 0.3)
        if progress < 1.0 and self.step % 50 == 0:
            goal = self.args.density
            density = tuple(g + (1 - g) * (1 - progress) ** 3 for g in goal)
            self.mask = block_mask(self.net.wh.detach(), density)  # type: ignore[arg-type]
        if self.mask is not None:
            with torch.no_grad():
                self.net.wh.mul_(self.mask)

    def train_step(self) -> float:
        batch = self.streams.next()
        keep = (~batch.fresh).float()[:, None]
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad(set_to_none=True)
        loss, self.ha, self.hb = self.net(batch.idx, batch.target, batch.features, self.ha * keep, self.hb * keep)
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        self.optimiser.step()
        self.sparsify()
        self.step += 1
        return float(loss.detach())

    @torch.no_grad()
    def validate(self) -> float:
        b = self.valid_batch
        for p in self.net.parameters():
            p.requires_grad_(False)
        zero = torch.zeros(32, self.args.hidden), torch.zeros(32, self.args.hidden_b)
        loss, _, _ = self.net(b.idx, b.target, b.features, *zero)
        for p in self.net.parameters():
            p.requires_grad_(True)
        return float(loss)

    def log(self, losses: list[float]) -> None:
        samples = self.step * self.args.batch * self.args.frames * 160 / 1e6
        density = float(self.mask.mean()) if self.mask is not None else 1.0
        mean = sum(losses) / len(losses)
        line = f"{self.step},{self.spent:.0f},{samples:.1f},{mean:.4f},{self.validate():.4f},"
        line += f"{self.rate():.6f},{density:.3f}"
        with (self.args.out / "log.csv").open("a") as log:
            log.write(line + "\n")
        print(f"\rstep,seconds,Msamples,train,valid,rate,density: {line}   ", end="", flush=True)

    def run(self) -> None:
        """Trains until the budget is spent or a signal asks to stop."""
        for s in (signal.SIGINT, signal.SIGTERM):
            signal.signal(s, lambda *_: setattr(self, "stop", True))
        losses: list[float] = []
        before = last = time.monotonic()
        while not self.stop and self.spent < 60 * self.args.minutes and self.step < self.args.steps:
            losses.append(self.train_step())
            now = time.monotonic()
            self.spent += now - before
            before = now
            if now - last > self.args.log_seconds:
                self.log(losses)
                self.save()
                losses, last = [], now
        if losses:
            self.log(losses)
        self.save()
        print()


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--data", type=Path, default=Path("runs/data"))
    p.add_argument("--out", type=Path, default=Path("runs/vocoder"))
    p.add_argument("--minutes", type=float, default=120)
    p.add_argument("--steps", type=int, default=10**9)
    p.add_argument("--hidden", type=int, default=192)
    p.add_argument("--hidden-b", type=int, default=32)
    p.add_argument("--batch", type=int, default=32)
    p.add_argument("--frames", type=int, default=8, help="frames of 10 ms per chunk")
    p.add_argument("--rate", type=float, default=1.5e-3)
    p.add_argument("--noise", type=float, default=3.0)
    p.add_argument("--density", type=float, nargs=3, default=(0.25, 0.25, 0.5), help="of the gates r z n")
    p.add_argument("--log-seconds", type=float, default=SAVE_SECONDS)
    p.add_argument("--seed", type=int, default=1)
    return p.parse_args(argv)


def main() -> None:
    args = parse()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    Trainer(args).run()


if __name__ == "__main__":
    main()
