# SPDX-License-Identifier: BSD-2-Clause
"""Budgets, checkpoints, logs and the progress bar of the trainers."""

import io
import signal
from itertools import pairwise

import pytest
from training_cases import torch

from models.training.progress import (
    Average,
    Bar,
    Budget,
    CsvLog,
    load_checkpoint,
    save_atomic,
    stop_on_signal,
)


def test_steps_budget_rises_holds_and_falls():
    budget = Budget(steps=1000, warmup=100)
    rates = []
    for _ in range(1000):
        rates.append(budget.rate())
        budget.step += 1
    assert budget.done()
    assert rates[0] == pytest.approx(0.01) and rates[150] == 1.0 and rates[-1] < 0.03
    falling = rates[260:]
    assert all(a >= b for a, b in pairwise(falling))


def test_a_larger_budget_takes_up_the_higher_rate():
    short, long = Budget(steps=100, step=90, warmup=1), Budget(steps=1000, step=90, warmup=1)
    assert long.rate() == 1.0 > short.rate()


def test_minutes_count_earlier_runs():
    assert Budget(minutes=10, spent=601).done()
    assert not Budget(minutes=10, spent=300).done()
    assert 0.5 <= Budget(minutes=10, spent=300).fraction() < 0.6


@pytest.mark.parametrize("bad", [{}, {"steps": 1, "minutes": 1.0}])
def test_exactly_one_budget_is_needed(bad):
    with pytest.raises(ValueError, match="give either steps or minutes"):
        Budget(**bad)


def test_checkpoints_round_trip_and_leave_no_parts(tmp_path):
    path = tmp_path / "deep" / "checkpoint.pt"
    assert load_checkpoint(path) is None
    save_atomic(path, {"a": torch.arange(3), "b": 2})
    loaded = load_checkpoint(path)
    assert loaded is not None and loaded["b"] == 2 and loaded["a"].tolist() == [0, 1, 2]
    assert [p.name for p in path.parent.iterdir()] == ["checkpoint.pt"]


def test_a_failed_save_keeps_the_old_checkpoint(tmp_path):
    path = tmp_path / "checkpoint.pt"
    save_atomic(path, {"step": 1})
    with pytest.raises(Exception, match="pickle"):
        save_atomic(path, {"step": lambda: None})
    loaded = load_checkpoint(path)
    assert loaded is not None and loaded["step"] == 1


def test_a_damaged_checkpoint_is_one_sentence(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(b"half")
    with pytest.raises(RuntimeError, match=r"not a readable checkpoint .*; delete it to start over"):
        load_checkpoint(path)


def test_log_appends_without_a_second_header(tmp_path):
    path = tmp_path / "log.csv"
    for step in (1, 2):
        log = CsvLog(path, ["step", "loss"])
        log.write(step=step, loss=1 / 3)
        log.close()
    assert path.read_text().splitlines() == ["step,loss", "1,0.333333", "2,0.333333"]


def test_log_refuses_unknown_columns(tmp_path):
    log = CsvLog(tmp_path / "log.csv", ["step"])
    with pytest.raises(ValueError, match="not in fieldnames"):
        log.write(step=1, other=2)
    log.close()


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def test_bar_draws_on_terminals_only():
    live, quiet = Terminal(), io.StringIO()
    for stream in (live, quiet):
        bar = Bar("x", stream)
        bar.show(0.5, "half")
        bar.close()
    assert quiet.getvalue() == ""
    assert "[############............]  50.0% half" in live.getvalue()
    assert live.getvalue().endswith("\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_asks_second_interrupts(number):
    before = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop
        signal.raise_signal(number)
        assert stop
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert signal.getsignal(number) is before


def test_average_follows_and_smooths():
    model = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.zeros_(model.weight)
    average = Average(model, decay=0.9)
    with torch.no_grad():
        for i in range(200):
            model.weight.fill_(1.0 if i % 2 else 0.0)
            average.update(model)
    assert 0.4 < average.values["weight"].item() < 0.6
    other = Average(torch.nn.Linear(1, 1, bias=False))
    other.restore(average.state())
    assert other.values["weight"].item() == average.values["weight"].item()
