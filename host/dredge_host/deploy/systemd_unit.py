# SPDX-License-Identifier: BSD-2-Clause
"""The systemd units of the agent and of one end of a talk: permissions, restart, sandbox (systemd.exec(5))."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from dredge_device.pi.calibration.calibration import GIVEN
from dredge_device.pi.output.open import is_card
from dredge_device.pi.service.options import AUTO
from dredge_device.pi.transport.addresses import is_loopback
from dredge_device.pi.transport.schemes import PCM_LINE, PCM_UDP, SERIAL, scheme_of

NAME = "dredge-agent.service"
TALK_NAME = "dredge-talk.service"
STATE = "/var/lib/dredge"

_SANDBOX = """\
# What it must not do. The recordings go to /var/lib/dredge, the only place it can write to.
DynamicUser=yes
StateDirectory=dredge
WorkingDirectory=/var/lib/dredge
UMask=0077
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ProtectHome=yes
ProtectClock=yes
ProtectHostname=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
PrivateMounts=yes
PrivateTmp=yes
RemoveIPC=yes
RestrictNamespaces=yes
RestrictSUIDSGID=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
TasksMax=64
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=sched_setscheduler sched_setaffinity mbind
SystemCallErrorNumber=EPERM
DevicePolicy=closed
"""


@dataclass(frozen=True)
class Agent:
    """The options of the agent on the device, named as those of `dredge agent`."""

    name: ClassVar[str] = NAME
    other: ClassVar[str] = TALK_NAME  # the other service, which cannot share the port
    title: ClassVar[str] = "Dredge agent: speech over a link that loses packets"

    listen: str = "udp://127.0.0.1:5004"
    out: str = "null"
    playout: str | None = None  # None: the verb's default, or that of its configuration file
    allow_remote: bool = False
    key_file: str | None = None  # on the device
    core: int | None = None
    status: str | None = None
    vocoder: str | None = None

    def command(self, program: str) -> str:
        """Return the command line of the service."""
        words = [program, *self.words(), "--realtime", "--lock-memory"]
        given = {"--playout": self.playout, "--status": self.status, "--vocoder": self.vocoder}
        words += [word for name, value in given.items() if value for word in (name, value)]
        if self.core is not None:
            words += ["--core", str(self.core)]
        if self.key_file:
            words += ["--key-file", "${CREDENTIALS_DIRECTORY}/key"]
        elif self.allow_remote:
            words.append("--allow-remote")
        # systemd reads quotes like a shell; a percent sign is a specifier.
        quoted = [word if word.startswith("${") else shlex.quote(word) for word in words]
        return " ".join(quoted).replace("%", "%%")

    def words(self) -> list[str]:
        """Return the verb and its arguments."""
        return ["agent", "--listen", self.listen, "--out", self.out]

    @property
    def plays(self) -> bool:
        """Whether it needs the sound card."""
        return is_card(self.out)

    @property
    def sounds(self) -> list[str]:
        """The source and the output of speech."""
        return [self.out]

    @property
    def on_a_wire(self) -> bool:
        """Whether it listens on a serial port of the board, and on no network."""
        return scheme_of(self.listen) is SERIAL

    @property
    def wire(self) -> str:
        """The URL of the serial port."""
        return self.listen

    def devices(self) -> list[str]:
        """Return the device nodes the agent needs, as DeviceAllow takes them."""
        needed = ["char-alsa"] if self.plays else []
        for wire in self.wires():
            path = wire.partition("://")[2].partition("?")[0]
            needed += [path] if path.startswith("/") else ["char-ttyACM", "char-ttyUSB", "char-ttyAMA", "char-ttyS"]
        return list(dict.fromkeys(needed))

    def wires(self) -> list[str]:
        """Return the URLs of serial ports: of the stream, and of boards with a microphone or loudspeaker."""
        boards = [text for text in self.sounds if scheme_of(text) is PCM_LINE]
        return [self.wire, *boards] if self.on_a_wire else boards

    def walls(self) -> list[str]:
        """Return the lines of the sandbox that depend on the options: devices, other users' ids, the network."""
        lines = [f"DeviceAllow={device} rw" for device in self.devices()]
        groups = ["audio"] * self.plays + ["dialout"] * bool(self.wires())
        boards_on_the_network = any(scheme_of(text) is PCM_UDP for text in self.sounds)
        lines += [f"SupplementaryGroups={' '.join(groups)}"] if groups else ["PrivateDevices=yes", "PrivateUsers=yes"]
        families = ["AF_UNIX"] * self.plays  # ALSA's mixer uses local sockets
        alone = self.on_a_wire and self.status is None and not boards_on_the_network
        if alone:
            lines.append("PrivateNetwork=yes")
        else:
            families += ["AF_INET", "AF_INET6"]
        lines.append(f"RestrictAddressFamilies={' '.join(families) or 'none'}")
        if alone:
            lines.append("IPAddressDeny=any")
        elif not boards_on_the_network and all(is_loopback(urlsplit(url).hostname or "") for url in self.urls()):
            lines += ["IPAddressDeny=any", "IPAddressAllow=localhost"]
        return lines

    def urls(self) -> list[str]:
        """Return the URLs at which it listens or which it calls over a network."""
        return [url for url in (self.listen, self.status) if url is not None and scheme_of(url) is not SERIAL]

    @property
    def configuration(self) -> str:
        """The service's configuration file."""
        return f"/etc/dredge/{self.words()[0]}.toml"

    def options(self, program: str) -> str:
        """Return the first text of the options file; later the device's owner may change it."""
        verb = self.words()[0]
        return (
            f"# Options of `dredge {verb}` on this device; what `dredge deploy` was told comes before them.\n"
            f"# `{program} {verb} --print-config` prints all; afterwards: systemctl restart {self.name}\n"
            f'vocoder = "{AUTO}"\n'
        )


@dataclass(frozen=True)
class TalkEnd(Agent):
    """The options of one end of a talk on the device, named as those of `dredge talk`. out is its loudspeaker."""

    name: ClassVar[str] = TALK_NAME
    other: ClassVar[str] = NAME
    title: ClassVar[str] = "Dredge talk: speech both ways over a link that loses packets"

    out: str = "speaker"
    call: str | None = None  # None: it waits for a call
    mic: str = "mic"
    half_duplex: bool = False

    def words(self) -> list[str]:
        """Return the verb and its arguments."""
        about = ["talk", *([self.call] if self.call else [])]
        if not self.on_a_wire:
            about += ["--listen", self.listen]
        about += ["--mic", self.mic, "--speaker", self.out]
        return [*about, "--half-duplex"] if self.half_duplex else about

    @property
    def sounds(self) -> list[str]:
        return [self.out, self.mic]

    @property
    def plays(self) -> bool:
        """Whether it needs a sound card, for at least one direction."""
        return is_card(self.out) or self.mic.partition(":")[0] == "mic"

    @property
    def on_a_wire(self) -> bool:
        """Whether it talks over a serial port of the board."""
        return scheme_of(self.call or "") is SERIAL

    @property
    def wire(self) -> str:
        return self.call or ""

    def urls(self) -> list[str]:
        """Return the URLs at which it listens or which it calls over a network."""
        if self.on_a_wire:
            return [self.status] if self.status is not None else []
        return [*([self.call] if self.call is not None else []), *super().urls()]


def unit(agent: Agent, program: str, calibration: str = "") -> str:
    """Return the text of the unit. program: path of the `dredge` command on the device; calibration: path of its
    measurement.
    """
    lines = [
        "# Written by `dredge deploy`; changes are lost at the next one. Use: systemctl edit "
        + agent.name.removesuffix(".service"),
        "[Unit]",
        f"Description={agent.title}",
        "Documentation=man:systemd.exec(5)",
        "Wants=network-online.target",
        "After=network-online.target sound.target",
        "StartLimitIntervalSec=0",
        f"Conflicts={agent.other}",
        "",
        "[Service]",
        "Type=exec",
        f"# Other options: {agent.configuration}; `{program} {agent.words()[0]} --print-config` prints all of them.",
        f"ExecStart={agent.command(program)}",
        "Environment=PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1" + (f" {GIVEN}={calibration}" if calibration else ""),
        "Restart=always",
        "RestartSec=2",
        "TimeoutStopSec=10",
        "",
        "# Punctuality: the decoding thread asks for SCHED_FIFO and locked memory itself.",
        "LimitRTPRIO=50",
        "LimitMEMLOCK=infinity",
        "OOMScoreAdjust=-500",
        "",
        _SANDBOX.rstrip(),
        *agent.walls(),
    ]
    if isinstance(agent, TalkEnd):
        lines += ["# It says that it is alive; a driver that hangs is answered with a restart.", "WatchdogSec=45"]
        lines.append("NotifyAccess=main")
    if agent.key_file:
        lines.append(f"LoadCredential=key:{agent.key_file}")
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])
