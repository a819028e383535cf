# SPDX-License-Identifier: BSD-2-Clause
"""The commands of the guide and of README run, in order, in an empty folder with a recording."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import soundfile
from cable import Cable
from guide_blocks import Block, Ports, blocks, examples, lines, substituted

from dredge_host.sending.audio import bundled_clip, read_audio

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs/guide").glob("*.md"))]
RUN = [page for page in PAGES if any(block.runs for block in blocks(page))]
ELSEWHERE = re.compile(
    r"serial://|udp-pcm://|board://|speaker|\bmic\b|rtp://|car\.txt|call\.pcap|arecord|--out -|stream - |--key-file"
)
VERDICTS = ("dredge check", "dredge demo")  # exit code 1: this machine is too busy, which is not what is tested here
HELP = list(examples())
SECONDS = 1.5  # of the recording: a stream takes as long as it is

pytestmark = pytest.mark.timeout(240)


class Shell:
    """A folder with speech.wav and in.wav in which the blocks of one page run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ports = folder, Ports()
        self.waiting: list[subprocess.Popen[str]] = []
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        without = folder / "without-metrics"  # loading them takes longer than everything else
        without.mkdir()
        for package in ("speechmos", "pystoi"):
            (without / f"{package}.py").write_text("raise ImportError('left out here')\n")
        self.environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(without)}
        with bundled_clip() as clip:
            pcm = read_audio(clip).pcm[16000 : 16000 + int(SECONDS * 16000)]
        for name in ("speech.wav", "in.wav", "in.flac", "speech.flac"):
            soundfile.write(folder / name, pcm, 16000, "PCM_16")

    def run(self, line: str) -> None:
        """Run one line; it has to end well, verdicts either way."""
        done = subprocess.run(["bash", "-c", f"set -o pipefail; {line}"], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, timeout=120)  # fmt: skip
        ends_well = (0, 1) if line.startswith(VERDICTS) else (0,)
        assert done.returncode in ends_well, f"{line}\n{done.stdout}{done.stderr}"

    def start(self, line: str) -> None:
        """Start one line and wait until it listens."""
        process = subprocess.Popen(["bash", "-c", f"exec {line}"], cwd=self.folder, env=self.environment, text=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)  # fmt: skip
        self.waiting.append(process)
        assert process.stdout is not None
        said = []
        for text in process.stdout:
            said.append(text)
            if "listening " in text:
                threading.Thread(target=process.stdout.read, daemon=True).start()
                return
        raise AssertionError(f"{line}\n{''.join(said)}")

    def close(self) -> None:
        """End what still waits."""
        for process in self.waiting:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(60)

    def play(self, block: Block) -> None:
        """Run the lines of a block as its mark says."""
        shorter = {"dredge demo": "dredge demo --seconds 3"} if block.mark == "demo" else {}
        todo = [substituted(line, self.ports) for line in lines(block.text)]
        todo = [shorter.get(line.partition("#")[0].strip(), line) for line in todo]
        if block.mark.startswith("needs ") and shutil.which(block.mark.split()[1]) is None:
            return
        if block.mark == "serial":
            cable = Cable(self.folder)
            first, *rest = [line.replace("/dev/ttyUSB0", cable.ends[0]).replace("/dev/ttyUSB1", cable.ends[1])
                            for line in todo]  # fmt: skip
            self.start(first)
            self.all(rest)
            self.close()
            cable.unplug()
            return
        if block.mark == "plain receiver":
            with plain_receiver() as port:
                self.all([line.replace(f":{self.ports.of('5004')}", f":{port}") for line in todo])
            return
        if block.mark == "background":
            *first, last = todo
            self.all(first)
            self.start(last.replace("--seconds 4", "--seconds 60"))
            return
        self.all(todo)

    def all(self, todo: list[str]) -> None:
        for line in todo:
            self.run(line)


@contextmanager
def plain_receiver() -> Iterator[int]:
    """A port at which RTP may arrive; nobody answers."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        yield receiver.getsockname()[1]


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_the_commands_of_a_page_run(page, tmp_path):
    shell = Shell(tmp_path)
    try:
        for block in blocks(page):
            if block.runs:
                shell.play(block)
    finally:
        shell.close()


def test_every_block_that_is_not_run_says_why():
    marks = [block.mark for page in PAGES for block in blocks(page)]
    known = ("", "background", "serial", "plain receiver", "demo", "fragment", "output")
    assert [mark for mark in marks if mark not in known and not mark.startswith(("needs ", "not run: "))] == []
    assert len(RUN) >= 8, "most pages of the guide have something that runs"


def test_a_command_that_fails_is_noticed(tmp_path):
    with pytest.raises(AssertionError, match="no-such"):
        Shell(tmp_path).run("dredge doctor --no-such")


def test_examples_in_python_run_as_they_stand(tmp_path):
    shell = Shell(tmp_path)
    found = [b for page in PAGES for b in blocks(page) if b.language == "python" and b.mark != "fragment"]
    assert found
    for index, block in enumerate(found):
        (tmp_path / f"example{index}.py").write_text(block.text)
        shell.run(f"python example{index}.py")


@pytest.mark.parametrize("verb", ["agent", "simulate", "stream"])
def test_examples_of_help_run_as_they_stand(verb, tmp_path):
    """Those that need no sound card, serial port, recording of somebody else or another verb's output."""
    shown = [line for name, line in HELP if name == f"dredge {verb}" and not ELSEWHERE.search(line)]
    assert len(shown) >= 2
    shell = Shell(tmp_path)
    try:
        if verb == "stream":
            shell.start(substituted("dredge agent --listen udp://0.0.0.0:5004", shell.ports))
        for line in shown:
            if line.startswith("dredge agent"):
                shell.run(f"{Ports().here(line)} --seconds 0.2")
            else:
                shell.run(substituted(line, shell.ports))
    finally:
        shell.close()
