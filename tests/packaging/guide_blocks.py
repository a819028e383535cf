# SPDX-License-Identifier: BSD-2-Clause
"""Command blocks of the documents, and a shell in which they run on one machine.

A fenced block without a language is a block of commands. The comment before it says how a test treats it:

    (nothing)                            run here, with the substitutions below
    <!-- test: background -->            run here until the page ends; the next block waits until it listens
    <!-- test: needs PROGRAM -->         run where that program is installed
    <!-- test: serial -->                run over a pseudo-terminal; its first line in the background
    <!-- test: plain receiver -->        run with a plain RTP receiver in the place of the address
    <!-- test: demo -->                  run with three seconds of the bundled speech
    <!-- test: fragment -->              Python that needs names from elsewhere: its imports are checked, it is not run
    <!-- test: output -->                no commands: what a command prints, or a drawing
    <!-- test: not run: REASON -->       only read: every verb and option exists

Substitutions, so that a page for two machines runs on one: every udp://, rtp:// and http:// address becomes loopback
with a free port of its own number, `--allow-remote` is left out (loopback needs none), and a talk gets `--seconds`,
a file as its microphone and a file as its loudspeaker where the line names none.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
from ports import free_port

from dredge_host.cli import main

FENCE = re.compile(r"(?:^<!-- test: ([^\n]*?) -->\n)?^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
ADDRESS = re.compile(r"\b(udp|rtp|http)://([\w.-]*):(\d+)")


class Block(NamedTuple):
    """One fenced block: how it is treated ("" is run), its language ("" is commands), its text."""

    mark: str
    language: str
    text: str

    @property
    def runs(self) -> bool:
        """Whether these are commands that run on this machine."""
        return not self.language and not self.mark.startswith(("not run", "output"))


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page."""
    return [Block(mark, language, text) for mark, language, text in FENCE.findall(page.read_text(encoding="utf-8"))]


def lines(text: str) -> list[str]:
    """The commands of a block, continued lines joined, comments and empty lines left out."""
    joined = text.replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def commands(page: Path) -> list[str]:
    """Every `dredge` command of a page's blocks, run or not."""
    shown = [b for b in blocks(page) if not b.language and b.mark != "output"]
    return [found for block in shown for line in lines(block.text) if (found := dredge_command(line))]


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


def verbs(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """The command and all below it, with their names."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for verb in command.list_commands(context):
            below = command.get_command(context, verb)
            if below is not None:
                yield from verbs(below, f"{name} {verb}")


def examples() -> Iterator[tuple[str, str]]:
    """(verb, command) of every example in a help text; what stands behind two spaces is a remark."""
    for name, command in verbs(main.cli, "dredge"):
        for line in (command.epilog or "").replace("\\\n", " ").splitlines():
            found = dredge_command(re.split(r"\s{3,}", line.strip())[0]) if "dredge " in line else ""
            if found and re.match(r"  (\S+=\S+ |arecord |\d+ )?.*dredge \w", line):
                yield name, found


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
            self._of[number] = free_port()
        return self._of[number]


def substituted(line: str, ports: Ports) -> str:
    """A line of a guide as it runs on this machine."""
    line = re.sub(r" --allow-remote\b", "", ports.here(line))
    if re.match(r"dredge talk\b", line):
        for option, value in (("--seconds", "4"), ("--mic", "speech.wav"), ("--speaker", "heard.wav")):
            if f"{option} " not in line:
                line += f" {option} {value}"
    return line
