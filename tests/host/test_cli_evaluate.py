# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate` beyond losses: copy synthesis and difficult inputs, end to end on bundled speech."""

import json
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner

from dredge_host.cli_evaluate import command
from dredge_host.evaluation.robust import Verdict

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0][16000:48000]


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
    monkeypatch.setattr("dredge_host.evaluation.robust.run_case", verdict(over))
    done = run(folder, "--robustness", "--pictures", tmp_path / "pictures")
    assert done.exit_code == code and word in done.output
    drawn = {p.stem for p in (tmp_path / "pictures").iterdir()}
    assert {"speech", "quiet", "clipped", "child", "silence", "music", "noisy-white"} <= drawn


def test_pictures_without_robustness(folder, tmp_path):
    done = run(folder, "--pictures", tmp_path)
    assert done.exit_code != 0 and "--pictures needs --robustness" in str(done.exception)
