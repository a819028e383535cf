# SPDX-License-Identifier: BSD-2-Clause
"""Whole commands with real parts, some as real processes."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dredge_host.cli.main import cli
from dredge_host.live.result import overload_lines
from dredge_host.sending.audio import bundled_clip, read_audio
from dredge_host.sending.loss import read_trace

RUN = [sys.executable, "-m", "dredge_host"]


def dredge(*words: str):
    return CliRunner().invoke(cli, [str(word) for word in words])


def results(run) -> dict:
    assert run.exit_code == 0, run.output
    return json.loads(run.stdout)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with bundled_clip() as path:
        pcm = read_audio(path).pcm[16000:48000]
    target = tmp_path_factory.mktemp("clip") / "two-seconds.wav"
    soundfile.write(target, pcm, 16000, "PCM_16")
    return target


def test_simulate_json_has_everything_that_was_promised(clip: Path, tmp_path: Path) -> None:
    out, trace = tmp_path / "o.wav", tmp_path / "t.txt"
    run = dredge("simulate", clip, out, "--loss", "gilbert:rate=20%,burst=3", "--seed", 7,
                 "--redundancy", "1.0", "--bitrate", 24000, "--lbrr", "--conceal", "dred",
                 "--playout", "fixed:1000", "--save-trace", trace, "--json")  # fmt: skip
    result = results(run)
    assert result["schema"] == "dredge.simulate/1"
    assert set(result["bitrate_bps"]) == {"speech", "lbrr", "dred", "headers"}
    assert result["bitrate_total_bps"] == pytest.approx(sum(result["bitrate_bps"].values()))
    assert result["seed"] == 7
    assert result["models"]
    assert result["simd_level"]
    assert result["cpu"]["machine"]["cpu"]
    assert sum(result["frames"].values()) == result["packets"] == len(read_trace(trace))
    assert result["loss"]["lost_packets"] == sum(read_trace(trace))
    assert len(read_audio(out).pcm) == len(read_audio(clip).pcm)
    again = results(dredge("simulate", clip, tmp_path / "p.wav", "--loss", f"trace:{trace}",
                           "--lbrr", "--json"))  # fmt: skip
    assert again["frames"] == result["frames"]
    assert (tmp_path / "p.wav").read_bytes() == out.read_bytes()


def test_simulate_for_people(clip: Path, tmp_path: Path) -> None:
    run = dredge("simulate", clip, tmp_path / "o.wav", "--loss", "10%", "--conceal", "opus")
    assert run.exit_code == 0
    assert "kb/s" in run.stdout
    assert "conceal" in run.stdout
    figures = dict(line.split(None, 1) for line in run.stdout.splitlines()[1:])
    assert "dred" not in figures["bitrate"]  # no redundancy unless it is used
    assert figures["delay"] == "1000 ms, 95 % of the packets at most 1000 ms"
    assert figures["quality"].startswith("PLCMOS") or "dredge extras add metrics" in figures["quality"]
    quiet = dredge("simulate", clip, tmp_path / "o.wav", "--loss", "10%", "--no-quality")
    assert "quality" not in quiet.stdout


def test_speech_with_a_time_of_its_own_is_not_compared_sample_by_sample(clip: Path, tmp_path: Path) -> None:
    run = dredge("simulate", clip, tmp_path / "o.wav", "--loss", "10%", "--playout", "adaptive", "--json")
    assert run.exit_code == 0 and "estoi" not in json.loads(run.stdout)["quality"]


def test_simulate_converts_with_a_note_on_stderr(tmp_path: Path) -> None:
    source = tmp_path / "s.flac"
    times = np.arange(44100) / 44100
    tone = 0.3 * np.sin(2 * np.pi * 300 * times)
    soundfile.write(source, np.stack([tone, tone], axis=1), 44100)
    run = dredge("simulate", source, tmp_path / "o.wav", "--json", "--conceal", "opus")
    assert results(run)["notes"] == ["mixed 2 channels to mono", "converted from 44100 Hz to 16000 Hz"]
    assert "note: mixed" in run.stderr
    assert len(read_audio(tmp_path / "o.wav").pcm) == 16000


def test_ctrl_c_during_simulate_leaves_nothing_half(tmp_path: Path) -> None:
    source, out, speech = tmp_path / "long.wav", tmp_path / "out.wav", io.BytesIO()
    noise = np.random.default_rng(1).integers(-3000, 3000, 16000 * 600).astype(np.int16)
    soundfile.write(speech, noise, 16000, "PCM_16", format="WAV")
    os.mkfifo(source)
    process = subprocess.Popen(
        [*RUN, "simulate", str(source), str(out), "--loss", "10%"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    source.write_bytes(speech.getbuffer())  # returns as soon as the command has read almost all of it
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert "interrupted" in errors
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == ["long.wav"]


def test_models_and_doctor_agree_that_all_is_well() -> None:
    listed = results(dredge("models", "list", "--json"))
    assert listed["models"]
    assert results(dredge("models", "verify", "--json"))["problems"] == []
    page = results(dredge("doctor", "--json"))
    assert page["pass"] is True
    states = {finding["name"]: finding["state"] for finding in page["findings"]}
    assert states["models"] == states["libopus"] == states["neural runtime"] == "ok"


def test_ctrl_c_during_a_stream_prints_what_was_done(clip: Path) -> None:
    process = subprocess.Popen(
        [*RUN, "stream", str(clip), "--to", "loop://", "--loss", "20%", "--seconds", "600", "--json", "--json-lines"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("{"):  # a second of the stream is over
            break
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    assert json.loads(output)["schema"] == "dredge.stream/1"
    assert errors.splitlines()[-1] == "dredge: interrupted"


def starved(result: dict[str, Any]) -> bool:
    """Tell whether the sender was so late on a busy machine that the device played on before it was told of the end."""
    return result["stream"]["sender_late_ms"]["max"] > 50


def test_stream_to_a_device_in_this_process(clip: Path) -> None:
    result = results(dredge("stream", clip, "--to", "loop://", "--loss", "harsh", "--seconds", 1,
                            "--playout", "fixed:300", "--json"))  # fmt: skip
    assert result["schema"] == "dredge.stream/1"
    assert result["packets"] == 50
    assert len(result["timeline"]) == 50 or starved(result)
    assert result["frames"]["by_source"]["dred"] > 0 or result["stream"]["loss"]["lost_packets"] == 0


def test_stream_to_nobody_is_code_3(clip: Path) -> None:
    run = dredge("stream", clip, "--to", "udp://127.0.0.1:9", "--seconds", 0.1)
    assert run.exit_code == 3
    assert "dredge agent" in run.output


def overloaded(result: dict[str, Any]) -> bool:
    """Tell whether the tests' machine was so busy that the device gave less than it can, and reported it."""
    return bool(overload_lines(result["device_report"]))


def test_agent_and_stream_as_two_processes(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "heard.wav"
    agent = subprocess.Popen(
        [*RUN, "agent", "--listen", "udp://127.0.0.1:0", "--once", "--out", str(out)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert agent.stdout is not None
        url = agent.stdout.readline().split()[1]
        result = results(dredge("stream", clip, "--to", url, "--loss", "burst:ms=100,every=500ms",
                                "--playout", "fixed:200", "--json"))  # fmt: skip
        assert agent.wait(60) == 0
    finally:
        agent.kill()
        agent.wait()
        agent.stdout.close()
    assert result["frames"]["by_source"]["dred"] >= 10 or overloaded(result), result["frames"]
    assert len(read_audio(out).pcm) == 320 * result["packets"] or starved(result)


def test_a_device_that_dies_is_code_3(clip: Path) -> None:
    agent = subprocess.Popen([*RUN, "agent", "--listen", "udp://127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
    assert agent.stdout is not None
    url = agent.stdout.readline().split()[1]
    stream = subprocess.Popen([*RUN, "stream", str(clip), "--to", url], stderr=subprocess.PIPE, text=True)
    assert stream.stderr is not None
    for line in stream.stderr:
        if "normal" in line:
            break
    agent.kill()
    agent.wait()
    agent.stdout.close()
    _, errors = stream.communicate(timeout=120)
    assert stream.returncode == 3
    assert "nobody listens there" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--listen", "udp://0.0.0.0:0"], 2),
        (["--listen", "tcp://x"], 2),
        (["--out", "song.mp3", "--listen", "udp://127.0.0.1:0"], 2),
        (["--playout", "soon"], 2),
    ],
)
def test_agent_refuses_with_a_sentence(words: list[str], code: int) -> None:
    run = dredge("agent", *words)
    assert run.exit_code == code
    assert run.output.startswith("dredge")


def test_demo_writes_everything_and_judges(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    run = subprocess.run(
        [*RUN, "demo", "--out", str(out), "--seconds", "3", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode in (0, 1), run.stderr
    result = json.loads(run.stdout)
    assert sorted(path.name for path in out.iterdir()) == [
        "dred.wav", "opus.wav", "original.wav", "plc.wav", "report.html", "result.json", "trace.txt",
    ]  # fmt: skip
    assert json.loads((out / "result.json").read_text()) == result
    checks = {check["name"]: check for check in result["verdict"]["checks"]}
    assert checks["device report complete"]["pass"]
    assert checks["packets filled by DRED"]["pass"]
    assert checks["coverable losses filled"]["pass"] or overloaded(result), checks
    # The machine that runs the tests may be busy; whether it kept up is the exit code's affair.
    assert run.returncode == (0 if result["verdict"]["pass"] else 1)
    lost = result["stream"]["loss"]["lost_packets"]
    assert result["gain"].startswith(f"{lost} of {lost} lost packets") or overloaded(result)
    assert f"of {lost} lost packets" in result["gain"] and "1 s of delay" in result["gain"]
    sizes = {len(read_audio(out / f"{n}.wav").pcm) for n in ("original", "dred", "plc", "opus")}
    assert sizes == {48000}
    heard, original = (np.diff(read_audio(out / f"{name}.wav").pcm.astype(float)) for name in ("dred", "original"))
    lags = range(-160, 161)
    scores = [np.dot(original[800:-800], np.roll(heard, -lag)[800:-800]) for lag in lags]
    assert lags[int(np.argmax(scores))] == 0


def test_ctrl_c_during_the_demo_leaves_complete_files(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    process = subprocess.Popen(
        [*RUN, "demo", "--out", str(out), "--seconds", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:  # the bar's first line: the stream is running
        if "packets played" in line:
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130, errors
    left = sorted(path.name for path in out.iterdir())
    assert left in (["original.wav"], ["device.wav", "original.wav"])
    for name in left:
        assert len(read_audio(out / name).pcm) > 0
    assert (out / "report.html").exists() is False
