# SPDX-License-Identifier: BSD-2-Clause
"""Options of the device: both command lines have every row of the table, and a host's request is checked."""

import re
from dataclasses import fields

import pytest
from click.testing import CliRunner

from dredge_device.__main__ import main
from dredge_device.pi.service.options import OPTIONS, Options, SessionOptions, from_values
from dredge_host.cli.live import agent
from dredge_host.settings import Settings
from dredge_models import vocoders

DEFAULTS = {option.field: option.initial() for option in OPTIONS}


def test_both_command_lines_have_every_option(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    by_argparse, by_click = capsys.readouterr().out, CliRunner().invoke(agent.command, ["--help"]).output
    for option in OPTIONS:
        for text in (by_argparse, by_click):
            assert f"--{option.name}" in text
            assert option.help.split(" ")[0].strip(".;:") in text


def test_a_command_line_without_options_gives_the_defaults():
    assert from_values(DEFAULTS) == Options()
    covered = {option.field for option in OPTIONS} - {"playout"} | {"playout_ms", "adaptive"}
    assert covered == {field.name for field in fields(Options)}


def test_values_arrive_where_they_belong():
    options = from_values({**DEFAULTS, "playout": "adaptive:300", "lbrr": False, "core": 3, "vocoder": "small"})
    assert options == Options(playout_ms=300, adaptive=True, lbrr=False, core=3, vocoder="small")
    assert options.for_session() == {
        "playout_ms": 300, "adaptive": True, "conceal": "dred", "lbrr": False, "vocoder": "small",
        "opus_complexity": 0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ({"playout_ms": "5"}, "playout_ms is '5', expected an integer"),
        ({"playout_ms": True}, "playout_ms is True, expected an integer"),
        ({"playout_ms": 5001}, "playout is 5001 ms, expected 0 to 5000 ms"),
        ({"lbrr": 1}, "lbrr is 1, expected true or false"),
        ({"conceal": None}, "conceal is None, expected a string"),
        ({"conceal": "magic"}, "conceal is 'magic', expected one of dred, plc, opus"),
        ({"vocoder": "parrot"}, "vocoder is 'parrot', expected one of standard, small, lpcnet, fargan"),
    ],
)
def test_a_host_that_asks_for_nonsense_is_told_what_is_expected(wanted, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        SessionOptions.checked(wanted)


def test_names_that_a_device_does_not_know_are_passed_over():
    assert SessionOptions.checked({"ssrc": 5, "padding": "...", "playout_ms": 60}) == SessionOptions(playout_ms=60)


def test_the_host_sends_what_the_device_takes():
    settings = Settings(playout_ms=300, adaptive=True, conceal="plc", vocoder="small")
    assert SessionOptions.checked(settings.for_session()).for_session() == settings.for_session()


WRONG = [["--streams", "65"], ["--vocoder", "parrot"], ["--playout", "later"], ["--core", "-1"]]


@pytest.mark.parametrize("arguments", WRONG)
def test_both_command_lines_refuse_the_same(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        main(arguments)
    assert left.value.code == 2 and arguments[0].strip("-") in capsys.readouterr().err
    refused = CliRunner().invoke(agent.command, arguments)
    assert refused.exit_code != 0


def test_the_default_vocoder_is_the_class_s_own_default():
    from dredge_models.vocoder import Vocoder

    assert vocoders.open_vocoder().model_id == Vocoder().model_id
    assert vocoders.present()[0] == vocoders.DEFAULT and "lpcnet" not in vocoders.present()
    assert all(not entry.stand_in or entry.stand_in in vocoders.VOCODERS for entry in vocoders.VOCODERS.values())
