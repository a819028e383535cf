# SPDX-License-Identifier: BSD-2-Clause
"""What would be done on the device, and the unit it leaves there."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from dredge_host.cli import main
from dredge_host.cli.live import deploy as cli_deploy
from dredge_host.deploy import deploy
from dredge_host.deploy.systemd_unit import NAME, TALK_NAME, Agent, TalkEnd, unit
from dredge_host.errors import CapabilityError, UsageError

PLAN = deploy.Plan(Path("dredge-0.1.0-cp311-abi3-manylinux_2_31_aarch64.whl"))
GOOD = {"machine": "aarch64", "python": "3.11", "root": "sudo", "systemd": "running"}


def dredge(*words):
    return CliRunner().invoke(main.cli, ["deploy", *words])


def test_a_pi_that_fits():
    deploy.require(PLAN, GOOD)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"machine": "armv7l"}, "64-bit systems only"),
        ({"python": "3.9"}, "3.11 or newer"),
        ({"python": ""}, "Python none"),
        ({"root": "no"}, "password-less sudo"),
        ({"systemd": "no"}, "--root DIR"),
    ],
)
def test_a_pi_that_does_not_fit_is_told_why(change, words):
    with pytest.raises(CapabilityError, match=words):
        deploy.require(PLAN, {**GOOD, **change})


def test_a_wheel_for_another_machine_is_refused():
    with pytest.raises(UsageError, match="make wheel-aarch64"):
        deploy.require(deploy.Plan(Path("dredge-0.1.0-cp311-abi3-manylinux_2_31_x86_64.whl")), GOOD)


def test_an_image_needs_no_running_systemd():
    deploy.require(deploy.Plan(PLAN.wheel, root="/mnt"), {**GOOD, "systemd": "no"})


@pytest.mark.parametrize("agent", [Agent(), Agent(out="play"), Agent(key_file="/etc/dredge.key", core=2)])
@pytest.mark.parametrize("root", ["/", "/mnt/a folder"])
def test_every_script_is_a_shell_script(agent, root):
    plan = deploy.Plan(PLAN.wheel, agent, root)
    for step in [*deploy.steps(plan, "/tmp/x.whl", "abc"), *deploy.removal(plan)]:
        for rights in ("yes", "sudo"):
            done = subprocess.run(["sh", "-n"], input=deploy.privileged(step, rights), text=True, capture_output=True)
            assert done.returncode == 0, step.title + done.stderr


def test_without_root_every_step_goes_through_sudo():
    step = deploy.Step("t", "id -u")
    assert deploy.privileged(step, "sudo").startswith("sudo -n sh -c ")
    assert "sudo" not in deploy.privileged(step, "yes")


def test_dry_run_prints_every_step_and_connects_to_nobody():
    result = dredge("nobody@host.invalid", "--dry-run", "--allow-remote")
    assert result.exit_code == 0
    for step in deploy.steps(PLAN, "x", "y"):
        assert f"# {step.title.split()[0]}" in result.stdout
    assert "systemctl restart" in result.stdout and "dredge doctor" in result.stdout
    assert "--listen udp://0.0.0.0:5004" in result.stdout
    document = json.loads(dredge("nobody@host.invalid", "--dry-run", "--json").stdout)
    assert document["schema"] == "dredge.deploy/1" and "[Service]" in document["unit"]


def test_other_packages_are_pinned_unless_they_are_not_wanted_so():
    (pinned,) = [s for s in deploy.steps(PLAN, "/tmp/d/x.whl", "abc") if s.title.startswith("install")]
    assert "--no-deps --require-hashes -r /tmp/d/device-lock.txt\n" in pinned.script
    assert deploy.digest(deploy.LOCK) in pinned.script
    keyed = deploy.Plan(PLAN.wheel, Agent(key_file="/k", out="play"), lock=None)
    (free,) = [s for s in deploy.steps(keyed, "/tmp/d/x.whl", "abc") if s.title.startswith("install")]
    assert "install -q --disable-pip-version-check --no-input /tmp/d/x.whl\n" in free.script
    assert "--require-hashes" not in free.script
    assert "--require-hashes" in dredge("nobody@host.invalid", "--dry-run").stdout
    assert "--require-hashes" not in dredge("nobody@host.invalid", "--dry-run", "--unpinned").stdout


def test_target_and_board_exclude_each_other():
    for words in ([], [""], ["--board", ""], ["pi@host", "--board", "/dev/ttyACM0"]):
        result = dredge(*words)
        assert result.exit_code == 2 and "--board" in result.stderr


def test_unit_has_what_was_asked_for():
    text = unit(Agent(out="play", core=3, listen="serial:///dev/ttyAMA0?baud=921600"), "/opt/dredge/venv/bin/dredge")
    lines = text.splitlines()
    exec_start = next(line for line in lines if line.startswith("ExecStart="))
    assert "--core 3" in exec_start and "--realtime --lock-memory" in exec_start
    assert "DeviceAllow=char-alsa rw" in lines and "DeviceAllow=/dev/ttyAMA0 rw" in lines
    for line in ("LimitRTPRIO=50", "LimitMEMLOCK=infinity", "Restart=always", "DynamicUser=yes", "NoNewPrivileges=yes"):
        assert line in lines


def test_a_service_leaves_to_its_configuration_file_what_was_not_asked_for():
    for agent, name in ((Agent(), "agent"), (TalkEnd(), "talk")):
        text = unit(agent, "/opt/dredge/venv/bin/dredge")
        assert f"# Other options: /etc/dredge/{name}.toml; `/opt/dredge/venv/bin/dredge {name} --print-config`" in text
        assert "--playout" not in text and "--status" not in text
    text = unit(Agent(playout="adaptive", status="mqtt://pi/a b"), "/x")
    assert "--playout adaptive --status 'mqtt://pi/a b'" in text


def test_the_board_is_measured_before_its_service_starts_and_the_service_is_given_the_result():
    made = "/opt/dredge/calibration.json"
    titles = [step.title for step in deploy.steps(PLAN, "/tmp/x.whl", "sum")]
    assert titles.index("measure this board (two seconds)") < titles.index(f"unit {PLAN.unit_path}")
    text = unit(Agent(), "/x", made)
    assert f" DREDGE_CALIBRATION={made}" in text and "--vocoder" not in text
    image = deploy.steps(deploy.Plan(PLAN.wheel, root="/mnt"), "/x", "sum")
    assert not any(step.title.startswith("measure") for step in image)
    document = json.loads(dredge("pi@x", "--dry-run", "--vocoder", "small", "--json").stdout)
    assert "--vocoder small" in document["unit"]


def test_a_board_is_measured_once_for_every_wheel(tmp_path):
    """The script itself, with a program that keeps what it was told to measure."""
    plan = deploy.Plan(PLAN.wheel, prefix=str(tmp_path))
    program = tmp_path / "venv/bin/dredge"
    program.parent.mkdir(parents=True)
    program.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\necho "{{}}" >"$DREDGE_CALIBRATION"\nexit 5\n')
    program.chmod(0o755)
    (step,) = [s for s in deploy.steps(plan, "/tmp/x.whl", "sum") if s.title.startswith("measure")]
    for wheel, outcome in (("one", deploy.DONE), ("one", deploy.ALREADY), ("two", deploy.DONE)):
        (tmp_path / "wheel.sha256").write_text(wheel)
        script = deploy.privileged(step, "yes")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == outcome
    assert (tmp_path / "calls").read_text() == "doctor --json\n" * 2
    assert (tmp_path / "calibration.json").stat().st_mode & 0o777 == 0o644


def test_the_options_of_a_board_are_written_once_and_then_its_owner_s(tmp_path):
    plan = deploy.Plan(PLAN.wheel, root=str(tmp_path))
    (step,) = [s for s in deploy.steps(plan, "/tmp/x.whl", "sum") if s.title.startswith("options")]

    def outcome():
        script = deploy.privileged(step, "yes")
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
        return done.stdout.splitlines()[-1]

    path = tmp_path / "etc/dredge/agent.toml"
    assert outcome() == deploy.DONE and path.stat().st_mode & 0o777 == 0o644
    shown = CliRunner().invoke(main.cli, ["agent", "--config", str(path), "--print-config"]).stdout
    assert f'vocoder = "auto"  # {path}' in shown
    path.write_text("streams = 2\n")
    assert outcome() == deploy.ALREADY and path.read_text() == "streams = 2\n"


def test_the_command_passes_a_status_on():
    document = json.loads(dredge("pi@x", "--dry-run", "--status", "http://127.0.0.1:9004", "--json").stdout)
    assert "--status http://127.0.0.1:9004" in document["unit"]


def test_a_key_is_a_credential_and_not_an_argument():
    text = unit(Agent(key_file="/etc/dredge.key"), "/opt/dredge/venv/bin/dredge")
    assert "LoadCredential=key:/etc/dredge.key" in text
    assert "--key-file ${CREDENTIALS_DIRECTORY}/key" in text
    assert "--allow-remote" not in text


def test_percent_signs_are_not_specifiers():
    assert "a%%b.wav" in unit(Agent(out="a%b.wav"), "/x/dredge")


REMOTE = {"listen": "udp://0.0.0.0:5004", "key_file": "/etc/k"}


@pytest.mark.parametrize(
    ("agent", "has", "has_not"),
    [
        (
            Agent(),
            ["IPAddressDeny=any", "IPAddressAllow=localhost", "PrivateDevices=yes", "PrivateUsers=yes"],
            ["SupplementaryGroups", "PrivateNetwork", "DeviceAllow"],
        ),
        (Agent(**REMOTE), ["RestrictAddressFamilies=AF_INET AF_INET6"], ["IPAddress", "AF_UNIX"]),
        (
            Agent(out="board:///dev/ttyACM0?baud=921600"),
            ["DeviceAllow=/dev/ttyACM0 rw", "SupplementaryGroups=dialout", "IPAddressAllow=localhost"],
            ["audio", "PrivateDevices"],
        ),
        (Agent(out="udp-pcm://192.168.1.40:5004"), ["PrivateDevices=yes"], ["IPAddress", "dialout"]),
        (
            TalkEnd(call="serial:///dev/ttyAMA0", mic="udp-pcm://:5006", out="board://auto"),
            ["DeviceAllow=/dev/ttyAMA0 rw", "DeviceAllow=char-ttyACM rw", "RestrictAddressFamilies=AF_INET AF_INET6"],
            ["PrivateNetwork", "IPAddress", "audio"],
        ),
        (
            Agent(**REMOTE, out="play"),
            ["SupplementaryGroups=audio", "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6"],
            ["PrivateDevices", "PrivateUsers", "dialout"],
        ),
        (
            Agent(listen="serial:///dev/ttyAMA0"),
            ["PrivateNetwork=yes", "IPAddressDeny=any", "RestrictAddressFamilies=none", "SupplementaryGroups=dialout"],
            ["IPAddressAllow", "audio", "PrivateDevices"],
        ),
        (
            Agent(listen="socket://10.0.0.1:7"),
            ["RestrictAddressFamilies=AF_INET AF_INET6"],
            ["PrivateNetwork", "IPAddressDeny"],
        ),
        (Agent(status="http://127.0.0.1:9004"), ["IPAddressDeny=any", "IPAddressAllow=localhost"], ["PrivateNetwork"]),
        (Agent(status="mqtt://broker/dredge"), ["RestrictAddressFamilies=AF_INET AF_INET6"], ["IPAddressDeny"]),
        (
            Agent(listen="serial:///dev/ttyAMA0", status="http://127.0.0.1:9004"),
            ["IPAddressDeny=any", "IPAddressAllow=localhost", "RestrictAddressFamilies=AF_INET AF_INET6"],
            ["PrivateNetwork"],
        ),
    ],
)  # fmt: skip
def test_the_walls_are_as_close_as_the_options_allow(agent, has, has_not):
    lines = unit(agent, "/x/dredge").splitlines()
    for line in has:
        assert line in lines
    for word in has_not:
        assert not any(word in line for line in lines), word


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd")
@pytest.mark.parametrize(
    ("agent", "exposure"),  # in tenths, as --threshold takes it: what was measured, and a little
    [
        (Agent(), 13),
        (Agent(**REMOTE), 15),
        (Agent(**REMOTE, out="play"), 19),
        (Agent(listen="serial://auto"), 11),
    ],
)
def test_systemd_understands_the_unit_and_finds_it_shut(agent, exposure, tmp_path):
    path = tmp_path / NAME
    path.write_text(unit(agent, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", str(path)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if NAME in line]
    assert complaints == [], done.stderr
    words = ["systemd-analyze", "security", "--offline=yes", f"--threshold={exposure}", str(path)]
    score = subprocess.run(words, capture_output=True, text=True)
    assert score.returncode == 0, score.stdout[-600:] + score.stderr


def test_reasons_of_a_failed_check_are_shown():
    document = {"pass": False, "patterns": [{"name": "harsh", "reasons": ["3 packets took too long"]}]}
    assert cli_deploy._report({"check": document}) == ["check: FAIL", "  harsh: 3 packets took too long"]


def test_one_end_of_a_talk_is_a_service_of_its_own():
    end = TalkEnd(call="udp://other:5004", key_file="/etc/dredge.key", listen="udp://0.0.0.0:5004", half_duplex=True)
    text = unit(end, "/opt/dredge/venv/bin/dredge")
    line = next(line for line in text.splitlines() if line.startswith("ExecStart="))
    assert "dredge talk udp://other:5004 --listen udp://0.0.0.0:5004 --mic mic --speaker speaker" in line
    assert "--half-duplex" in line and "--realtime" in line and "--playout" not in line, "talk's own is adaptive"
    assert "IPAddressDeny" not in text and "IPAddressDeny" not in unit(TalkEnd(call="udp://other:5004"), "/x")
    assert "WatchdogSec=45" in text and "NotifyAccess=main" in text and "Watchdog" not in unit(Agent(), "/x")
    assert "DeviceAllow=char-alsa rw" in text and "SupplementaryGroups=audio" in text
    assert f"Conflicts={NAME}" in text and f"Conflicts={TALK_NAME}" in unit(Agent(), "/x")
    wire = unit(TalkEnd(call="serial:///dev/ttyAMA0?baud=921600"), "/x")
    assert "--listen" not in wire and "DeviceAllow=/dev/ttyAMA0 rw" in wire and "PrivateNetwork=yes" in wire


def test_the_command_deploys_one_end_of_a_talk():
    found = dredge("pi@x", "--dry-run", "--talk", "--key-file", "/etc/k", "--call", "udp://other:5004", "--json")
    document = json.loads(found.stdout)
    assert found.exit_code == 0 and "dredge talk udp://other:5004" in document["unit"]
    steps = "\n".join(document["steps"])
    assert TALK_NAME in steps and "libportaudio2" in steps
    assert dredge("pi@x", "--dry-run", "--call", "udp://other:5004").exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--peer", "192.168.1.20"], "expected HOST:PORT"),
        (["--peer", "pi:70000"], "expected HOST:PORT"),
        (["--program", "radio", "--peer", "192.168.1.20:5006"], "MAC address"),
        (["--program", "radio", "--peer", "24:6f:28:aa:bb"], "MAC address"),
        (["--arch", "armv9"], "armv6m"),
    ],
)
def test_what_a_board_would_not_start_with_is_refused(words: list[str], said: str) -> None:
    result = dredge("--board", "/dev/ttyACM0", "--dry-run", *words)
    assert result.exit_code == 2 and said in result.stderr and result.stderr.count("\n") == 1


def test_a_password_is_not_asked_for_where_there_is_no_terminal() -> None:
    result = dredge("--board", "/dev/ttyACM0", "--ssid", "home")
    assert result.exit_code == 2 and "DREDGE_WIFI_PASSWORD" in result.stderr
