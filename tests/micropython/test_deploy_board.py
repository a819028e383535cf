# SPDX-License-Identifier: BSD-2-Clause
"""`dredge deploy --board` with the real mpremote, into the real interpreter behind a pseudo-terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import tty
from pathlib import Path

import boards
import interpreters
import pytest
from click.testing import CliRunner
from ports import free_port

from dredge_host.cli import main
from dredge_host.deploy import board as deployboard
from dredge_host.errors import CapabilityError, UnreachableError


@pytest.fixture
def board(tmp_path):
    """(device, folder with the board's files)."""
    command = interpreters.need(interpreters.native())
    folder = tmp_path / "flash"
    folder.mkdir()
    master, slave = pty.openpty()
    tty.setraw(slave)
    script = str(boards.FAKES / "rawrepl.py")
    process = subprocess.Popen(
        [*command, script], stdin=master, stdout=master, stderr=subprocess.DEVNULL, cwd=folder,
        env={**os.environ, "MICROPYPATH": f"{boards.FAKES}:.frozen"},
    )  # fmt: skip
    yield os.ttyname(slave), folder
    process.kill()
    process.wait()
    os.close(master)
    os.close(slave)


def deploy(*words):
    return CliRunner().invoke(main.cli, ["deploy", "--board", *words], env={"DREDGE_WIFI_PASSWORD": "secret"})


def test_a_board_gets_core_programs_and_settings(board):
    device, flash = board
    result = deploy(device, "--program", "bridge", "--ssid", "home", "--peer", "10.0.0.2:5004", "--baud", "115200")
    assert result.exit_code == 0, result.output
    settings = json.loads((flash / "dredge.json").read_text())
    assert settings == {
        "program": "bridge", "uart": {"baud": 115200}, "wifi": {"ssid": "home", "password": "secret"},
        "peer": "10.0.0.2:5004",
    }  # fmt: skip
    for path, place in deployboard.sources(interpreters.FIRMWARE):
        assert (flash / place).read_bytes() == path.read_bytes(), place
    assert "app.main()" in (flash / "main.py").read_text()
    assert not (flash / "dredge_device/pi").exists()
    assert not (flash / "dredge_device/__main__.py").exists()
    assert "secret" not in result.output


def test_what_was_copied_runs_there(board):
    """The files as they lie on the board, compiled, start the probe in the real interpreter."""
    device, flash = board
    listed = deployboard.install(device, interpreters.FIRMWARE, {"program": "probe", "port": free_port()}, "x64")
    assert listed == len(list(flash.rglob("*.*py"))) + 1
    assert not list((flash / "dredge_device").glob("*.py"))
    process = subprocess.Popen([*interpreters.native(), "main.py"], cwd=flash, stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, env={"MICROPYPATH": f"{flash}:.frozen"})  # fmt: skip
    try:
        assert process.stdout.readline().startswith("probe: udp port")
    finally:
        process.kill()
        process.communicate()


def test_an_exception_on_the_board_is_an_error_here(board):
    device, flash = board
    (flash / "dredge_device").write_text("a file where the folder should be")
    with pytest.raises(deployboard.BoardError, match=device):
        deployboard.install(device, interpreters.FIRMWARE, {}, None)
    assert not (flash / "main.py").exists(), "main.py must come last"


def test_nothing_old_shadows_what_is_new_and_everything_can_be_taken_away(board):
    """A .py is taken before the .mpy beside it; what is not ours stays."""
    device, flash = board
    deployboard.install(device, interpreters.FIRMWARE, {}, None, reset=False)
    (flash / "notes.txt").write_text("mine")
    deployboard.install(device, interpreters.FIRMWARE, {}, "x64", reset=False)
    assert {path.suffix for path in (flash / "dredge_device").iterdir()} == {".mpy"}
    deployboard.mpremote(device, "exec", deployboard.removal(deployboard.sources(interpreters.FIRMWARE)))
    assert [path.name for path in flash.iterdir()] == ["notes.txt"]


def test_a_dry_run_copies_nothing_and_options_of_the_pi_are_refused(tmp_path):
    planned = deploy(str(tmp_path / "no-port"), "--dry-run")
    assert planned.exit_code == 0 and "nothing was copied" in planned.output and "main.py" in planned.output
    sizes = json.loads(deploy(str(tmp_path / "no-port"), "--dry-run", "--json").stdout)
    assert sizes["bytes"] == sum(entry["bytes"] for entry in sizes["sizes"]) and sizes["files"] > 20
    for words in (["--playout", "adaptive"], ["--key-file", "key"], ["--out", "play"], ["--allow-remote"]):
        refused = deploy(str(tmp_path / "no-port"), *words)
        assert refused.exit_code == 2 and f"{words[0]} is for a Pi over ssh only" in refused.output
    other = CliRunner().invoke(main.cli, ["deploy", "pi@host", "--ssid", "home", "--dry-run"])
    assert other.exit_code == 2 and "--ssid is for --board only" in other.output


def test_programs_get_their_settings_and_what_cannot_be_is_refused(tmp_path):
    given = {"program": "intercom", "carrier": "uart", "gain": 5, "baud": 921600}
    assert deployboard.settings(given) == {
        "program": "intercom", "uart": {"baud": 921600}, "carrier": "uart", "microphone": {"gain": 5},
    }  # fmt: skip
    radio = {"program": "radio", "channel": 6, "peer": "24:6f:28:01:02:03", "baud": 115200}
    assert deployboard.settings(radio)["channel"] == 6
    for words, sentence in (
        (["--program", "microphone"], "needs --peer HOST:PORT"),
        (["--program", "speaker", "--carrier", "usb"], "reads USB too slowly"),
        (["--program", "bridge", "--carrier", "uart"], "--carrier is for a microphone or a loudspeaker"),
        (["--program", "speaker", "--gain", "3"], "--gain is for a microphone"),
        (["--program", "bridge", "--channel", "3"], "--channel is for --program radio"),
    ):
        refused = deploy(str(tmp_path / "no-port"), *words)
        assert refused.exit_code == 2 and sentence in refused.output, refused.output
    planned = deploy(str(tmp_path / "no-port"), "--program", "microphone", "--peer", "10.0.0.2:5006", "--dry-run")
    assert planned.exit_code == 0 and "dredge_board/audio/samples.py" in planned.output


def test_no_board_there():
    with pytest.raises(UnreachableError, match="/dev/no-such-port"):
        deployboard.mpremote("/dev/no-such-port", "exec", "pass")


def test_outside_a_clone_it_says_so(tmp_path):
    with pytest.raises(CapabilityError, match="clone of the repository"):
        deployboard.sources(tmp_path)


def test_package_and_manifest_list_what_deploy_copies(monkeypatch):
    package = json.loads((interpreters.FIRMWARE / "package.json").read_text())
    wanted = {place: path for path, place in deployboard.sources(interpreters.FIRMWARE)}
    assert {place for place, _ in package["urls"]} == set(wanted)
    for place, url in package["urls"]:
        assert interpreters.FIRMWARE / url == wanted[place]
    frozen = {}

    def freeze(name, files, base_path, opt):
        frozen.update({f"{name}/{file}": Path(base_path, name, file).resolve() for file in files})

    monkeypatch.chdir(interpreters.FIRMWARE)  # a port's build runs the manifest in its own folder
    exec(Path("manifest.py").read_text(), {"package": freeze})
    assert frozen == wanted
