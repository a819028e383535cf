# SPDX-License-Identifier: BSD-2-Clause
"""Commands in the tutorials exist: every option of every `dredge` line, every make goal, every linked page and file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from dredge_host.cli import main

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("guide/deploy.md", "guide/services.md", "guide/micropython.md", "reference/virtual-pi.md")
PAGES = [ROOT / "docs" / name for name in NAMES]
GOALS = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def command_lines(page: Path) -> list[str]:
    """Lines of the fenced blocks."""
    return [line for block in re.findall(r"```\n(.*?)```", page.read_text(), re.DOTALL) for line in block.splitlines()]


DREDGE = [(page.stem, line) for page in PAGES for line in command_lines(page) if line.startswith("dredge ")]
MAKE = [(page.stem, line) for page in PAGES for line in command_lines(page) if line.startswith("make ")]


def test_there_are_commands():
    assert len(DREDGE) >= 12 and len(MAKE) >= 4


@pytest.mark.parametrize(("page", "line"), DREDGE)
def test_the_verb_understands_the_line(page, line):
    _, verb, *words = shlex.split(line)
    command = main.cli.get_command(click.Context(main.cli), verb)
    assert command is not None, f"no verb {verb}"
    command.make_context(verb, words)  # raises click.UsageError for what it does not know


def test_an_unknown_option_would_be_noticed():
    command = main.cli.get_command(click.Context(main.cli), "deploy")
    with pytest.raises(click.UsageError):
        command.make_context("deploy", ["pi@raspberrypi", "--no-such"])


@pytest.mark.parametrize(("page", "line"), MAKE)
def test_the_goal_exists(page, line):
    words = shlex.split(line)[1:]
    assert {word for word in words if "=" not in word} <= GOALS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_and_named_files_exist(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([\w./-]+)\)", text):
        assert (page.parent / target).exists(), target
    for name in re.findall(r"`((?:scripts|firmware|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
