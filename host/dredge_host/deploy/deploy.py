# SPDX-License-Identifier: BSD-2-Clause
"""Installation of the agent on a Raspberry Pi as steps, each of which is safe to repeat."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from dredge_device.pi.calibration.calibration import GIVEN
from dredge_host.deploy.ssh import Remote
from dredge_host.deploy.systemd_unit import NAME, STATE, TALK_NAME, Agent, unit
from dredge_host.errors import CapabilityError, UsageError

DONE, ALREADY = "done", "already so"
LOCK = Path(__file__).parents[1] / "assets/device-lock.txt"  # written by scripts/lock.sh
MACHINES = {"aarch64": "aarch64", "arm64": "aarch64", "x86_64": "x86_64"}

_LOOK = """\
printf 'machine=%s\\n' "$(uname -m)"
printf 'python=%s\\n' "$(python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)"
printf 'board=%s\\n' "$(tr -d '\\0' 2>/dev/null </proc/device-tree/model)"
printf 'root=%s\\n' "$([ "$(id -u)" = 0 ] && echo yes || { sudo -n true 2>/dev/null && echo sudo || echo no; })"
printf 'systemd=%s\\n' "$([ -d /run/systemd/system ] && echo running || echo no)"
"""


@dataclass(frozen=True)
class Plan:
    """The wanted installation.

    `root`: another root folder on the device, for images and tests; nothing is started then. `lock`: the packages that
    are installed beside the wheel, with versions and sums; None lets pip choose from the wheel's own ranges.
    """

    wheel: Path
    agent: Agent = field(default_factory=Agent)
    root: str = "/"
    prefix: str = "/opt/dredge"
    lock: Path | None = LOCK

    @property
    def folder(self) -> str:
        """The folder of the installed program, as a path on the running device."""
        return self.root.rstrip("/") + self.prefix

    @property
    def unit_path(self) -> str:
        return f"{self.root.rstrip('/')}/etc/systemd/system/{self.agent.name}"

    @property
    def live(self) -> bool:
        """Whether the service is started."""
        return self.root == "/"

    @property
    def program(self) -> str:
        return f"{self.folder}/venv/bin/dredge"

    @property
    def calibration(self) -> str:
        """The file on the device that keeps its measurement, as the service sees it."""
        return f"{self.prefix}/calibration.json"


@dataclass(frozen=True)
class Step:
    """One step: `script` runs on the device and prints DONE or ALREADY, with root rights if `as_root`."""

    title: str
    script: str
    as_root: bool = True


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def steps(plan: Plan, uploaded: str, wheel_sum: str) -> list[Step]:
    """Return the steps after the wheel was copied to the path `uploaded` on the device."""
    listed = [_packages(plan), _environment(plan), _install(plan, uploaded, wheel_sum)]
    # An image is measured later, on the board that boots it.
    if plan.live:
        return [*listed, _measure(plan), _options(plan), _unit(plan), _start(plan)]
    return [*listed, _options(plan), _unit(plan), _enable(plan)]


def _say(condition: str, action: str) -> str:
    return f"if {condition}; then echo '{ALREADY}'; else\n{action}\necho {DONE}; fi"


def _packages(plan: Plan) -> Step:
    need = {"python3-venv": "python3 -c 'import ensurepip, venv' 2>/dev/null"}
    if plan.agent.plays:
        need["libportaudio2"] = "ldconfig -p | grep -q libportaudio.so.2"
    tests = " && ".join(f"{{ {test}; }}" for test in need.values())
    apt = "export DEBIAN_FRONTEND=noninteractive\n{ apt-get update -qq && apt-get install -y -qq " + " ".join(need)
    return Step(f"packages: {', '.join(need)}", _say(tests, apt + "; } >/dev/null"))


def _environment(plan: Plan) -> Step:
    venv = shlex.quote(f"{plan.folder}/venv")
    action = f"mkdir -p {shlex.quote(plan.folder)}\npython3 -m venv {venv}"
    return Step(f"virtual environment {plan.folder}/venv", _say(f"{venv}/bin/python -c ''  2>/dev/null", action))


def _install(plan: Plan, uploaded: str, wheel_sum: str) -> Step:
    python = shlex.quote(f"{plan.folder}/venv/bin/python")
    mark = shlex.quote(f"{plan.folder}/wheel.sha256")
    pip = f"{python} -m pip install -q --disable-pip-version-check --no-input"
    if plan.lock is not None:
        wanted = f"{wheel_sum} {digest(plan.lock)}"
        others = f"--no-deps --require-hashes -r {shlex.quote(_beside(uploaded, plan.lock))}"
    else:
        wanted = wheel_sum
        others = shlex.quote(uploaded)
    action = (
        f"{pip} {others}\n"
        # The version may be equal to the installed one, so the wheel is reinstalled by content.
        f"{pip} --force-reinstall --no-deps {shlex.quote(uploaded)}\n"
        f"printf '%s' {shlex.quote(wanted)} >{mark}"
    )
    return Step(f"install {plan.wheel.name}", _say(f'[ "$(cat {mark} 2>/dev/null)" = {shlex.quote(wanted)} ]', action))


def _beside(uploaded: str, lock: Path) -> str:
    """Return the place of the lock on the device."""
    return f"{uploaded.rpartition('/')[0]}/{lock.name}"


def _measure(plan: Plan) -> Step:
    """Return the step that measures the board, while the service is stopped so that nothing else decodes."""
    made, wheel = shlex.quote(plan.calibration), shlex.quote(f"{plan.folder}/wheel.sha256")
    action = (
        f"systemctl stop {plan.agent.name} 2>/dev/null || true\n"
        f"{GIVEN}={made} {shlex.quote(plan.program)} doctor --json >/dev/null 2>&1 || true\n"
        f"if [ -s {made} ]; then chmod 644 {made}; cp {wheel} {made}.wheel; fi"
    )
    return Step("measure this board (two seconds)", _say(f"[ -s {made} ] && cmp -s {wheel} {made}.wheel", action))


def _options(plan: Plan) -> Step:
    """Return the step that writes the options once, so that later changes by the device's owner are kept."""
    place = f"{plan.root.rstrip('/')}{plan.agent.configuration}"
    path = shlex.quote(place)
    text = shlex.quote(plan.agent.options(f"{plan.prefix}/venv/bin/dredge"))
    action = f"mkdir -p $(dirname {path})\nprintf '%s' {text} >{path}.new\nchmod 644 {path}.new\nmv {path}.new {path}"
    return Step(f"options {place} (yours from then on)", _say(f"[ -e {path} ]", action))


def _unit(plan: Plan) -> Step:
    # In an image the paths of the unit are without the image's root folder.
    text = unit(plan.agent, f"{plan.prefix}/venv/bin/dredge", plan.calibration)
    path = shlex.quote(plan.unit_path)
    action = f"mkdir -p $(dirname {path})\nprintf '%s' {shlex.quote(text)} >{path}.new\nmv {path}.new {path}"
    return Step(f"unit {plan.unit_path}", _say(f"printf '%s' {shlex.quote(text)} | cmp -s - {path}", action))


def _enable(plan: Plan) -> Step:
    name = plan.agent.name
    link = shlex.quote(f"{plan.root.rstrip('/')}/etc/systemd/system/multi-user.target.wants/{name}")
    action = f"systemctl --root={shlex.quote(plan.root)} enable {name} >/dev/null 2>&1"
    return Step(f"enable {name} (starts with the image)", _say(f"[ -L {link} ]", action))


def _start(plan: Plan) -> Step:
    name = plan.agent.name
    stamp = shlex.quote(f"{plan.folder}/started")
    files = (f"{plan.folder}/wheel.sha256", plan.unit_path, plan.agent.configuration)
    inputs = f"$(cat {' '.join(map(shlex.quote, files))} | sha256sum)"
    condition = f'[ "{inputs}" = "$(cat {stamp} 2>/dev/null)" ] && systemctl is-active -q {name}'
    action = (
        f"systemctl daemon-reload\nsystemctl enable -q {name}\nsystemctl restart {name}\nsleep 3\n"
        f"systemctl is-active -q {name} || {{ journalctl -u {name} -n 5 --no-pager -o cat >&2; exit 1; }}\n"
        f'printf \'%s\' "{inputs}" >{stamp}'
    )
    return Step(f"start {name}", _say(condition, action))


def removal(plan: Plan) -> list[Step]:
    """Return the steps that remove the agent's or the talk's service; recordings in the state folder and /etc/dredge
    stay.
    """
    folder = shlex.quote(plan.folder)
    units = [_removed(plan, name) for name in (NAME, TALK_NAME)]
    return [*units, Step(f"remove {plan.folder} ({STATE} stays)", _say(f"[ ! -e {folder} ]", f"rm -rf {folder}"))]


def _removed(plan: Plan, name: str) -> Step:
    system = f"{plan.root.rstrip('/')}/etc/systemd/system"
    path, wants = shlex.quote(f"{system}/{name}"), shlex.quote(f"{system}/multi-user.target.wants/{name}")
    stop = f"systemctl disable -q --now {name} 2>/dev/null || true\n" if plan.live else ""
    reload = "systemctl daemon-reload\n" if plan.live else ""
    return Step(f"stop and remove {name}", _say(f"[ ! -e {path} ]", f"{stop}rm -f {path} {wants}\n{reload}"))


def privileged(step: Step, rights: str) -> str:
    """Return the script to send: with sudo if the user is not root, ending at the first failure."""
    script = f"set -e\n{step.script}\n"
    return f"sudo -n sh -c {shlex.quote(script)}\n" if step.as_root and rights == "sudo" else script


def look(remote: Remote) -> dict[str, str]:
    """Return the facts about the device: machine, python, board, root (yes, sudo, no), systemd."""
    return dict(line.split("=", 1) for line in remote.run(_LOOK).splitlines() if "=" in line)


def require(plan: Plan, there: dict[str, str]) -> None:
    """Raise CapabilityError or UsageError, with advice, if the device or the wheel does not fit."""
    machine = MACHINES.get(there.get("machine", ""))
    if machine is None:
        raise CapabilityError(f"the device is {there.get('machine')}; there are wheels for 64-bit systems only")
    if not plan.wheel.name.endswith((f"_{machine}.whl", "-any.whl")):
        raise UsageError(f"{plan.wheel.name} is not for {machine}; make one with `make wheel-aarch64`")
    python = there.get("python", "")
    if not python or tuple(map(int, python.split("."))) < (3, 11):
        raise CapabilityError(f"the device has Python {python or 'none'}, 3.11 or newer is needed (Debian 12)")
    if there.get("root") == "no":
        raise CapabilityError("neither root nor password-less sudo on the device; allow it, or deploy as root")
    if plan.live and there.get("systemd") != "running":
        raise CapabilityError("systemd does not run on the device; use --root DIR to install into an image")


def carry_out(remote: Remote, plan: Plan, rights: str, tell: Callable[[str, str], None]) -> None:
    """Copy the wheel, run every step, call `tell(title, outcome)` after each. Raises RemoteError."""
    folder = remote.run("mktemp -d")
    uploaded = f"{folder}/{plan.wheel.name}"
    try:
        remote.copy(plan.wheel, uploaded)
        if plan.lock is not None:
            remote.copy(plan.lock, _beside(uploaded, plan.lock))
        tell(f"copy {plan.wheel.name} ({plan.wheel.stat().st_size / 1e6:.1f} MB)", DONE)
        for step in steps(plan, uploaded, digest(plan.wheel)):
            tell(step.title, remote.run(privileged(step, rights)).splitlines()[-1])
    finally:
        remote.run(f"rm -rf {shlex.quote(folder)}")
