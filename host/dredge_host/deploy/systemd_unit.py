# SPDX-License-Identifier: BSD-2-Clause
"""The systemd unit that runs the agent: real-time permissions, restart, and a sandbox (systemd.exec(5))."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from dredge_device.pi.transport.endpoint import is_local
from dredge_device.pi.transport.schemes import SERIAL, scheme_of

NAME = "dredge-agent.service"
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
    """How the agent runs on the device; the words are those of `dredge agent`."""

    listen: str = "udp://127.0.0.1:5004"
    out: str = "null"
    playout: str = "fixed:1000"
    allow_remote: bool = False
    key_file: str | None = None  # on the device
    core: int | None = None

    def command(self, program: str) -> str:
        """The command line of the service."""
        words = [program, "agent", "--listen", self.listen, "--out", self.out, "--playout", self.playout]
        words += ["--realtime", "--lock-memory"]
        if self.core is not None:
            words += ["--core", str(self.core)]
        if self.key_file:
            words += ["--key-file", "${CREDENTIALS_DIRECTORY}/key"]
        elif self.allow_remote:
            words.append("--allow-remote")
        # systemd reads quotes like a shell; a percent sign is its own.
        quoted = [word if word.startswith("${") else shlex.quote(word) for word in words]
        return " ".join(quoted).replace("%", "%%")

    @property
    def plays(self) -> bool:
        """Whether it needs the sound card."""
        return self.out == "play"

    @property
    def on_a_wire(self) -> bool:
        """Whether it listens on a serial port of the board, and on no network."""
        return scheme_of(self.listen) is SERIAL

    def devices(self) -> list[str]:
        """Device nodes the agent needs, as DeviceAllow takes them."""
        needed = ["char-alsa"] if self.plays else []
        if self.on_a_wire:
            path = self.listen.removeprefix("serial://").partition("?")[0]
            needed += [path] if path.startswith("/") else ["char-ttyACM", "char-ttyUSB", "char-ttyAMA", "char-ttyS"]
        return needed

    def walls(self) -> list[str]:
        """The part of the sandbox that depends on what the agent needs: devices, other users' ids, the network."""
        lines = [f"DeviceAllow={device} rw" for device in self.devices()]
        groups = ["audio"] * self.plays + ["dialout"] * self.on_a_wire
        lines += [f"SupplementaryGroups={' '.join(groups)}"] if groups else ["PrivateDevices=yes", "PrivateUsers=yes"]
        families = ["AF_UNIX"] * self.plays  # ALSA's mixer talks to itself through sockets
        if self.on_a_wire:
            lines.append("PrivateNetwork=yes")
        else:
            families += ["AF_INET", "AF_INET6"]
        lines.append(f"RestrictAddressFamilies={' '.join(families) or 'none'}")
        if self.on_a_wire:
            lines.append("IPAddressDeny=any")
        elif is_local(self.listen):
            lines += ["IPAddressDeny=any", "IPAddressAllow=localhost"]
        return lines


def unit(agent: Agent, program: str) -> str:
    """The text of the unit. `program`: path of the `dredge` command on the device."""
    lines = [
        "# Written by `dredge deploy`; changes are lost at the next one. Use: systemctl edit dredge-agent",
        "[Unit]",
        "Description=Dredge agent: speech over a link that loses packets",
        "Documentation=man:systemd.exec(5)",
        "Wants=network-online.target",
        "After=network-online.target sound.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=exec",
        f"ExecStart={agent.command(program)}",
        "Environment=PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1",
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
    if agent.key_file:
        lines.append(f"LoadCredential=key:{agent.key_file}")
    return "\n".join([*lines, "", "[Install]", "WantedBy=multi-user.target", ""])
