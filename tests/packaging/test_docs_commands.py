# SPDX-License-Identifier: BSD-2-Clause
"""Commands that the documents and `--help` show exist: every verb, every option, every make goal, every named file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
from guide_blocks import blocks, commands, examples, lines

from dredge_host.cli import main

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
GOALS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SHOWN = [page for page in PAGES if page.stem != "transcripts"]  # that page is what commands print
PLACEHOLDER = re.compile(r"…|\.\.\.|\[--|\bPID\b")  # a line that shows a form, not a command

DREDGE = [(page.stem, line) for page in SHOWN for line in commands(page) if not PLACEHOLDER.search(line)]
MAKE = [(page.stem, line) for page in PAGES for block in blocks(page) if not block.language
        for line in lines(block.text) if line.startswith("make ")]  # fmt: skip


HELP = list(examples())


def understand(line: str) -> click.Command:
    """Parses a command as the verb does; raises click.UsageError for what it does not know. Files need not exist."""
    _, *words = shlex.split(line)
    command: click.Command = main.cli
    while isinstance(command, click.Group) and words:
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"no verb {name}"
        command = found
    try:
        command.make_context(command.name, words)
    except click.BadParameter as error:
        if "does not exist" not in str(error):
            raise
    except click.exceptions.Exit:  # --help, --version
        pass
    return command


def test_there_are_commands():
    assert len(DREDGE) >= 100 and len(MAKE) >= 8 and len(HELP) >= 60


@pytest.mark.parametrize(("page", "line"), DREDGE)
def test_the_verb_understands_the_line(page, line):
    understand(line)


@pytest.mark.parametrize(("verb", "line"), HELP)
def test_the_verb_understands_its_examples(verb, line):
    understand(line)


@pytest.mark.parametrize("line", [line for _, line in [*DREDGE, *HELP] if " --listen " in line])
def test_who_listens_to_others_says_by_what_right(line):
    """The device refuses another address than loopback without a key, unless it is told to be open."""
    words = shlex.split(line)
    listens = [words[i + 1] for i, word in enumerate(words) if word == "--listen"]
    if any(re.match(r"udp://(?!127\.|localhost|\[::1\])", address) for address in listens):
        assert "--key-file" in words or "--allow-remote" in words


def test_an_unknown_option_would_be_noticed():
    with pytest.raises(click.UsageError):
        understand("dredge deploy pi@raspberrypi --no-such")


@pytest.mark.parametrize(("page", "line"), MAKE)
def test_the_goal_exists(page, line):
    words = shlex.split(line, comments=True)[1:]
    assert {word for word in words if "=" not in word} <= GOALS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_named_files_exist(page):
    for name in re.findall(r"`((?:scripts|firmware|tests|locks|examples)/[\w./-]+)`", page.read_text()):
        assert (ROOT / name).exists() or re.search("[A-Z]{3}", name), name  # TARGET stands for a name
