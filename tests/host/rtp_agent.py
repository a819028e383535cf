# SPDX-License-Identifier: BSD-2-Clause
"""A real agent that other programs' RTP is sent to, and what was heard compared with the original."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

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
        until = time.monotonic() + 30
        while self.said().count(" ended (") < streams and time.monotonic() < until:
            time.sleep(0.05)
        return self.said()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        self._said.close()


def likeness(path: Path) -> float:
    """How alike a second of the recording and the original are, 1 is the same."""
    heard, rate = soundfile.read(path, always_2d=True)
    original, _ = soundfile.read(CLIP)
    heard = heard.mean(axis=1)
    if rate != 16000:
        heard = soxr.resample(heard, rate, 16000)
    wanted = original[8000:24000]
    if len(heard) < len(wanted):
        return 0.0
    at = int(np.argmax(np.correlate(heard, wanted, "valid")))
    part = heard[at : at + len(wanted)]
    return float(part @ wanted / np.sqrt((part @ part) * (wanted @ wanted) + 1e-9))


def send(url: str, *options: str, seconds: str = "3") -> None:
    command = [*FFMPEG, "-re", "-i", str(CLIP), "-t", seconds, "-c:a", "libopus", "-b:a", "24k", "-application", "voip"]
    subprocess.run([*command, *options, "-f", "rtp", url], check=True, timeout=60, stdout=subprocess.DEVNULL)
