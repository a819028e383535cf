# SPDX-License-Identifier: BSD-2-Clause
"""Command blocks of the documents, and a shell in which they run on one machine.

A fenced block without a language is a block of commands. The comment before it says how a test treats it:

    (nothing)                            run here, with the substitutions below
    <!-- test: background -->            run here until the page ends; the next block waits until it listens
    <!-- test: needs PROGRAM -->         run where that program is installed
    <!-- test: serial -->                run over a pseudo-terminal; its first line in the background
    <!-- test: plain receiver -->        run with a plain RTP receiver in the place of the address
    <!-- test: output -->                no commands, what a command prints
    <!-- test: not run: REASON -->       only read: every verb and option exists

Substitutions, so that a page for two machines runs on one: every udp:// and rtp:// address becomes loopback with a free
port of its own number, `--allow-remote` is left out (loopback needs none), and a talk or a check on another machine gets
`--seconds`, a file as its microphone and a file as its loudspeaker where the line names none.
"""

from __future__ import annotations

import re
import shlex
import socket
from pathlib import Path
from typing import NamedTuple

FENCE = re.compile(r"(?:^<!-- test: ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"\b(udp|rtp)://([\w.-]*):(\d+)")


class Block(NamedTuple):
    """One fenced block: how it is treated ("" is run), its language ("" is commands), its text."""

    mark: str
    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    return [Block(mark, language, text) for mark, language, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def lines(text: str) -> list[str]:
    """The commands of a block, continued lines joined, comments and empty lines left out."""
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def commands(page: Path) -> list[str]:
    """Every `dredge` command of a page's blocks, run or not."""
    shown = [line for block in blocks(page) if not block.language and block.mark != "output" for line in lines(block.text)]
    return [found for line in shown if (found := dredge_command(line))]


def dredge_command(line: str) -> str:
    """The part of a shell line from `dredge` to its end, a pipe, a redirection or a comment; "" without one."""
    words = shlex.shlex(line, posix=True, punctuation_chars="|;&<>")
    words.whitespace_split = True
    kept: list[str] = []
    for word in words:
        if kept and set(word) <= set("|;&<>"):
            break
        if kept or word.rpartition("/")[2] == "dredge":
            kept.append(word)
    return shlex.join(["dredge", *kept[1:]]) if kept else ""


class Ports:
    """Free ports of this machine, one for every number that a page names."""

    def __init__(self) -> None:
        self._of: dict[str, int] = {}

    def here(self, line: str) -> str:
        """The line with every address on loopback."""
        return ADDRESS.sub(lambda found: f"{found[1]}://127.0.0.1:{self.of(found[3])}", line)

    def of(self, number: str) -> int:
        """This machine's port in the place of a page's."""
        if number not in self._of:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind(("127.0.0.1", 0))
                self._of[number] = probe.getsockname()[1]
        return self._of[number]


def substituted(line: str, ports: Ports) -> str:
    """A line of a guide as it runs on this machine."""
    line = re.sub(r" --allow-remote\b", "", ports.here(line))
    if re.match(r"dredge talk\b", line):
        for option, value in (("--seconds", "2"), ("--mic", "speech.wav"), ("--speaker", "heard.wav")):
            if f"{option} " not in line:
                line += f" {option} {value}"
    return line
