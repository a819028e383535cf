# SPDX-License-Identifier: BSD-2-Clause
"""A real agent that other programs' RTP is sent to, and what was heard compared with the original."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from waiting import until

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"
FFMPEG = ["ffmpeg", "-loglevel", "error", "-y", "-nostdin"]
ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg: apt-get install ffmpeg")


class Agent:
    """A real agent that records; `ended` waits for its line about the end of a stream."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.out = folder / "heard.wav"
        self._said = (folder / "said").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dredge_device", "--listen", "udp://127.0.0.1:0", "--out", str(self.out),
             "--playout", "fixed:800", *options],
            stdout=subprocess.PIPE, stderr=self._said, text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rsplit(":", 1)[1])

    def said(self) -> str:
        self._said.seek(0)
        return self._said.read()

    def ended(self, streams: int = 1) -> str:
        until(lambda: self.said().count(" ended (") >= streams)
        return self.said()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self._said.close()


def likeness(path: Path) -> float:
    """How alike the recording and the original are in the second in which they are most so; 1 is the same.

    Any second may serve: where this machine stood still, one is torn, and the others tell as much.
    """
    heard, rate = soundfile.read(path, always_2d=True)
    original, _ = soundfile.read(CLIP)
    heard = heard.mean(axis=1)
    if rate != 16000:
        heard = soxr.resample(heard, rate, 16000)
    if len(heard) < 16000:
        return 0.0
    size = len(heard) + 16000
    found, spectrum = [], np.fft.rfft(heard, size)
    for start in range(8000, len(original) - 16000, 8000):
        wanted = original[start : start + 16000]
        match = np.fft.irfft(spectrum * np.conj(np.fft.rfft(wanted, size)), size)[: len(heard) - 16000 + 1]
        at = int(np.argmax(match))
        part = heard[at : at + 16000]
        found.append(float(part @ wanted / np.sqrt((part @ part) * (wanted @ wanted) + 1e-9)))
    return max(found)


def send(url: str, *options: str, seconds: str = "3") -> None:
    command = [*FFMPEG, "-re", "-i", str(CLIP), "-t", seconds, "-c:a", "libopus", "-b:a", "24k", "-application", "voip"]
    subprocess.run([*command, *options, "-f", "rtp", url], check=True, timeout=60, stdout=subprocess.DEVNULL)
