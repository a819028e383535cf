# SPDX-License-Identifier: BSD-2-Clause
"""The examples run as a newcomer would run them, and print what they promise."""

import ast
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from ports import free_port

import dredge_host
from dredge_host import Sender, read_audio
from dredge_host.sending.audio import packets

ROOT = Path(__file__).parents[2]
EXAMPLES = ("simulate_wav.py", "inspect_packet.py", "duplex_asyncio.py", "own_transport.py", "embedded_loop.py")
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


@pytest.fixture
def short(tmp_path):
    """Two seconds of speech."""
    pcm, rate = soundfile.read(CLIP, dtype="int16")
    soundfile.write(tmp_path / "short.wav", pcm[:32000], rate)
    return tmp_path / "short.wav"


def test_duplex_asyncio(short):
    done = run("duplex_asyncio.py", short, short)
    assert done.returncode == 0, done.stderr
    for line, name in zip(done.stdout.splitlines(), ("one", "two"), strict=True):
        sources = ast.literal_eval(line.removeprefix(f"{name} heard "))
        assert sources["opus"] > 60, line
        assert sources.get("dred", 0) + sources.get("plc", 0) + sources.get("conceal", 0) > 0


def test_own_transport(short, tmp_path):
    done = run("own_transport.py", short, tmp_path / "out.wav")
    assert done.returncode == 0, done.stderr
    sources = ast.literal_eval(done.stdout)
    assert sources["opus"] > 50 and sources["dred"] > 3
    assert soundfile.info(tmp_path / "out.wav").frames == 32000


def embedded_loop(data):
    """What the example hears of these packets: (how it counts them, samples)."""
    words = [sys.executable, str(ROOT / "examples" / "embedded_loop.py"), "0", "4"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as loop:
        port = int(loop.stderr.readline().split()[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            for datagram in data:
                line.sendto(datagram, ("127.0.0.1", port))
                time.sleep(0.015)
        raw, said = loop.communicate(timeout=60)
    assert loop.returncode == 0, said
    return ast.literal_eval(said.decode()), np.frombuffer(raw, np.int16)


def test_embedded_loop(short):
    sender = Sender(redundancy_s=0.0)
    data = [sender.push(piece).data for piece in packets(read_audio(short).pcm)]
    for _ in range(5):  # where this machine stands still, the four seconds of the example go on
        counts, pcm = embedded_loop(data)
        if counts["opus"] > 60:
            break
    assert counts["opus"] > 60 and len(pcm) >= 3.9 * 16000 and pcm.any()


CARD = """
import os, threading, time
from pathlib import Path
TOGETHER = Path(__file__).parent / "together"
class PortAudioError(Exception): pass
class RawStream:
    def __init__(self, rate, block, device, channels, kind, latency, callback):
        assert (rate, block, channels, kind) == (16000, 320, 1, "int16")
        self.callback, self.on = callback, True
    def __enter__(self):
        (TOGETHER / str(os.getpid())).touch()
        while len(list(TOGETHER.iterdir())) < 2:  # the other intercom is not there yet
            time.sleep(0.01)
        self.thread = threading.Thread(target=self.run); self.thread.start()
    def __exit__(self, *_):
        self.on = False; self.thread.join()
    def run(self):
        while self.on:
            time.sleep(0.02); out = bytearray(640); self.callback(bytes(640), memoryview(out), 320, None, None)
"""


def test_sounddevice_callback(tmp_path):
    """Two intercoms on cards that are stand-ins (the real server's test is in audio_io/test_cards)."""
    (tmp_path / "sounddevice.py").write_text(CARD)
    (tmp_path / "together").mkdir()
    ports = [free_port(), free_port()]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    script = str(ROOT / "examples" / "sounddevice_callback.py")
    begun = [
        subprocess.Popen([sys.executable, script, str(here), f"127.0.0.1:{there}", "3"], env=env, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for here, there in (ports, ports[::-1])
    ]  # fmt: skip
    for process in begun:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        sent, heard = out.split(", heard ")
        assert int(sent.removeprefix("sent ")) > 30, out
        assert ast.literal_eval(heard.partition(", delay")[0])["opus"] > 10, out


def test_one_import_has_everything():
    assert {"Duplex", "Receiver", "Sender", "Talk", "open_link"} <= set(dredge_host.__all__)
    for name in dredge_host.__all__:
        assert getattr(dredge_host, name).__doc__


def test_wrong_usage_is_told():
    for name in EXAMPLES:
        done = run(name)
        assert done.returncode == 1 and done.stderr.startswith("usage: ")
