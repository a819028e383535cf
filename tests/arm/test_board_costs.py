# SPDX-License-Identifier: BSD-2-Clause
"""From counted instructions to milliseconds of the whole receive path per board."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "cycles"))

import board_costs as boards
import predict
from virtual_pi.table import BURSTS

CORE = {"instructions": 8e6, "cycles_low": 10e6, "cycles_high": 16e6}


def kind(*each, vocoder=0, interpreter=0, compiled=0):
    by = {"lpcnet": vocoder, "interpreter": interpreter, "libopus": compiled}
    return {"periods": len(each), "mean": sum(each) / len(each), "by": by, "each": list(each)}


CLASSES = {
    "dred_plain": kind(*[800_000] * 95, interpreter=400_000, compiled=400_000),
    "dred_first": kind(20e6, 22e6, vocoder=16e6, interpreter=5e6),
    "dred_next": kind(*[8e6] * 2, vocoder=8e6),
    "dred_after": kind(4e6, vocoder=4e6),
    "second_first": kind(30e6, vocoder=30e6),
}


def test_every_part_has_its_own_instructions_per_cycle():
    vocoder = boards.vocoder_rate(CORE)
    assert vocoder == (0.5, 0.8)
    low, high = boards.cycles({"lpcnet": 8, "interpreter": 8, "NumPy": 8, "libopus": 6.6}, "Cortex-A53", vocoder)
    assert (low, high) == (pytest.approx(10 + 10 + 10 + 6), pytest.approx(16 + 20 + 20 + 11))


def test_a_board_of_twice_the_clock_takes_half_the_time():
    one, two = (boards.row(CLASSES, "Cortex-A53", ghz, (0.5, 0.8)) for ghz in (1.0, 2.0))
    assert one["next"] == (pytest.approx(10.0), pytest.approx(16.0))
    assert two["next"] == (pytest.approx(5.0), pytest.approx(8.0))
    assert two["speed"][0] == pytest.approx(2 * one["speed"][0], rel=0.01)


def test_the_dearest_of_a_hundred_periods_is_seen_in_p99_and_hardly_in_the_mean():
    made = boards.row(CLASSES, "Cortex-A53", 1.0, (0.5, 0.8))
    assert made["plain"][1] < made["mean"][1] < made["next"][1] < made["p99"][1] < 22e6 / 0.4 / 1e6
    assert made["speed"][0] < made["speed"][1]


def test_the_share_is_that_of_the_next_slower_virtual_board_with_the_same_code():
    row = {"code": "one", "model": "small", "loss": BURSTS, "playout": "fixed:1000", "job": "replay", "late_periods": 0,
           "cpu_pct": 30.0}  # fmt: skip
    rows = [{**row, "mips": 350, "share": 98.0}, {**row, "mips": 500, "share": 100.0},
            {**row, "mips": 450, "share": 1.0, "code": "two"}]  # fmt: skip
    assert boards.recovered(rows, "one", "small", 499)["share"] == 98.0
    assert boards.recovered(rows, "one", "small", 700)["mips"] == 500
    assert boards.recovered(rows, "one", "small", 300) is None
    assert boards.recovered(rows, "one", "standard", 700) is None


def test_a_table_has_a_row_per_board_and_model_and_says_what_was_not_run(tmp_path, capsys, monkeypatch):
    files = []
    for cpu in ("cortex-a53", "cortex-a76"):
        files.append(tmp_path / cpu)
        files[-1].write_text(json.dumps({"cpu": cpu, "code": "one", "models": {"small": CLASSES}}))
    monkeypatch.setattr(predict, "predict", lambda arrays, folder: dict.fromkeys(predict.CORES, CORE))
    boards.main(["--count", *map(str, files), "--rows", str(tmp_path / "none")])
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2 + len(predict.BOARDS) and all("not run" in line for line in said[2:])
    assert said[2].startswith("| Pi Zero 2 W, 1 GHz | `small` | ") and "10–16" in said[2]
