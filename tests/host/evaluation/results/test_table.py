# SPDX-License-Identifier: BSD-2-Clause
"""Records to rows: means, intervals over recordings, groups, text and CSV."""

import csv

import numpy as np
import pytest

from dredge_host.evaluation.results import strata as strata_table
from dredge_host.evaluation.results.csvfile import flat, write_csv
from dredge_host.evaluation.results.strata import by_loss_rate, by_stratum
from dredge_host.evaluation.results.table import head, markdown, summarise, table_rows

METHODS = ("clean", "opus", "dred")
MEANS = {"clean": 4.0, "opus": 2.0, "dred": 3.5}


def record(method, clip, plcmos, errors=0, words=10, stratum="short", loss_pct=20.0):
    return {
        "method": method, "clip": str(clip), "stratum": stratum, "loss_pct": loss_pct, "trace_loss_pct": loss_pct,
        "bitrate_total_bps": 50000.0, "bitrate_bps": {"speech": 24000.0, "dred": 26000.0}, "plcmos": plcmos,
        "cpu_us_per_packet": {"send": 100.0, "receive": 200.0},
        "seams": {"clicks": 1, "seams": 4}, "word_errors": errors, "words": words,
    }  # fmt: skip


def three_clips():
    return [
        record(name, clip, score + 0.1 * clip, errors)
        for clip in range(3)
        for name, score, errors in (("clean", 4.0, 0), ("opus", 2.0, 5), ("dred", 3.5, 1))
    ]


def test_the_table():
    summary = summarise(three_clips(), METHODS)
    assert summary[2]["text"] == "DRED 1 s" and summary[2]["seams"] == 12 and summary[2]["clicks"] == 3
    titles = head(summary)
    metrics = ["PLCMOS", "gap won back", "word errors"]
    assert titles == ["method", *metrics, "kb/s", "CPU µs send", "receive", "loss", "cells"]
    rows = table_rows(summary)
    assert rows[2] == ["dred", "3.60 ± 0.10", "75 ± 0 %", "10.0 ± 0.0 %", "50.0", "100", "200", "20.0 %", "3"]
    assert rows[0][2] == "–"
    lines = markdown(summary).splitlines()
    assert len(lines) == 5 and all(line.count("|") == len(titles) + 1 for line in lines)


def test_metrics_that_were_not_measured_have_no_column():
    bare = [{k: v for k, v in r.items() if k not in ("plcmos", "words", "word_errors")} for r in three_clips()]
    summary = summarise(bare, METHODS)
    assert head(summary) == ["method", "kb/s", "CPU µs send", "receive", "loss", "cells"]
    assert "wer" not in summary[0] and len(table_rows(summary)[0]) == 6


def test_cells_of_a_recording_move_together():
    """Ten equal cells are worth one; ten recordings are worth more."""
    rng = np.random.default_rng(3)
    scores = rng.normal(3.0, 0.5, 4)
    once = [record("opus", f"f{k}", score) for k, score in enumerate(scores)]
    often = [record("opus", f"f{k}@{n}", score) for k, score in enumerate(scores) for n in range(10)]
    assert summarise(often, ["opus"])[0]["plcmos"] == summarise(once, ["opus"])[0]["plcmos"]
    apart = [record("opus", f"g{k}", score) for k, score in enumerate(np.repeat(scores, 10))]
    (wide,), (narrow,) = summarise(often, ["opus"]), summarise(apart, ["opus"])
    assert (wide["clips"], wide["cells"]) == (40, 40)
    width = [row["plcmos"]["high"] - row["plcmos"]["low"] for row in (wide, narrow)]
    assert width[1] < 0.6 * width[0]


def test_a_recording_with_more_cells_counts_more():
    records = [record("opus", "a", 2.0), *[record("opus", f"b@{k}", 4.0) for k in range(3)]]
    assert summarise(records, ["opus"])[0]["plcmos"]["mean"] == 3.5


def test_errors_of_recovered_frames_are_weighted_by_frames():
    records = [
        record("dred", "a", 3.0) | {"cepstral_distance_db": 2.0, "pitch_error_pct": 1.0, "recovered_frames": 30},
        record("dred", "b", 3.0) | {"cepstral_distance_db": 6.0, "recovered_frames": 10},
        record("dred", "c", 3.0) | {"recovered_frames": 0},
    ]
    (row,) = summarise(records, ["dred"])
    assert row["cepstral_distance_db"]["mean"] == 3.0 and row["pitch_error_pct"]["mean"] == 1.0


def test_words_pool_over_the_clips_that_were_recognised():
    silent = record("opus", "c", 3.0)
    del silent["words"], silent["word_errors"]
    records = [record("opus", "a", 3.0, errors=1, words=10), record("opus", "b", 3.0, errors=8, words=20), silent]
    (row,) = summarise(records, ["opus"])
    assert row["wer"]["mean"] == 0.3 and row["words"] == 30
    assert "wer" not in summarise([record("opus", "a", 3.0, words=0)], ["opus"])[0]


def groups():
    return [
        record(name, clip, score + (stratum == "long"), stratum=stratum, loss_pct=rate)
        for clip, (stratum, rate) in enumerate((("short", 9.9), ("short", 10.0), ("long", 30.0), ("long", 100.0)))
        for name, score in (("clean", 4.0), ("opus", 2.0), ("dred", 3.0 + 0.5 * (stratum == "long")))
    ]


def test_strata_have_their_own_clips_and_shares():
    strata = by_stratum(groups(), METHODS)
    assert list(strata) == ["short", "long"]
    assert strata["short"][2]["gap_won_back"]["mean"] == pytest.approx(0.5)
    assert strata["long"][2]["gap_won_back"]["mean"] == pytest.approx(0.75)
    lines = strata_table.table_rows(strata)
    assert lines[0] == ["0 to 120 ms", "2", "PLCMOS", "4.00 ± 0.00", "2.00 ± 0.00", "3.00 ± 0.00"]
    assert lines[3] == ["", "", "won back", "–", "–", "75 ± 0 %"]
    assert all(len(line) == len(strata_table.head("longest burst", METHODS)) for line in lines)


def test_loss_rates_have_their_limits():
    rates = by_loss_rate(groups(), METHODS)
    cells = {name: rows[0]["cells"] for name, rows in rates.items()}
    assert cells == {"0 to 10 %": 1, "10 to 20 %": 1, "30 to 100 %": 2}
    assert strata_table.table_rows(rates)[0][0] == "0 to 10 %"


def test_groups_without_scores_have_no_table():
    bare = [{k: v for k, v in record("opus", 0, 2.0).items() if k != "plcmos"}]
    assert strata_table.table_rows(by_stratum(bare, ["opus"])) == []


def test_csv_has_one_line_per_cell(tmp_path):
    path = tmp_path / "cells.csv"
    first, second = record("opus", "a, b", 2.0), record("dred", "c", 3.0)
    del second["plcmos"]
    write_csv(path, [first, second])
    with path.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text))
    assert rows[0]["clip"] == "a, b" and rows[0]["bitrate_bps.dred"] == "26000.0" and rows[0]["seams.seams"] == "4"
    assert rows[1]["plcmos"] == "" and list(rows[0]) == list(flat(first))
