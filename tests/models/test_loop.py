# SPDX-License-Identifier: BSD-2-Clause
"""The loop around every trainer: what it saves, logs and takes up again."""

import csv
import signal

import pytest
from training_cases import torch

from models.training.loop import Loop, pick_bfloat16, pick_device
from models.training.progress import Budget, load_checkpoint


class Counter:
    """A trainer that counts, and asks to be stopped at one step."""

    def __init__(self, steps, stop_at=None):
        self.budget = Budget(steps=steps)
        self.total, self.stop_at = 0.0, stop_at

    def step(self):
        self.total += self.budget.step
        self.budget.step += 1
        if self.budget.step == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return {"loss": self.total}

    def validate(self):
        return {"valid": self.total / 2}

    def state(self):
        return {"total": self.total}

    def restore(self, state):
        self.total = state["total"]


def loop(folder, **more):
    return Loop("count", folder, ["loss", "valid"], every=2, **more)


def rows(folder):
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_run_logs_means_and_returns_the_last_validation(tmp_path):
    assert loop(tmp_path).run(Counter(5)) == {"valid": 5.0}
    assert [row["step"] for row in rows(tmp_path)] == ["2", "4", "5"]
    assert [float(row["loss"]) for row in rows(tmp_path)] == [0.5, 4.5, 10.0]
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == 5 and state["total"] == 10 and state["seconds"] >= 0


def test_a_signal_saves_and_the_next_run_goes_on(tmp_path):
    assert loop(tmp_path).run(Counter(9, stop_at=3)) == {"valid": 0.5}
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 3
    again = Counter(9)
    assert loop(tmp_path).resume(again)
    assert again.budget.step == 3 and again.total == 3 and again.budget.spent >= 0
    assert loop(tmp_path).run(again) == {"valid": 18.0}


def test_nothing_to_resume(tmp_path):
    fresh = Counter(3)
    assert not loop(tmp_path).resume(fresh) and fresh.budget.step == 0


def test_checkpoints_are_written_on_the_way(tmp_path):
    seen = []

    class Watching(Counter):
        def step(self):
            seen.append((tmp_path / "checkpoint.pt").exists())
            return super().step()

    loop(tmp_path, checkpoint_seconds=-1.0).run(Watching(3))
    assert seen == [False, True, True]


def test_an_error_in_a_step_is_not_hidden(tmp_path):
    class Broken(Counter):
        def step(self):
            raise FloatingPointError("NaN")

    with pytest.raises(FloatingPointError):
        loop(tmp_path).run(Broken(3))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_devices():
    assert pick_device("cpu").type == "cpu"
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_cuda_without_a_gpu_is_one_sentence():
    with pytest.raises(RuntimeError, match="sees no CUDA GPU; use --device cpu"):
        pick_device("cuda")


def test_precision():
    cpu = torch.device("cpu")
    assert pick_bfloat16("bfloat16", cpu) and not pick_bfloat16("float32", cpu)
    assert pick_bfloat16("auto", cpu) == bool(torch.cpu.get_capabilities().get("avx512_bf16"))
