# SPDX-License-Identifier: BSD-2-Clause
"""This user's rights on the sound cards, serial ports and the scheduler of this machine."""

from __future__ import annotations

import os
import resource
from importlib.util import find_spec
from pathlib import Path

from dredge_host.doctor.finding import INFO, OK, WARN, Finding

_SERIAL = ("serial[0-9]*", "ttyAMA*", "ttyUSB*", "ttyACM*")
_REALTIME = 50  # the priority of `dredge agent --realtime`


def examine(root: Path = Path("/")) -> list[Finding]:
    """Return the findings about the devices below `root`. Raises nothing."""
    return [_playback(root), *_serial(root), _realtime()]


def cards(root: Path) -> list[str]:
    """Return the names of the sound cards that can play, from ALSA's lists."""
    try:
        text = (root / "proc/asound/pcm").read_text(errors="replace")
    except OSError:
        return []
    rows = [line.split(":") for line in text.splitlines() if "playback" in line]
    return [row[2].strip() or row[1].strip() for row in rows if len(row) > 2]


def _playback(root: Path) -> Finding:
    names = cards(root)
    if not names:
        return Finding("sound cards", INFO, "none (--out FILE.wav and --out null work without)")
    value = ", ".join(names)
    nodes = sorted((root / "dev/snd").glob("pcm*p"))
    if nodes and not any(os.access(node, os.R_OK | os.W_OK) for node in nodes):
        return Finding("sound cards", WARN, value, "sudo usermod -aG audio $USER, then log in again")
    if find_spec("sounddevice") is None:
        advice = "for --out play: sudo apt install libportaudio2; pip install sounddevice"
        return Finding("sound cards", INFO, value, advice)
    return Finding("sound cards", OK, value)


def ports(root: Path) -> list[Path]:
    """Return the serial ports a link could use; a link such as serial0 stands for the port it points to."""
    found: dict[Path, Path] = {}
    for pattern in _SERIAL:
        for node in sorted((root / "dev").glob(pattern)):
            found.setdefault(node.resolve(), node)
    return list(found.values())


def _serial(root: Path) -> list[Finding]:
    listed = ports(root)
    if not listed:
        return [Finding("serial ports", INFO, "none")]
    consoles = _consoles(root)
    return [_port(node, consoles) for node in listed]


def _port(node: Path, consoles: set[str]) -> Finding:
    name = f"/dev/{node.name}"
    value = name if node.resolve().name == node.name else f"{name} ({node.resolve().name})"
    if {node.name, node.resolve().name} & consoles:
        advice = "sudo raspi-config, Interface Options, Serial Port: no login shell, yes hardware; then reboot"
        return Finding("serial port", WARN, f"{value}: the kernel's console is on it", advice)
    if not os.access(node, os.R_OK | os.W_OK):
        advice = "sudo usermod -aG dialout $USER, then log in again"
        return Finding("serial port", WARN, f"{value}: not permitted", advice)
    if node.resolve().name == "ttyS0":
        advice = "for a steady baud rate add dtoverlay=disable-bt to /boot/firmware/config.txt and use /dev/ttyAMA0"
        return Finding("serial port", INFO, f"{value}: the mini UART, its clock follows the core's", advice)
    return Finding("serial port", OK, value)


def _consoles(root: Path) -> set[str]:
    try:
        words = (root / "proc/cmdline").read_text(errors="replace").split()
    except OSError:
        return set()
    return {word.removeprefix("console=").partition(",")[0] for word in words if word.startswith("console=")}


def _realtime() -> Finding:
    allowed = os.geteuid() == 0 or resource.getrlimit(resource.RLIMIT_RTPRIO)[1] >= _REALTIME
    if allowed:
        return Finding("real time", OK, "SCHED_FIFO is permitted (dredge agent --realtime)")
    advice = "LimitRTPRIO=50 in the systemd unit (dredge deploy does it), or rtprio 50 in /etc/security/limits.conf"
    return Finding("real time", INFO, "SCHED_FIFO is not permitted to this user", advice)
