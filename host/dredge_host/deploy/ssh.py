# SPDX-License-Identifier: BSD-2-Clause
"""Commands on another machine through the installed ssh and scp: one connection, one password at most."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

from dredge_host.errors import CapabilityError, DredgeError, UnreachableError, UsageError

SSH_FAILED = 255  # ssh's exit code for a failed connection (ssh(1))


class RemoteError(DredgeError):
    """A command on the device failed; the message contains its last line."""


class Remote:
    """A connection to `target` (user@host, or a name in the ssh configuration).

    `config` replaces ~/.ssh/config. A context manager. Raises CapabilityError without an ssh
    client, UsageError for a target that ssh would take for an option, UnreachableError when the
    device cannot be reached, RemoteError when a command fails there.
    """

    def __init__(self, target: str, config: Path | None = None, port: int | None = None) -> None:
        for program in ("ssh", "scp"):
            if shutil.which(program) is None:
                raise CapabilityError(f"{program} is not installed; run: apt install openssh-client")
        if target.startswith("-") or not target or any(c.isspace() for c in target):
            raise UsageError(f"'{target}' is no ssh target; expected user@host")
        self.target = target
        self._folder = tempfile.TemporaryDirectory(prefix="dredge-ssh-")
        self._options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._folder.name}/%C"]
        self._options += ["-o", "ControlPersist=60", "-o", "ConnectTimeout=15"]
        if config is not None:
            self._options = ["-F", str(config), *self._options]
        self._port = [] if port is None else [str(port)]

    def run(self, script: str) -> str:
        """Run a POSIX shell script there and return its standard output without the last newline."""
        port = ["-p", *self._port] if self._port else []
        command = ["ssh", *self._options, *port, self.target, "sh -s"]
        # Read as a whole before it runs, so that no program in it reads the rest from standard input.
        done = subprocess.run(
            command, input=f"{{\n{script}\n}} </dev/null\n", text=True, capture_output=True, check=False
        )
        if done.returncode == SSH_FAILED:
            raise UnreachableError(f"{self.target}: {_last(done.stderr) or 'ssh could not connect'}")
        if done.returncode:
            raise RemoteError(f"{self.target}: {_last(done.stderr or done.stdout) or 'a command failed there'}")
        return done.stdout.rstrip("\n")

    def copy(self, source: Path, place: str) -> None:
        """Copy a file there."""
        port = ["-P", *self._port] if self._port else []
        command = ["scp", "-q", *self._options, *port, str(source), f"{self.target}:{place}"]
        done = subprocess.run(command, text=True, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        if done.returncode:
            raise UnreachableError(f"{self.target}: {source.name} was not copied: {_last(done.stderr)}")

    def close(self) -> None:
        """End the shared connection."""
        port = ["-p", *self._port] if self._port else []
        command = ["ssh", *self._options, *port, "-O", "exit", self.target]
        subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        self._folder.cleanup()

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " | ".join(lines[-3:])
