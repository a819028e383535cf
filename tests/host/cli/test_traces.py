# SPDX-License-Identifier: BSD-2-Clause
"""`dredge traces`: make a set, look at it, find what changed, convert a trace."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result
from trace_sets import SPEECH, put

from dredge_host.cli import main
from dredge_host.evaluation.material.traceset import read_set
from dredge_host.sending.loss import read_trace


@pytest.fixture
def speech(tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    for name in ("ann_1", "ann_2", "bob_1"):
        soundfile.write(folder / f"{name}.flac", SPEECH, 16000)
    return folder


def traces(*words: object) -> Result:
    return CliRunner().invoke(main.cli, ["traces", *map(str, words)])


def parsed(*words: object) -> dict:
    result = traces(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_make_and_show(tmp_path, speech):
    target = tmp_path / "set"
    made = parsed("make", target, "--speech", speech, "--clips", 3, "--seconds", 4, "--seed", 2)
    assert made["schema"] == "dredge.traces/1" and len(made["manifest_sha256"]) == 64
    assert [clip["source"] for clip in made["clips"]] == ["ann_1.flac", "bob_1.flac", "ann_2.flac"]
    shown = parsed("show", target)
    assert shown["schema"] == "dredge.traces.show/1" and shown["problems"] == []
    assert shown["strata"] == {"short": 1, "medium": 1, "long": 1}
    assert shown["packets"] == 600 == sum(clip["packets"] for clip in shown["traces"])
    assert shown["lost_packets"] == sum(sum(item.lost) for item in read_set(target))
    text = traces("show", target)
    assert text.exit_code == 0 and "0002_medium  medium" in text.stdout and "####" in text.stdout
    assert "of 600 packets lost" in text.stdout


def test_the_same_command_gives_the_same_manifest(tmp_path, speech):
    options = ("--speech", speech, "--clips", 2, "--seconds", 4, "--stratum", "short", "--lossy")
    first, second = (parsed("make", tmp_path / name, *options) for name in "ab")
    assert first["manifest_sha256"] == second["manifest_sha256"]
    assert first["manifest_sha256"] != parsed("make", tmp_path / "c", *options, "--seed", 2)["manifest_sha256"]


def test_a_summary_for_people(tmp_path, speech):
    done = traces("make", tmp_path / "set", "--speech", speech, "--clips", 3, "--seconds", 4)
    assert done.exit_code == 0
    assert "3 clips, 12 s, " in done.stdout and "strata    short 1, medium 1, long 1" in done.stdout
    assert "traces: 3 of 3 clips" in done.stderr and "traces:" not in done.stdout


def test_more_clips_than_files_are_said(tmp_path, speech):
    done = traces("make", tmp_path / "set", "--speech", speech, "--clips", 5, "--seconds", 2, "--stratum", "short")
    assert done.exit_code == 0 and "later pieces of 2 s" in done.stderr
    assert len(read_set(tmp_path / "set")) == 5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--seconds", 0.5], "0.5 is not in the range"),
        (["--clips", 0], "0 is not in the range"),
        (["--stratum", "huge"], "'huge' is not one of"),
    ],
)
def test_impossible_sets(tmp_path, speech, words, message):
    done = traces("make", tmp_path / "set", "--speech", speech, *words)
    assert done.exit_code == 2 and message in done.output
    assert not (tmp_path / "set").exists() and [p.name for p in tmp_path.iterdir()] == ["speech"]


def test_speech_too_short_for_the_losses_asked_for(tmp_path):
    done = traces("make", tmp_path / "set", "--speech", put(tmp_path / "words", "yes", 10), "--stratum", "long")
    assert done.exit_code == 2 and "yes.wav: 0.2 s are too short for long losses" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["words"]


def test_nothing_is_overwritten_unasked(tmp_path, speech):
    options = ("--speech", speech, "--clips", 1, "--seconds", 4)
    parsed("make", tmp_path / "set", *options)
    again = traces("make", tmp_path / "set", *options)
    assert again.exit_code == 2 and "exists already" in again.output
    parsed("make", tmp_path / "set", *options, "--force")
    no_set = traces("make", speech, *options, "--force")
    assert no_set.exit_code == 2 and "--force leaves it alone" in no_set.output


def test_a_changed_set_fails_the_check(tmp_path, speech):
    parsed("make", tmp_path / "set", "--speech", speech, "--clips", 1, "--seconds", 4)
    trace = tmp_path / "set" / "0001_short_is_lost.txt"
    trace.write_text(trace.read_text()[:-2])
    shown = traces("show", tmp_path / "set")
    assert shown.exit_code == 1
    assert "0001_short_is_lost.txt: changed since the set was made" in shown.stdout
    assert "1 file(s) are not as in the manifest" in shown.stderr


def test_show_one_trace(tmp_path):
    (tmp_path / "car.txt").write_text("0 1 1 0 1\n" * 20)
    shown = parsed("show", tmp_path / "car.txt")
    assert shown["traces"][0]["stratum"] == "short" and shown["strata"] == {"short": 1}
    assert shown["burst_histogram"] == {"1": 20, "2": 20} and shown["rate"] == 0.6
    lines = traces("show", tmp_path / "car.txt").stdout.splitlines()
    assert any(line.startswith("40 ms") and line.endswith("#" * 40) for line in lines)


def test_show_a_trace_without_losses_and_one_beyond_all_strata(tmp_path):
    (tmp_path / "good.txt").write_text("0\n" * 50)
    assert "no packet of 50 was lost" in traces("show", tmp_path / "good.txt").stdout
    (tmp_path / "bad.txt").write_text("0\n" + "1\n" * 60)
    assert parsed("show", tmp_path / "bad.txt")["strata"] == {"beyond": 1}


@pytest.mark.parametrize("case", ["missing", "no trace", "mismatch", "not text"])
def test_show_says_what_is_wrong(tmp_path, case):
    path = tmp_path / "set"
    if case == "no trace":
        put(path, "a", 5)
    elif case == "mismatch":
        put(path, "a", 5, "0110011")
    elif case == "not text":
        path.write_bytes(b"\x00\x9d\x81 0 1")
    shown = traces("show", path)
    expected = {
        "missing": "No such file",
        "no trace": "no loss traces in it",
        "mismatch": "7 packets of 20 ms, but a.wav",
        "not text": "line 1: expected 0 or 1",
    }[case]
    assert shown.exit_code == 2 and expected in shown.stderr


def test_convert(tmp_path):
    source, target = tmp_path / "opus.txt", tmp_path / "a_is_lost.txt"
    source.write_text("0 1 0")
    done = parsed("convert", source, target, "--from-ms", 60)
    assert done["schema"] == "dredge.traces.convert/1" and done["packets"] == 9
    assert target.read_text() == "0\n0\n0\n1\n1\n1\n0\n0\n0\n"
    back = traces("convert", target, source, "--to-ms", 40, "--force")
    assert back.exit_code == 0 and "5 packets of 40 ms from 9 of 20 ms, 40.0 % lost (before: 33.3 %)" in back.stdout
    assert read_trace(source) == [False, True, True, False, False]


def test_convert_overwrites_only_with_force(tmp_path):
    (tmp_path / "a.txt").write_text("0 1")
    (tmp_path / "b.txt").write_text("precious")
    done = traces("convert", tmp_path / "a.txt", tmp_path / "b.txt")
    assert done.exit_code == 2 and "b.txt: exists already" in done.stderr
    assert (tmp_path / "b.txt").read_text() == "precious"
    assert traces("convert", tmp_path / "a.txt", tmp_path / "none" / "b.txt").exit_code == 2
    assert traces("convert", tmp_path / "a.txt", tmp_path / "c.txt", "--to-ms", 25).exit_code == 2


@pytest.mark.parametrize("verb", ["make", "show", "convert"])
def test_help_teaches(verb):
    text = traces(verb, "--help").output
    assert f"dredge traces {verb}" in text and "Examples" in text


def test_ctrl_c_leaves_nothing(tmp_path):
    """A real process, interrupted while it writes: exit code 130, no set, no temporary folder."""
    program = (
        "import os, signal, sys\n"
        "from dredge_host.cli import main\n"
        "from dredge_host.evaluation.material import tracewriter\n"
        "write = tracewriter._write_clip\n"
        "def stop(place, clip, lossy):\n"
        "    row = write(place, clip, lossy)\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    return row\n"
        "tracewriter._write_clip = stop\n"
        "sys.argv[0] = 'dredge'\n"
        "main.main()\n"
    )
    put(tmp_path / "speech", "ann_1", 200)
    words = [
        "traces",
        "make",
        str(tmp_path / "set"),
        "--speech",
        str(tmp_path / "speech"),
        "--clips",
        "1",
        "--seconds",
        "4",
    ]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120,
                          env=os.environ)  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "interrupted" in done.stderr
    assert [path.name for path in Path(tmp_path).iterdir()] == ["speech"]
