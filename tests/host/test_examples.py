# SPDX-License-Identifier: BSD-2-Clause
"""The examples run as a newcomer would run them, and print what they promise."""

import subprocess
import sys
from pathlib import Path

import soundfile

ROOT = Path(__file__).parents[2]
CLIP = ROOT / "tests" / "data" / "speech_short.flac"


def run(name, *arguments):
    command = [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def test_simulate_wav(tmp_path):
    speech = tmp_path / "in.wav"
    pcm, rate = soundfile.read(CLIP, dtype="int16")
    soundfile.write(speech, pcm[:32000], rate)
    done = run("simulate_wav.py", speech, tmp_path / "a.wav", tmp_path / "b.wav")
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert "'dred':" in first and "'conceal':" in second
    for name in ("a.wav", "b.wav"):
        info = soundfile.info(tmp_path / name)
        assert (info.frames, info.samplerate, info.channels) == (32000, 16000, 1)


def test_inspect_packet():
    done = run("inspect_packet.py", CLIP)
    assert done.returncode == 0, done.stderr
    head, redundancy, *ages = done.stdout.splitlines()
    assert head.startswith("packet 199: Split(speech=")
    assert "describe the last 10" in redundancy  # a second and a little
    assert len(ages) >= 10
    pitches = [float(line.split("pitch")[1].split("Hz")[0]) for line in ages if ", voiced" in line]
    assert pitches and all(60 < pitch < 500 for pitch in pitches)


def test_wrong_usage_is_told():
    for name in ("simulate_wav.py", "inspect_packet.py"):
        done = run(name)
        assert done.returncode == 1 and done.stderr.startswith("usage: ")
