# SPDX-License-Identifier: BSD-2-Clause
"""The grid's bookkeeping with a simulation and judges whose answers are known."""

import json

import pytest
from evaluate_fakes import known_judges, known_send, speech_folder

from dredge_host.errors import DredgeError, InputError, UsageError
from dredge_host.evaluation.material.material import from_folder
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS
from dredge_host.evaluation.running import grid
from dredge_host.evaluation.running.cell import CellRunner


@pytest.fixture(autouse=True)
def known_parts(monkeypatch):
    monkeypatch.setattr("dredge_host.evaluation.running.cell.send", known_send)
    monkeypatch.setattr(grid, "load_judges", known_judges)


@pytest.fixture
def folder(tmp_path):
    return speech_folder(tmp_path / "test")


def evaluate(folder, plan, **options):
    return grid.run(from_folder(folder, plan), plan, **options)


def comparable(document):
    """A document without what differs from run to run."""
    shown = {key: value for key, value in document.items() if key != "timing"}
    groups = [*shown["strata"].values(), *shown["loss_rates"].values()]
    for row in [*shown["summary"], *shown["records"], *(row for rows in groups for row in rows)]:
        row.pop("cached", None)
        row.pop("cpu_us_per_packet", None)
    return shown


def test_a_whole_run(folder, capsys):
    result = evaluate(folder, Plan())
    json.dumps(result, allow_nan=False)
    assert result["schema"] == "dredge.evaluate/2"
    rows = {row["method"]: row for row in result["summary"]}
    assert tuple(rows) == DEFAULT_METHODS
    assert len(result["records"]) == 4 * 3 * len(DEFAULT_METHODS) == result["timing"]["cells"]
    assert {name: (rows[0]["clips"], rows[0]["cells"]) for name, rows in result["strata"].items()} == {
        "short": (4, 4), "medium": (4, 4), "long": (4, 4)
    }  # fmt: skip
    assert sum(rows[0]["cells"] for rows in result["loss_rates"].values()) == 12
    score = {name: row["plcmos"]["mean"] for name, row in rows.items()}
    assert score["clean"] == pytest.approx(5.0, abs=0.01)
    assert score["silence"] < score["opus"] < score["plc"] < score["dred"] < score["dred_lbrr"] < score["clean"]
    assert rows["dred"]["gap_won_back"]["mean"] == pytest.approx(0.875, abs=0.01)  # .7 of .8
    assert rows["plc"]["gap_won_back"]["mean"] == pytest.approx(0.375, abs=0.01)
    assert rows["silence"]["gap_won_back"]["mean"] == pytest.approx(-0.25, abs=0.01)
    assert "gap_won_back" not in rows["opus"] and "gap_won_back" not in rows["clean"]
    assert rows["clean"]["wer"]["mean"] == 0.0 < rows["silence"]["wer"]["mean"]
    assert rows["clean"]["estoi"]["mean"] == 1.0 > rows["opus"]["estoi"]["mean"]
    assert "cepstral_distance_db" not in rows["clean"]
    assert rows["silence"]["cepstral_distance_db"]["mean"] > rows["dred"]["cepstral_distance_db"]["mean"] > 0
    assert rows["dred"]["bitrate_bps"]["dred"] == 25000.0 and rows["plc"]["bitrate_bps"]["dred"] == 0
    assert rows["clean"]["loss_pct"] == 0.0 < rows["opus"]["loss_pct"] == rows["dred"]["loss_pct"]
    assert rows["dred"]["lag_ms_worst"] < 0.5 and "lag_recovered_ms" not in rows["clean"]
    assert rows["dred"]["lag_recovered_ms"] == pytest.approx(0.0, abs=0.5)
    assert result["plan"]["clips"] == ["ann_1.flac", "bob_1.flac", "cid_1.flac", "ann_2.flac"]
    assert "96 of 96 cells" in capsys.readouterr().err


def test_methods_of_a_clip_meet_the_same_losses(folder):
    records = evaluate(folder, Plan(methods=("opus", "plc", "dred")))["records"]
    for clip in {r["clip"] for r in records}:
        for stratum in ("short", "medium", "long"):
            cell = [r for r in records if (r["clip"], r["stratum"]) == (clip, stratum)]
            assert len(cell) == 3
            assert len({(r["trace_seed"], r["loss_pct"], r["longest_burst_ms"]) for r in cell}) == 1


def test_rotation_gives_every_clip_one_stratum_of_the_crossed_grid(folder):
    crossed = evaluate(folder, Plan(methods=("opus",)))["records"]
    rotated = evaluate(folder, Plan(methods=("opus",), crossed=False))["records"]
    assert [r["stratum"] for r in rotated] == ["short", "medium", "long", "short"]
    seeds = {(r["clip"], r["stratum"]): r["trace_seed"] for r in crossed}
    assert all(seeds[r["clip"], r["stratum"]] == r["trace_seed"] for r in rotated)


def test_a_run_without_judges_still_measures_rates_and_seams(folder):
    result = evaluate(folder, Plan(methods=("dred",), recogniser=None, scores=()))
    (row,) = result["summary"]
    assert not {"plcmos", "wer", "estoi", "gap_won_back"} & row.keys()
    assert row["seams"] > 0 and result["plcmos_noise_sd"] is None


def test_only_english_clips_are_recognised(folder):
    (folder.parent / "MANIFEST.csv").write_text(
        "file,language\ntest/ann_1.flac,en (L1 zh)\ntest/bob_1.flac,nl-BE\n", encoding="utf-8"
    )
    result = evaluate(folder, Plan(methods=("clean",), crossed=False))
    assert [r["clip"] for r in result["records"] if "words" in r] == ["ann_1.flac"]


def test_the_second_run_finds_everything_and_says_the_same(folder, tmp_path, monkeypatch):
    plan = Plan(methods=("clean", "opus", "dred"))
    first = evaluate(folder, plan, cache=tmp_path / "cells")
    monkeypatch.setattr(CellRunner, "measure", lambda *_: pytest.fail("a finished cell was computed again"))
    second = evaluate(folder, plan, cache=tmp_path / "cells")
    assert second["timing"]["cells_cached"] == 36 and all(r["cached"] for r in second["records"])
    assert first["timing"]["cells_cached"] == 0 and second["timing"]["by_part_s"] == {}
    assert comparable(second) == comparable(first)


def test_only_new_cells_are_computed(folder, tmp_path):
    evaluate(folder, Plan(methods=("opus",)), cache=tmp_path / "cells")
    counted = []
    more = evaluate(folder, Plan(methods=("opus", "plc")), cache=tmp_path / "cells", on_cell=lambda: counted.append(1))
    assert len(counted) == 12 and {r["method"] for r in more["records"] if not r["cached"]} == {"plc"}
    other = evaluate(folder, Plan(methods=("opus",), seed=2), cache=tmp_path / "cells")
    assert other["timing"]["cells_cached"] == 0


def test_a_failing_cell_is_named_and_the_others_are_kept(folder, tmp_path, monkeypatch):
    def failing(pcm, method, trace, bitrate):
        if method == "plc" and trace.stratum == "long" and pcm[-1] == 1:
            raise ValueError("no such\n thing")
        return known_send(pcm, method, trace, bitrate)

    plan = Plan(methods=("opus", "plc", "dred"))
    monkeypatch.setattr("dredge_host.evaluation.running.cell.send", failing)
    with pytest.raises(DredgeError) as caught:
        evaluate(folder, plan, cache=tmp_path / "cells")
    assert str(caught.value) == (
        "clip ann_2.flac, long losses, method plc: ValueError: no such thing; "
        "35 of 36 cells are done and kept, the same command goes on from there"
    )
    monkeypatch.setattr("dredge_host.evaluation.running.cell.send", known_send)
    assert evaluate(folder, plan, cache=tmp_path / "cells")["timing"]["cells_cached"] == 35


def test_when_every_cell_fails_it_does_not_try_them_all(folder, monkeypatch):
    tried = []

    def broken(pcm, method, trace, bitrate):
        tried.append(method)
        raise InputError("broken")

    monkeypatch.setattr("dredge_host.evaluation.running.cell.send", broken)
    with pytest.raises(DredgeError, match=r"^clip ann_1.flac, short losses, method clean: broken; .*0 of 96 cells are"):
        evaluate(folder, Plan())
    assert len(tried) == grid.MOST_FAILURES


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"methods": ("magic",)}, "method 'magic' is unknown; expected one of clean, silence, opus"),
        ({"methods": ()}, "no method"),
        ({"recogniser": "ear"}, "recogniser is 'ear', expected one of pocketsphinx"),
        ({"clips": -1}, "clips is -1"),
        ({"bitrate": 1}, "bitrate is 1 b/s"),
    ],
)
def test_impossible_plans(values, message):
    with pytest.raises(UsageError, match=message):
        Plan(**values)


def test_a_plan_has_every_method_once_and_in_order():
    assert Plan(methods=("dred", "opus", "dred")).methods == ("opus", "dred")
