# SPDX-License-Identifier: BSD-2-Clause
"""The common parts of all trainers: a budget, checkpoints, a log and a progress bar."""

import contextlib
import csv
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import torch

CHECKPOINT_SECONDS = 240.0


@dataclass
class Budget:
    """The length of the training in steps or minutes, counted over all resumed runs together.

    The learning rate rises over `warmup` steps, stays, and falls along a cosine over the last part;
    a resumed run with a larger budget returns to the higher rate.
    """

    steps: int | None = None
    minutes: float | None = None
    warmup: int = 100
    hold: float = 0.25
    floor: float = 0.02
    step: int = 0
    spent: float = 0.0                      # seconds in earlier runs
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either steps or minutes")

    def seconds(self) -> float:
        """Return the seconds of training so far, earlier runs included."""
        return self.spent + time.monotonic() - self.started

    def fraction(self) -> float:
        """Return the share of the budget used, 0 … 1."""
        if self.steps is not None:
            return min(1.0, self.step / max(1, self.steps))
        return min(1.0, self.seconds() / (60 * max(1e-6, self.minutes or 0)))

    def done(self) -> bool:
        """Return whether the budget is used up."""
        return self.fraction() >= 1.0

    def rate(self) -> float:
        """Return the factor for the learning rate at this step, `floor` … 1."""
        rising = min(1.0, (self.step + 1) / self.warmup)
        late = max(0.0, (self.fraction() - self.hold) / (1 - self.hold))
        return rising * max(self.floor, 0.5 * (1 + math.cos(math.pi * late)))


def save_atomic(path: Path, content: dict[str, Any]) -> None:
    """Save with torch.save through a temporary file, so that a kill never leaves half a checkpoint."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(content, part)
    os.replace(part, path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """Return the checkpoint, None where there is none. Raises RuntimeError when it cannot be read."""
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location="cpu", weights_only=False)
    except Exception as error:
        raise RuntimeError(f"{path}: not a readable checkpoint ({error}); delete it to start over"
                           ) from error


class CsvLog:
    """Appends rows; the header is written once, when the file is new."""

    def __init__(self, path: Path, fields: list[str]) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._file: TextIO = path.open("a", newline="")
        self._rows = csv.DictWriter(self._file, fields, extrasaction="raise")
        if new:
            self._rows.writeheader()

    def write(self, **row: float | int | str) -> None:
        """Write one row and flush it; floats have six significant digits."""
        self._rows.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Bar:
    """A progress line on a terminal, nothing elsewhere; always on stderr."""

    def __init__(self, title: str, stream: TextIO | None = None) -> None:
        self._title = title
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()

    def show(self, fraction: float, text: str) -> None:
        """Redraw the line."""
        if self._live:
            full = int(24 * fraction)
            bar = "#" * full + "." * (24 - full)
            self._stream.write(f"\r{self._title} [{bar}] {100 * fraction:5.1f}% {text}\033[K")
            self._stream.flush()

    def close(self) -> None:
        """End the line."""
        if self._live:
            self._stream.write("\n")


class StopRequest:
    """A request to stop, set by SIGINT or SIGTERM: the loop ends after its step and saves."""

    def __init__(self) -> None:
        self.set = False

    def __bool__(self) -> bool:
        return self.set


@contextlib.contextmanager
def stop_on_signal() -> Iterator[StopRequest]:
    """Turn the first Ctrl-C or SIGTERM into a request; a second Ctrl-C interrupts at once."""
    request = StopRequest()

    def ask(number: int, frame: object) -> None:
        if request.set:
            raise KeyboardInterrupt
        request.set = True

    previous = {s: signal.signal(s, ask) for s in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield request
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


class Average:
    """Exponential moving average of a model's parameters: smoother than the last step."""

    def __init__(self, model: torch.nn.Module, decay: float = 0.998) -> None:
        self._decay = decay
        self._count = 0
        self.values = {k: v.detach().clone() for k, v in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Take in the present parameters; young averages forget faster."""
        self._count += 1
        keep = min(self._decay, self._count / (self._count + 20))
        now = model.state_dict()
        names = list(self.values)
        torch._foreach_lerp_([self.values[n] for n in names], [now[n] for n in names], 1 - keep)

    def state(self) -> dict[str, Any]:
        """Return the state for a checkpoint."""
        return {"values": self.values, "count": self._count}

    def restore(self, state: dict[str, Any]) -> None:
        """Take the state from a checkpoint."""
        self.values = {k: v.to(self.values[k].device) for k, v in state["values"].items()}
        self._count = state["count"]
