# SPDX-License-Identifier: BSD-2-Clause
"""The training loop of all trainers: checkpoints, log, progress bar, stop on a signal, resume."""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from models.training.progress import (
    CHECKPOINT_SECONDS,
    Bar,
    Budget,
    CsvLog,
    load_checkpoint,
    save_atomic,
    stop_on_signal,
)


class Trainer(Protocol):
    """The methods of a trainer that the loop calls."""

    budget: Budget

    def step(self) -> dict[str, float]:
        """Do one update (it counts itself in the budget); return figures whose means go into the log. `loss` is shown
        in the bar.
        """

    def validate(self) -> dict[str, float]:
        """Return more figures for the log, from held-out data."""

    def state(self) -> dict[str, Any]:
        """Return everything a checkpoint must hold, without step and seconds."""

    def restore(self, state: dict[str, Any]) -> None:
        """Restore a result of `state`, so that training continues exactly from there."""


@dataclass
class Loop:
    """The files of a run, and its interval of validation."""

    title: str
    out: Path
    columns: list[str]                     #: of log.csv, after step and seconds
    every: int = 250                       #: steps between two log rows
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    @property
    def path(self) -> Path:
        """The path of the checkpoint."""
        return self.out / "checkpoint.pt"

    def resume(self, trainer: Trainer) -> bool:
        """Continue from the run's checkpoint if there is one; RuntimeError if it cannot be read."""
        state = load_checkpoint(self.path)
        if state is None:
            return False
        trainer.restore(state)
        trainer.budget.step, trainer.budget.spent = state["step"], state["seconds"]
        return True

    def run(self, trainer: Trainer) -> dict[str, float]:
        """Train until the budget is used or a signal asks to stop, and save either way; the last validation."""
        budget, bar = trainer.budget, Bar(self.title)
        log = CsvLog(self.out / "log.csv", ["step", "seconds", *self.columns])
        figures: list[dict[str, float]] = []
        result: dict[str, float] = {}
        saved = budget.seconds()
        with stop_on_signal() as stop:
            while not budget.done() and not stop:
                figures.append(trainer.step())
                bar.show(budget.fraction(), f"step {budget.step} loss {figures[-1]['loss']:.3f}")
                if budget.step % self.every == 0 or budget.done():
                    result = trainer.validate()
                    log.write(step=budget.step, seconds=round(budget.seconds()), **_means(figures), **result)
                    figures = []
                if budget.seconds() - saved > self.checkpoint_seconds:
                    self._save(trainer)
                    saved = budget.seconds()
        self._save(trainer)
        log.close()
        bar.close()
        return result

    def _save(self, trainer: Trainer) -> None:
        budget = trainer.budget
        save_atomic(self.path, trainer.state() | {"step": budget.step, "seconds": budget.seconds()})


def _means(figures: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in figures])) for name in figures[0]}


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """Add --device, --precision, --threads and --smoke, which every trainer has."""
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto",
                        help="of the large products; auto: bfloat16 where the hardware has it")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads")
    parser.add_argument("--smoke", action="store_true", help="eight steps of a tiny network: does it all work?")


def pick_device(name: str) -> torch.device:
    """Return the device for auto (the first CUDA GPU, else the CPU), cpu or cuda. Raises RuntimeError when cuda is not
    available.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("--device cuda: this PyTorch sees no CUDA GPU; use --device cpu")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and torch.cuda.is_available()) else "cpu")


def pick_bfloat16(name: str, device: torch.device) -> bool:
    """Return whether to train in bfloat16 for auto (where the hardware multiplies it), bfloat16 or float32."""
    if name != "auto":
        return name == "bfloat16"
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
