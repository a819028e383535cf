# SPDX-License-Identifier: BSD-2-Clause
"""Configuration files of agent and talk: what they may hold, what comes before them, and that they can be read back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dredge_device.pi.service.options import OPTIONS
from dredge_host.cli import configuration
from dredge_host.cli.live import agent, talk
from dredge_host.cli.main import cli

COMMANDS = {"agent": agent.command, "talk": talk.command}


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user and a system without files."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(configuration, "SYSTEM", tmp_path / "etc")
    monkeypatch.delenv("DREDGE_KEY_FILE", raising=False)


def dredge(*words: object) -> Result:
    return CliRunner().invoke(cli, [str(word) for word in words])


def values(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = configuration.tomllib.loads(printed)
    return found


def printed(*words: object) -> str:
    result = dredge(*words, "--print-config")
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("verb", COMMANDS)
def test_every_option_can_be_printed_and_what_is_printed_can_be_read_back(verb: str, tmp_path: Path) -> None:
    first = printed(verb)
    known = {configuration._key(parameter) for parameter in COMMANDS[verb].params} - {"config", "print-config"}
    commented = {line.split()[1] for line in first.splitlines() if line.endswith(" =")}
    assert set(values(first)) | commented == known and not set(values(first)) & commented
    path = tmp_path / "again.toml"
    path.write_text(first)
    assert values(printed(verb, "--config", path)) == values(first)


def test_every_row_of_the_device_s_table_is_an_option_of_the_file() -> None:
    assert {option.name for option in OPTIONS} <= {configuration._key(p) for p in COMMANDS["agent"].params}


def test_command_line_before_environment_before_file_before_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.toml"
    path.write_text('streams = 3\nkey-file = "file.key"\nrealtime = true\nplayout = "adaptive"\nout = "x.wav"\n')
    text = printed("agent", "--config", path, "--no-realtime", "--out", "null")
    found = values(text)
    assert (found["streams"], found["key-file"], found["playout"], found["lbrr"]) == (3, "file.key", "adaptive", True)
    assert (found["realtime"], found["out"], found["conceal"]) == (False, "null", "dred")
    assert f"streams = 3  # {path}" in text and 'out = "null"  # command line' in text and '"dred"  # default' in text
    monkeypatch.setenv("DREDGE_KEY_FILE", "environment.key")
    text = printed("agent", "--config", path)
    assert 'key-file = "environment.key"  # environment' in text


def test_the_user_s_file_comes_before_the_system_s(tmp_path: Path) -> None:
    for place, streams in (("etc", 2), ("home/dredge", 5)):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "agent.toml").write_text(f"streams = {streams}\n")
        assert values(printed("agent"))["streams"] == streams
    assert values(printed("agent", "--config", "none"))["streams"] == 1


def test_a_talk_s_file_names_whom_to_call(tmp_path: Path) -> None:
    path = tmp_path / "talk.toml"
    path.write_text('to = "udp://other:5004"\nhalf-duplex = true\nvolume = 0.5\nbitrate = 16000\n')
    found = values(printed("talk", "--config", path))
    assert (found["to"], found["half-duplex"]) == ("udp://other:5004", True)
    assert (found["volume"], found["bitrate"], found["playout"]) == (0.5, 16000, "adaptive")
    assert values(printed("talk", "udp://third:1", "--config", path))["to"] == "udp://third:1"
    path.write_text('url = "udp://other:5004"\n')
    assert "did you mean 'to'?" in dredge("talk", "--config", path, "--print-config").stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("relatime = true", "there is no option 'relatime'; did you mean 'realtime'?"),
        ("file_mode = '600'", "did you mean 'file-mode'?"),
        ("zebra = 1", "see `dredge agent --print-config`"),
        ("[agent]\nstreams = 1", "there is no option 'agent'"),
        ("streams = 65", "streams: 65 is not in the range"),
        ("streams = 'two'", "streams: 'two' is not a valid integer\n"),
        ("seconds = 'two'", "seconds: 'two' is not a valid number\n"),
        ("conceal = 'magic'", "conceal: 'magic' is not one of"),
        ("realtime = 1", "realtime is 1, expected true or false"),
        ("out = true", "out is True, expected a text or a number"),
        ("out = ['a']", "out is ['a'], expected a text or a number"),
        ("streams = ", "Invalid value (at"),
        ("playout = 'later'", "playout is 'later', expected fixed:"),
        ("status = 'http://0.0.0.0:1'", "add --allow-remote"),
        ("print-config = true", "there is no option 'print-config'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(content: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(content + "\n")
    result = dredge("agent", "--config", path, "--print-config")
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""


def test_a_file_that_is_named_has_to_be_there(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    wrong = {"nothing.toml": "No such file", ".": "Is a directory", "bytes": "utf-8", "/dev/zero": "more than 1 MiB"}
    for name, said in wrong.items():
        result = dredge("agent", "--config", tmp_path / name)
        assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1


def test_odd_characters_survive(tmp_path: Path) -> None:
    odd = 'a "b" \\ ü\t\x7f.wav'
    path = tmp_path / "odd.toml"
    path.write_text(printed("agent", "--out", odd))
    assert values(printed("agent", "--config", path))["out"] == odd


def test_an_agent_runs_by_its_file_and_says_which(tmp_path: Path) -> None:
    """A real process; --seconds comes from the file too."""
    path = tmp_path / "agent.toml"
    path.write_text('listen = "udp://127.0.0.1:0"\nconceal = "opus"\nseconds = 0.1\nstatus = "http://127.0.0.1:0"\n')
    words = [sys.executable, "-m", "dredge_host", "agent", "--config", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("listening udp://127.0.0.1:")
    assert f"configuration: {path}" in done.stderr and "status at http://127.0.0.1:" in done.stderr
    path.write_text(path.read_text() + "quiet = true\n")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""


