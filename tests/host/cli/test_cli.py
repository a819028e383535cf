# SPDX-License-Identifier: BSD-2-Clause
"""The command line: help, exit codes, errors as one sentence."""

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from dredge_host import errors
from dredge_host.cli import main
from dredge_host.cli.options import Number
from dredge_host.console import table, to_json


def dredge(*words: str):
    return CliRunner().invoke(main.cli, list(words))


def python(*words: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60, **options)


def test_help_lists_every_verb_in_its_section() -> None:
    result = dredge("--help")
    assert result.exit_code == 0
    for name, verb in main.VERBS.items():
        assert f"  {name} " in result.output
        assert f"{verb.section}:" in result.output
    assert "Exit codes" in result.output


def test_help_imports_no_heavy_package() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from dredge_host.cli.main import cli\n"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0\n"
        "print([m for m in ('numpy', 'soundfile', 'rich', 'tflite_runtime') if m in sys.modules])"
    )
    result = python("-c", code)
    assert result.stdout.strip() == "[]", result.stderr


@pytest.mark.parametrize("verb", main.VERBS)
def test_every_verb_has_help_with_its_options(verb: str) -> None:
    result = dredge(verb, "--help")
    assert result.exit_code == 0
    assert result.output.startswith(f"Usage: dredge {verb}")


def test_unknown_verb_and_option_are_usage_errors() -> None:
    for words in (["frobnicate"], ["simulate", "--no-such"], ["simulate"]):
        result = dredge(*words)
        assert result.exit_code == 2
        assert result.output.startswith("dredge: ") and result.output.count("\n") == 1


def test_an_unknown_simd_level_is_a_usage_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DREDGE_SIMD", "mmx")
    result = dredge("simulate", "a.wav", "b.wav")
    assert result.exit_code == 2
    assert result.output.startswith("dredge: DREDGE_SIMD: ")
    assert "'mmx'" in result.output
    page = dredge("doctor")
    assert page.exit_code == 5
    assert "'mmx'" in page.output


def test_version() -> None:
    assert dredge("--version").output.startswith("dredge, version 0")


def test_no_verb_shows_help() -> None:
    for words, said in [((), "Start here:\n"), (("traces",), "Commands:\n"), (("models",), "Commands:\n")]:
        result = dredge(*words)
        assert said in result.output and result.output.startswith("Usage: dredge"), words


def test_a_talk_to_what_is_no_address_is_refused_before_a_card_is_opened() -> None:
    result = dredge("talk", "nothing")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "'nothing': expected udp://host:port" in result.stderr


def test_a_serial_port_that_is_not_there_is_named_once() -> None:
    result = dredge("talk", "serial:///dev/no-such-port", "--mic", "null", "--speaker", "null")
    assert result.exit_code == 3 and result.stderr.count("serial:///") == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--loss", "gilbert:rate=90%,burst=2"], "at most"),
        (["--loss", "x:y"], "unknown model"),
        (["--redundancy", "2"], "redundancy is 2 s"),
        (["--bitrate", "1"], "bitrate is 1 b/s"),
        (["--playout", "soon"], "expected fixed:"),
        (["--conceal", "none"], "'none' is not one of"),
        (["--seed", "x"], "not a valid integer"),
    ],
)
def test_bad_options_are_one_sentence_and_code_2(tmp_path: Path, options: list[str], words: str) -> None:
    source = tmp_path / "a.wav"
    soundfile.write(source, np.zeros(640, np.int16), 16000)
    result = dredge("simulate", str(source), str(tmp_path / "b.wav"), *options)
    assert result.exit_code == 2
    assert words in result.output
    assert "Traceback" not in result.output
    assert not (tmp_path / "b.wav").exists()


def test_bad_files_are_one_sentence_and_code_2(tmp_path: Path) -> None:
    damaged = tmp_path / "a.wav"
    damaged.write_bytes(b"no audio")
    for source, target in [
        (damaged, tmp_path / "b.wav"),
        (tmp_path / "missing.wav", tmp_path / "b.wav"),
        (damaged, tmp_path / "no" / "b.wav"),
    ]:
        result = dredge("simulate", str(source), str(target))
        assert result.exit_code == 2
        assert result.output.startswith("dredge: ")
        assert result.output.count("\n") == 1
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UnreachableError("nobody"), 3),
        (errors.VersionMismatch("old"), 4),
        (errors.CapabilityError("no sound card"), 5),
        (errors.CheckFailed("late"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exceptions_of_verbs_become_codes(monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int) -> None:
    @click.command()
    def command() -> None:
        raise error

    monkeypatch.setattr(main.VerbGroup, "get_command", lambda *_: command)
    result = dredge("doctor")
    assert result.exit_code == code
    assert "Traceback" not in result.output


def test_a_bug_is_shown_as_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(main.VerbGroup, "get_command", lambda *_: command)
    assert isinstance(dredge("doctor").exception, ZeroDivisionError)


def test_runs_as_a_module() -> None:
    result = python("-m", "dredge_host", "nonsense")
    assert result.returncode == 2
    assert "No such command" in result.stderr
    assert result.stdout == ""


def test_json_takes_numpy_and_has_null_for_what_is_no_number() -> None:
    text = to_json({"a": np.float32(0.5), "b": np.arange(2), "c": Path("x")})
    assert text.replace("\n", "").replace(" ", "") == '{"a":0.5,"b":[0,1],"c":"x"}'
    assert json.loads(to_json({"x": float("nan")})) == {"x": None}
    with pytest.raises(TypeError, match="object"):
        to_json({"a": object()})


def test_tables_align() -> None:
    assert table([["a", "1"], ["bb", "10"]], ["x", "n"]) == ["x   n", "a    1", "bb  10"]


def verbs(command, path=()):
    """Every command of the tree, with its name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from verbs(command.get_command(context, name), (*path, name))
    else:
        yield " ".join(path), command


def test_no_option_of_any_verb_takes_nan():
    """click's own real numbers let nan through, which is within every limit."""
    reals = (click.FloatRange, type(click.FLOAT))
    wrong = [
        f"{name} {option.name}"
        for name, command in verbs(main.cli)
        for option in command.params
        if isinstance(option.type, reals) and not isinstance(option.type, Number)
    ]
    assert wrong == []
