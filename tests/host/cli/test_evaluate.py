# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate` end to end on bundled speech: losses, copy synthesis, difficult inputs."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from dredge_host.cli.measure.evaluate import command
from dredge_host.evaluation.methods.methods import METHODS
from dredge_host.evaluation.running.robust import Verdict
from dredge_host.evaluation.running.workers import run_here
from dredge_host.sending.loss import save_trace

SPEECH = soundfile.read(Path(__file__).parents[2] / "data" / "speech_short.flac", dtype="int16")[0][16000:48000]


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))


@pytest.fixture
def here(monkeypatch):
    """Cells are computed in this process: one test with real ones is enough."""
    monkeypatch.setattr(
        "dredge_host.evaluation.running.grid.run_in_processes", lambda plan, tasks, jobs: run_here(plan, tasks)
    )


@pytest.fixture
def folder(tmp_path):
    speech = tmp_path / "test"
    speech.mkdir()
    soundfile.write(speech / "ann_1.flac", SPEECH, 16000)
    return speech


def run(*words):
    return CliRunner().invoke(command, [str(word) for word in words])


def test_copy_synthesis(folder, tmp_path):
    out = tmp_path / "copy.json"
    done = run(folder, "--copy-synthesis", "--no-plcmos", "--seconds", 1, "--out", out)
    assert done.exit_code == 0, done.output
    assert "band distance" in done.output and "standard" in done.output
    document = json.loads(out.read_text())
    assert document["schema"] == "dredge.copy-synthesis/1" and document["summary"][0]["vocoder"] == "original"


def verdict(over):
    return lambda pcm, mode: (Verdict(10, 10, 7.0, 0.0, over), pcm, pcm)


@pytest.mark.parametrize(("over", "code", "word"), [(0, 0, "PASS"), (3, 1, "FAIL")])
def test_robustness_is_a_check_with_an_exit_code(folder, tmp_path, monkeypatch, over, code, word):
    monkeypatch.setattr("dredge_host.evaluation.running.robust.run_case", verdict(over))
    done = run(folder, "--robustness", "--pictures", tmp_path / "pictures")
    assert done.exit_code == code and word in done.output
    drawn = {p.stem for p in (tmp_path / "pictures").iterdir()}
    assert {"speech", "quiet", "clipped", "child", "silence", "music", "noisy-white"} <= drawn


def test_pictures_without_robustness(folder, tmp_path):
    done = run(folder, "--pictures", tmp_path)
    assert done.exit_code != 0 and "--pictures needs --robustness" in str(done.exception)


QUICK = ("--seconds", 0.5, "--no-words", "--no-plcmos", "--no-estoi", "--jobs", 1)


def test_losses_end_to_end(folder, tmp_path):
    out, cells = tmp_path / "out.json", tmp_path / "cells.csv"
    given = (folder, *QUICK, "--method", "opus", "--condition", "clean", "--out", out, "--csv", cells)
    done = run(*given)
    assert done.exit_code == 0, done.output
    document = json.loads(out.read_text())
    assert document["schema"] == "dredge.evaluate/2" and document["plan"]["methods"] == ["clean", "opus"]
    assert document["plan"]["clips"] == ["ann_1.flac", *(f"ann_1.flac@{at}" for at in ("0.5", "1", "1.5"))]
    assert len(cells.read_text().splitlines()) == 1 + 4 * 2 * 3
    assert "24 cells computed and 0 found" in done.output
    assert "note: 30 clips were asked for and there are 1 files, so 3 later pieces of 0.5 s" in done.output
    again = run(folder, *QUICK, "--method", "opus", "--clips", 0, "--rotate", "--json")
    assert again.exit_code == 0
    rotated = json.loads(again.stdout)
    assert [r["cached"] for r in rotated["records"]] == [True] and not rotated["plan"]["crossed"]


def test_a_cache_of_ones_own_or_none(folder, tmp_path, here):
    given = (folder, *QUICK, "--method", "opus", "--clips", 1)
    assert "3 cells computed and 0 found" in run(*given, "--cache", tmp_path / "mine").output
    assert len(list((tmp_path / "mine").rglob("*.json"))) == 4  # the spread of PLCMOS is kept beside the cells
    assert "0 cells computed and 3 found" in run(*given, "--cache", tmp_path / "mine").output
    assert "3 cells computed and 0 found" in run(*given, "--no-cache").output
    assert not (tmp_path / "user").exists()


def test_policies_come_with_their_table(folder, monkeypatch, here):
    row = {"policy": "fixed:60", "mean_ms": 60.0, "p95_ms": 61.0, "recovered_pct": 12.5, "predicted": 3, "given_up": 0}
    asked = []

    def few(pcm, loss, seed, policies, progress, score):
        assert score is None
        asked.append((len(pcm), loss, seed))
        progress(1, 1)
        return [row]

    monkeypatch.setattr("dredge_host.evaluation.methods.policies.run_policies", few)
    done = run(folder, *QUICK, "--method", "opus", "--clips", 1, "--policies", "--no-cache", "--seed", 4)
    assert done.exit_code == 0 and "12.5 %" in done.output
    assert asked == [(8000, "gilbert:rate=20%,burst=4,max=16", 4)]


def test_pages_and_plots_get_the_document(folder, tmp_path, monkeypatch, here):
    written = {}
    monkeypatch.setattr("dredge_host.figures.plots.write_plots", lambda where, document: written.update(plots=document))
    monkeypatch.setattr(
        "dredge_host.report.evaluation.page.write_evaluation_report",
        lambda where, document: written.update(html=document),
    )
    done = run(folder, *QUICK, "--method", "opus", "--clips", 1, "--no-cache", "--plots", tmp_path / "plots",
               "--html", tmp_path / "page.html")  # fmt: skip
    assert done.exit_code == 0, done.output
    assert written["plots"] is written["html"] and written["html"]["schema"] == "dredge.evaluate/2"


def test_a_set_of_recorded_losses(tmp_path, here):
    source = tmp_path / "set"
    source.mkdir()
    soundfile.write(source / "x.wav", SPEECH, 16000)
    save_trace(source / "x_is_lost.txt", [k % 10 == 5 for k in range(100)])
    done = run("--traces", source, *QUICK, "--method", "opus", "--no-cache", "--json")
    assert done.exit_code == 0, done.output
    (record,) = json.loads(done.stdout)["records"]
    assert record["clip"] == "x" and record["trace_seed"] is None and record["longest_burst_ms"] == 20


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--method", "magic"), "method 'magic' is unknown"),
        (("--recogniser", "ear"), "recogniser is 'ear'"),
        (("--cache", "x", "--no-cache"), "contradict each other"),
        (("--robustness", "--html", "x.html"), "--html belongs to the evaluation of losses"),
        (("--traces", "x"), "a FOLDER and --traces"),
        (("--out", "/no/such/folder/x.json"), "does not exist"),
        (("--csv", "/no/such/folder/x.csv"), "does not exist"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(folder, words, message):
    done = run(folder, *words)
    assert done.exit_code != 0 and message in str(done.exception)


def test_without_a_folder(monkeypatch):
    monkeypatch.delenv("DREDGE_SPEECH", raising=False)
    assert "set DREDGE_SPEECH" in str(run(*QUICK).exception)


def test_help_names_every_method():
    text = run("--help").output
    for method in METHODS:
        assert method in text
