# SPDX-License-Identifier: BSD-2-Clause
"""The evaluation's bookkeeping with a pipeline and judges whose answers are known."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from dredge_host.errors import InputError, UsageError
from dredge_host.evaluation import grid
from dredge_host.evaluation import strata as strata_table
from dredge_host.evaluation.grid import (
    CONDITIONS,
    DEFAULT_CONDITIONS,
    Judges,
    Plan,
    choose_clips,
    evaluate_clip,
)
from dredge_host.evaluation.strata import by_stratum
from dredge_host.evaluation.table import HEAD, markdown, summarise, table_rows
from dredge_host.evaluation.traces import STRATA, draw_trace, trace_for_clip
from dredge_host.lossstats import measure_loss
from dredge_host.simulate import Simulation

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0]
SPEECH = SPEECH[16000:48000]
KEPT = {"opus": 0.2, "plc": 0.5, "dred": 0.9, "lbrr": 0.6}


def pipeline(pcm, settings, loss=None):
    """Plays lost packets at a level that depends on the condition: better means nearer to full."""
    count = -(-(len(pcm) + 104) // 320)
    lost = [bool(loss and loss.lost()) for _ in range(count)]
    kept = KEPT[settings.conceal] + (0.05 if settings.lbrr else 0.0)
    padded = np.zeros(count * 320)
    padded[104 : 104 + len(pcm)] = pcm
    for packet in np.flatnonzero(lost):
        padded[packet * 320 : (packet + 1) * 320] *= kept
    source = {"opus": "conceal"}.get(settings.conceal, settings.conceal)
    timeline = [(k, source if gone else "opus", 1000.0, 1.0) for k, gone in enumerate(lost)]
    rates = {"speech": 24000.0, "dred": 25000.0 * settings.redundancy_s}
    result = {
        "packets": count,
        "loss": measure_loss(lost).as_dict(),
        "bitrate_total_bps": sum(rates.values()),
        "bitrate_bps": rates,
        "frames": {source: sum(lost), "opus": count - sum(lost)},
        "alignment": {"opus_lookahead_samples": 104},
    }
    aligned = padded[104 : 104 + len(pcm)].round().astype(np.int16)
    return Simulation(aligned, result, lost, timeline)


def judge_level(pcm):
    """5 for full level, less the more is missing."""
    return 5.0 * float(np.abs(pcm.astype(float)).mean() / np.abs(SPEECH.astype(float)).mean())


def hear_seconds(pcm):
    """A 'word' for each half second that is loud enough."""
    pieces = pcm[: len(pcm) // 8000 * 8000].reshape(-1, 8000).astype(float)
    return [f"w{k}" for k, piece in enumerate(pieces) if np.abs(piece).mean() > 350]


@pytest.fixture(autouse=True)
def known_pipeline(monkeypatch):
    monkeypatch.setattr("dredge_host.simulate.simulate", pipeline)


@pytest.fixture
def folder(tmp_path):
    speech = tmp_path / "test"
    speech.mkdir()
    for name in ("ann_1", "ann_2", "bob_1", "cid_1"):
        soundfile.write(speech / f"{name}.flac", SPEECH, 16000)
    (speech / "notes.txt").write_text("not speech")
    return speech


def known_judges(plan):
    return Judges(judge_level if plan.quality else None, hear_seconds if plan.words else None)


def test_a_whole_run(folder, monkeypatch, capsys):
    monkeypatch.setattr(grid, "load_judges", known_judges)
    result = grid.run(folder)
    json.dumps(result, allow_nan=False)
    rows = {row["condition"]: row for row in result["summary"]}
    assert list(rows) == list(DEFAULT_CONDITIONS)
    assert len(result["records"]) == 4 * len(DEFAULT_CONDITIONS)
    assert {name: rows[0]["clips"] for name, rows in result["strata"].items()} == {"short": 2, "medium": 1, "long": 1}
    score = {name: row["plcmos"]["mean"] for name, row in rows.items()}
    assert score["clean"] == pytest.approx(5.0, abs=0.01)
    assert score["opus"] < score["plc"] < score["dred"] < score["dred_lbrr"] < score["clean"]
    assert rows["dred"]["gap_won_back"]["mean"] == pytest.approx(0.875, abs=0.01)  # .7 of .8
    assert rows["plc"]["gap_won_back"]["mean"] == pytest.approx(0.375, abs=0.01)
    assert "gap_won_back" not in rows["opus"] and "gap_won_back" not in rows["clean"]
    assert rows["clean"]["wer"]["mean"] == 0.0
    assert rows["dred"]["bitrate_bps"]["dred"] == 25000.0 and rows["plc"]["bitrate_bps"]["dred"] == 0
    assert rows["clean"]["loss_pct"] == 0.0 < rows["opus"]["loss_pct"] == rows["dred"]["loss_pct"]
    assert rows["dred"]["lag_ms_worst"] < 0.5 and "lag_recovered_ms" not in rows["clean"]
    assert rows["dred"]["lag_recovered_ms"] == pytest.approx(0.0, abs=0.5)
    assert "4 of 4 clips, about 0.0 min left" in capsys.readouterr().err


def test_conditions_of_a_clip_meet_the_same_losses():
    plan = Plan(conditions=("opus", "plc", "dred"))
    records = evaluate_clip(2, SPEECH, "x", True, plan, Judges(judge_level, hear_seconds))
    assert len({(r["trace_seed"], r["loss_pct"], r["longest_burst_ms"]) for r in records}) == 1
    again = evaluate_clip(2, SPEECH, "x", True, plan, Judges(judge_level, hear_seconds))
    assert len(again) == len(records)
    for one, other in zip(again, records, strict=True):
        np.testing.assert_array_equal(one.pop("lag_recovered_scores"), other.pop("lag_recovered_scores"))
        assert one == other


def test_a_run_without_judges_still_measures_rates_and_seams(folder):
    result = grid.run(folder, words=False, quality=False, conditions=["dred"], progress=False)
    (row,) = result["summary"]
    assert "plcmos" not in row and "wer" not in row
    assert row["seams"] > 0 and result["plcmos_noise_sd"] is None
    assert table_rows([row])[0][:4] == ["dred", "–", "–", "–"]


def test_only_english_clips_are_recognised(folder, monkeypatch):
    monkeypatch.setattr(grid, "load_judges", known_judges)
    (folder.parent / "MANIFEST.csv").write_text(
        "file,language\ntest/ann_1.flac,en (L1 zh)\ntest/bob_1.flac,nl-BE\n", encoding="utf-8"
    )
    result = grid.run(folder, conditions=["clean"], progress=False)
    assert [r["clip"] for r in result["records"] if "words" in r] == ["ann_1.flac"]


def test_clips_go_round_the_speakers(folder):
    names = [p.stem for p in choose_clips(folder, 0)]
    assert names == ["ann_1", "bob_1", "cid_1", "ann_2"]
    assert [p.stem for p in choose_clips(folder, 2)] == ["ann_1", "bob_1"]


def test_unusable_arguments(folder, tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        grid.run(tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no speech files"):
        grid.run(tmp_path / "empty")
    with pytest.raises(UsageError, match="condition 'magic' is unknown; expected clean, opus"):
        grid.run(folder, conditions=["magic"])


@pytest.mark.parametrize("stratum", STRATA, ids=lambda s: s.name)
def test_traces_fit_their_stratum(stratum):
    for seed in range(5):
        trace = draw_trace(stratum, 600, seed)
        stats = measure_loss(trace.lost)
        assert stratum.shortest_ms < stats.longest_burst * 20 <= stratum.longest_ms
        aim = trace.model().expected_rate
        assert stats.rate == pytest.approx(aim)
        assert draw_trace(stratum, 600, seed) == trace


def test_traces_lose_about_a_fifth_over_all_clips():
    rates = [np.mean(trace_for_clip(k, 600, 1).lost) for k in range(30)]
    assert 0.17 < np.mean(rates) < 0.23
    assert len({trace_for_clip(k, 600, 1).lost for k in range(30)}) == 30
    assert trace_for_clip(0, 600, 1).lost != trace_for_clip(0, 600, 2).lost


def test_a_trace_ends_in_deliveries_instead_of_failing():
    trace = draw_trace(STRATA[0], 50, 1)
    model = trace.model()
    assert [model.lost() for _ in range(50)] == list(trace.lost)
    assert not any(model.lost() for _ in range(100))


def test_very_short_speech_gets_the_nearest_trace():
    assert len(draw_trace(STRATA[2], 5, 1).lost) == 5


def record(condition, clip, plcmos, errors=0, words=10):
    return {
        "condition": condition, "clip": clip, "loss_pct": 20.0, "bitrate_total_bps": 50000.0,
        "bitrate_bps": {"speech": 24000.0, "dred": 26000.0}, "plcmos": plcmos,
        "seams": {"clicks": 0, "seams": 4}, "word_errors": errors, "words": words,
    }  # fmt: skip


def test_the_table():
    records = [
        record(name, clip, score + 0.1 * clip, errors)
        for clip in range(3)
        for name, score, errors in (("clean", 4.0, 0), ("opus", 2.0, 5), ("dred", 3.5, 1))
    ]
    summary = summarise(records, ["clean", "opus", "dred"])
    rows = table_rows(summary)
    assert rows[2] == ["dred", "3.60 ± 0.10", "75 ± 0 %", "10.0 ± 0.0 %", "50.0", "26.0", "20.0 %", "3"]
    assert rows[0][2] == "–"
    lines = markdown(summary).splitlines()
    assert len(lines) == 5 and all(line.count("|") == len(HEAD) + 1 for line in lines)


def test_strata_have_their_own_clips_and_shares():
    records = [
        record(name, clip, score + (stratum == "long"), 0) | {"stratum": stratum}
        for clip, stratum in enumerate(("short", "short", "long", "long"))
        for name, score in (("clean", 4.0), ("opus", 2.0), ("dred", 3.0 + 0.5 * (stratum == "long")))
    ]
    conditions = ["clean", "opus", "dred"]
    strata = by_stratum(records, conditions)
    assert list(strata) == ["short", "long"]
    assert strata["short"][2]["gap_won_back"]["mean"] == pytest.approx(0.5)
    assert strata["long"][2]["gap_won_back"]["mean"] == pytest.approx(0.75)
    lines = strata_table.table_rows(strata)
    assert lines[0] == ["0 to 120 ms", "2", "PLCMOS", "4.00 ± 0.00", "2.00 ± 0.00", "3.00 ± 0.00"]
    assert lines[3] == ["", "", "won back", "–", "–", "75 ± 0 %"]
    assert all(len(line) == len(strata_table.head(conditions)) for line in lines)


def test_strata_without_scores_have_no_table():
    bare = [{k: v for k, v in record("opus", 0, 2.0).items() if k != "plcmos"} | {"stratum": "medium"}]
    assert strata_table.table_rows(by_stratum(bare, ["opus"])) == []


def test_every_condition_is_possible():
    for condition in CONDITIONS.values():
        assert condition.conceal in KEPT and (condition.redundancy_s > 0) == (condition.conceal == "dred")
