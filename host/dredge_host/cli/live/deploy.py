# SPDX-License-Identifier: BSD-2-Clause
"""`dredge deploy`"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dredge_device.pi.calibration.calibration import GIVEN
from dredge_device.pi.transport.schemes import UDP, scheme_of
from dredge_host.cli.options import Given, Whole, device_options, json_option
from dredge_host.console import emit
from dredge_host.deploy import deploy
from dredge_host.deploy.board import ARCHITECTURES, CARRIERS, PROGRAMS
from dredge_host.deploy.ssh import Remote, RemoteError
from dredge_host.deploy.systemd_unit import Agent, TalkEnd, unit
from dredge_host.errors import CheckFailed, DredgeError, UsageError

SCHEMA = "dredge.deploy/1"
EPILOG = """\b
Examples
  dredge deploy pi@raspberrypi --allow-remote            builds the wheel, installs, starts, measures
  dredge deploy pi@raspberrypi --key-file /etc/dredge.key --out speaker
  dredge deploy pi@raspberrypi --key-file /etc/dredge.key --talk --call udp://other:5004
  dredge deploy pi@raspberrypi --dry-run                 prints every step
  dredge deploy pi@raspberrypi --uninstall
  dredge deploy --board /dev/ttyACM0 --program bridge --ssid home --arch armv6m
  dredge deploy --board /dev/ttyUSB0 --program intercom --ssid home --peer 192.168.1.20:5006

\b
The Wi-Fi password of --board is read from DREDGE_WIFI_PASSWORD, or asked for.
"""


# A negative verdict is a document as well; without a document, the text on standard error is the reason.
_SAID = """\
said=$({command} 2>/tmp/dredge-said.$$) || true
if [ -z "$said" ]; then cat /tmp/dredge-said.$$ >&2; rm -f /tmp/dredge-said.$$; exit 1; fi
rm -f /tmp/dredge-said.$$
printf '%s\\n' "$said"
"""


def repository() -> Path | None:
    """Return the clone that this program runs from, None if it is installed."""
    root = Path(__file__).resolve().parents[4]
    return root if (root / "scripts/wheel.sh").exists() else None


def build_wheel(machine: str) -> Path:
    """Return a wheel for the machine (aarch64 or x86_64), made by scripts/wheel.sh."""
    root = repository()
    if root is None:
        raise UsageError("no clone of the repository here to build a wheel from; name one with --wheel FILE")
    target = "aarch64" if machine == "aarch64" else "native"
    click.echo(f"building a wheel for {machine} (half a minute)", err=True)
    done = subprocess.run([str(root / "scripts/wheel.sh"), target], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise DredgeError("the wheel was not built; see above")
    return Path(done.stdout.strip().splitlines()[-1])


def _tell(title: str, outcome: str) -> None:
    click.echo(f"{outcome:<12}{title}", err=True)


def dry_run(plan: deploy.Plan) -> list[str]:
    """Return every step with its script, without connecting."""
    place = f"/tmp/.../{plan.wheel.name}"
    lines = [f"# copy {plan.wheel} to {place}"]
    for step in deploy.steps(plan, place, "SHA-256-of-the-wheel"):
        lines += ["", f"# {step.title}", step.script]
    return [*lines, "", "# doctor and check", f"{plan.program} doctor", shlex.join(_check_words(plan))]


def _check_words(plan: deploy.Plan) -> list[str]:
    """Return the command line of `dredge check` on the device: of the running agent, or of one of its own without a
    socket.
    """
    words = [plan.program, "check", "--json"]
    # An end of a talk may be in a call: then the device checks an agent of its own.
    running = plan.live and not isinstance(plan.agent, TalkEnd)
    if running and scheme_of(plan.agent.listen) is UDP:
        words += ["--to", plan.agent.listen.replace("0.0.0.0", "127.0.0.1")]
    if plan.agent.key_file and running:
        words += ["--key-file", plan.agent.key_file]
    return words


def verdicts(remote: Remote, plan: deploy.Plan, rights: str) -> dict[str, Any]:
    """Return the JSON documents of doctor and check on the device, {"error": ...} where one gave none."""
    found = {}
    doctor = ["env", f"{GIVEN}={plan.calibration}", plan.program, "doctor", "--json"]
    for name, words in (("doctor", doctor), ("check", _check_words(plan))):
        # Only root may read the key.
        step = deploy.Step(name, _SAID.format(command=shlex.join(words)), as_root=name == "check")
        try:
            found[name] = json.loads(remote.run(deploy.privileged(step, rights)))
        except (ValueError, RemoteError) as error:
            found[name] = {"pass": False, "error": str(error)}
    return found


def _report(found: dict[str, Any]) -> list[str]:
    lines = []
    for name, document in found.items():
        lines.append(f"{name}: {'pass' if document.get('pass') else 'FAIL'}")
        if "error" in document:
            lines.append(f"  {document['error']}")
        for pattern in document.get("patterns", []):
            lines += [f"  {pattern['name']}: {reason}" for reason in pattern["reasons"]]
        for finding in document.get("findings", []):
            if finding["name"] == "calibration" and finding["state"] == "ok":
                lines.append(f"  {finding['value']}")
            if finding["state"] in ("warn", "fail"):
                lines.append(f"  {finding['state']} {finding['name']}: {finding['value']} -> {finding['advice']}")
    return lines


def to_board(given: Given) -> tuple[dict[str, object], list[str]]:
    """Install, list or remove the MicroPython programs; return the result as a document and as lines."""
    from dredge_host.deploy import board

    root = repository()
    if root is None:
        raise UsageError("the board programs are in the repository; run this in a clone of it")
    firmware, device, ssid = root / "firmware", given["board"], given["ssid"]
    if given["uninstall"]:
        if given["dry_run"]:
            return {"schema": SCHEMA, "pass": True, "removes": [place for _, place in board.sources(firmware)]}, [
                f"would take away {len(board.sources(firmware)) + 2} files from {device}"
            ]
        board.uninstall(device, firmware)
        return {"schema": SCHEMA, "pass": True, "uninstalled": True}, [f"{device}: the programs were taken away"]
    board.settings(given)  # checks the options before asking for a password
    password = os.environ.get("DREDGE_WIFI_PASSWORD")
    if ssid and password is None and not given["dry_run"]:
        if not sys.stdin.isatty():
            raise UsageError("no terminal to ask for the Wi-Fi password; put it into DREDGE_WIFI_PASSWORD")
        password = click.prompt("Wi-Fi password", hide_input=True, default="", show_default=False, err=True)
    document = board.settings(given, password)
    sizes = board.planned(firmware, document, given["arch"])
    total = sum(size for _, size in sizes)
    files = [{"file": place, "bytes": size} for place, size in sizes]
    result = {"schema": SCHEMA, "pass": True, "files": len(sizes), "bytes": total, "sizes": files}
    lines = [f"{size:>7}  {place}" for place, size in sizes] + [f"{total:>7}  bytes in {len(sizes)} files"]
    if given["dry_run"]:
        return result, [*lines, f"nothing was copied to {device}"]
    board.install(device, firmware, document, given["arch"])
    return result, [*lines, f"copied to {device}; the board has started"]


# Options of `dredge deploy` that apply to boards only.
FOR_BOARDS = ("program", "ssid", "peer", "baud", "arch", "carrier", "gain", "channel")
FOR_BOTH = ("board", "dry_run", "uninstall", "as_json", "target")


def refuse_others(to_a_board: bool) -> None:
    """Raise UsageError for an option on the command line that does not apply to the target."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in FOR_BOTH or (name in FOR_BOARDS) == to_a_board:
            continue
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            place = "a Pi over ssh" if to_a_board else "--board"
            raise UsageError(f"{parameter.opts[0]} is for {place} only; leave it away")


@click.command(epilog=EPILOG)
@click.argument("target", required=False, metavar="[USER@HOST]")
@click.option("--wheel", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Default: build one.")
@click.option("--listen", default="", help="As in `dredge agent`.  [default: this machine, or all with --allow-remote]")
@click.option("--out", help="null, speaker[:NAME], NAME.wav (in /var/lib/dredge).  [default: null; --talk: speaker]")
@click.option("--playout", help="fixed:<ms> or adaptive.  [default: the board's configuration file, or the verb's own]")
@device_options("status", "vocoder", unset=True)
@click.option("--talk", is_flag=True, help="One end of `dredge talk` instead of the agent.")
@click.option("--call", metavar="URL", help="With --talk: the end to call until it answers.  [default: wait]")
@click.option("--mic", default="mic", show_default=True, help="With --talk.")
@click.option("--half-duplex", is_flag=True, help="With --talk: turn the microphone down while the other end speaks.")
@click.option("--allow-remote", is_flag=True, help="Listen where other machines can reach it, without a key.")
@click.option("--key-file", help="Path of the key on the device; the agent then listens on all addresses.")
@click.option("--core", type=Whole(0), help="Decode on this core.")
@click.option("--unpinned", is_flag=True, help="Let pip choose versions; else they and their SHA-256 are fixed.")
@click.option("--port", type=Whole(1, 65535), help="Port of the ssh server.")
@click.option("--ssh-config", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="As ssh -F.")
@click.option("--root", default="/", show_default=True, help="Install below this folder; start nothing.")
@click.option("--dry-run", is_flag=True, help="Print every step without connecting.")
@click.option("--uninstall", is_flag=True, help="Remove everything but recordings and options.")
@click.option("--board", metavar="DEV", help="A MicroPython board instead: its serial port, or auto.")
@click.option("--program", type=click.Choice(PROGRAMS), default=PROGRAMS[0], show_default=True, help="With --board.")
@click.option("--carrier", type=click.Choice(CARRIERS), help="Carrier of a board's samples.  [default: wifi]")
@click.option("--gain", type=Whole(0, 8), help="Gain of a board's microphone, in steps of 6 dB.  [default: 4]")
@click.option("--channel", type=Whole(1, 13), help="Channel of --program radio (ESP-NOW).")
@click.option("--ssid", help="Wi-Fi network of the board.")
@click.option("--peer", help="HOST:PORT that a bridge calls or a microphone sends to; a radio's MAC.")
@click.option("--baud", type=Whole(1200), default=921600, show_default=True, help="UART of the board.")
@click.option(
    "--arch",
    type=click.Choice(ARCHITECTURES),
    help="Compile for armv6m (Pico W), armv7emsp (Pico 2 W), xtensawin (ESP32) or another processor.",
)
@json_option
def command(target: str | None, as_json: bool, **given: Any) -> None:
    """Install the agent on a Raspberry Pi over ssh, or a program on a MicroPython board.

    On the Pi: a virtual environment in /opt/dredge, a sandboxed systemd unit with real-time permissions, then
    `dredge doctor` and `dredge check` there. A second run changes only what is different. Exit code 1 when the
    verdict is no.
    """
    if bool(target) == bool(given["board"]):
        raise UsageError("expected one of USER@HOST and --board DEV")
    refuse_others(bool(given["board"]))
    if given["board"]:
        emit(*to_board(given), as_json)
        return
    assert target is not None
    agent = agent_from(given)
    lock = None if given["unpinned"] else deploy.LOCK
    plan = deploy.Plan(given["wheel"] or Path("dredge-VERSION-aarch64.whl"), agent, given["root"], lock=lock)
    if given["dry_run"]:
        lines = dry_run(plan) if not given["uninstall"] else [s.script for s in deploy.removal(plan)]
        emit({"schema": SCHEMA, "unit": unit(agent, plan.program), "steps": lines}, lines, as_json)
        return
    with Remote(target, given["ssh_config"], given["port"]) as remote:
        there = deploy.look(remote)
        if given["uninstall"]:
            for step in deploy.removal(plan):
                _tell(step.title, remote.run(deploy.privileged(step, there.get("root", "no"))).splitlines()[-1])
            emit({"schema": SCHEMA, "pass": True, "uninstalled": True}, ["removed"], as_json)
            return
        if given["wheel"] is None:
            machine = deploy.MACHINES.get(there.get("machine", ""), "aarch64")
            plan = replace(plan, wheel=build_wheel(machine))
        deploy.require(plan, there)
        _tell(f"{target}: {there.get('board') or there['machine']}, Python {there['python']}", "found")
        deploy.carry_out(remote, plan, there["root"], _tell)
        found = verdicts(remote, plan, there["root"])
    passed = all(document.get("pass") for document in found.values())
    emit({"schema": SCHEMA, "pass": passed, "device": there, **found}, _report(found), as_json)
    if not passed:
        raise CheckFailed(f"{target}: installed, but not fit yet; see above")


def agent_from(given: Given) -> Agent:
    """Return the options of the agent, or of one end of a talk, from those of the command."""
    reachable = given["allow_remote"] or given["key_file"]
    words = {name: given[name] for name in ("out", "playout", "status", "vocoder") if given[name] is not None}
    words.update({name: given[name] for name in ("allow_remote", "key_file", "core")})
    words["listen"] = given["listen"] or ("udp://0.0.0.0:5004" if reachable else "udp://127.0.0.1:5004")
    if given["talk"]:
        return TalkEnd(call=given["call"], mic=given["mic"], half_duplex=given["half_duplex"], **words)
    if given["call"] or given["half_duplex"]:
        raise UsageError("--call and --half-duplex belong to --talk")
    return Agent(**words)
