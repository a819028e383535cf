# SPDX-License-Identifier: BSD-2-Clause
"""A device agent as its own process on this machine."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from dredge_host.errors import UnreachableError

START_S = 30.0  # importing the models takes seconds on a small board
STOP_S = 5.0


class AgentProcess:
    """`python -m dredge_device` for one session, by default on a free port of the loopback interface.

    A context manager: `url` is where it listens; at the end the process is ended in any
    case. Raises UnreachableError with the agent's message if it does not start.
    """

    def __init__(
        self,
        out: str | Path = "null",
        playout_ms: int = 1000,
        listen: str = "udp://127.0.0.1:0",
        options: Sequence[str] = ("--once",),
    ) -> None:
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [
                *[sys.executable, "-m", "dredge_device", *options],
                *["--listen", listen],
                *["--out", str(out), "--playout", f"fixed:{playout_ms}"],
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            start_new_session=True,  # so that Ctrl-C does not reach the agent, which this process ends
        )
        try:
            self.url = self._address()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def _address(self) -> str:
        """Return the URL of the line "listening udp://…" that the agent prints when it is ready."""
        assert self._process.stdout is not None
        line = b""
        until = time.monotonic() + START_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n") and time.monotonic() < until:
                if selector.select(max(0.0, until - time.monotonic())):
                    part = os.read(self._process.stdout.fileno(), 4096)
                    if not part:
                        break
                    line += part
        word, _, url = line.decode("utf-8", "replace").strip().partition(" ")
        if word != "listening" or not url:
            raise UnreachableError(f"the device agent did not start: {self._complaint()}")
        return url

    def _complaint(self) -> str:
        self._errors.seek(0)
        words = [line.strip() for line in self._errors.read().splitlines() if line.strip()]
        return words[-1] if words else "it said nothing"

    def close(self) -> int | None:
        """Wait a little for a normal end, then terminate, then kill the process; return its exit code."""
        try:
            self._process.wait(0.5 if self._process.poll() is None else 0)
        except subprocess.TimeoutExpired:
            self._end(signal.SIGTERM)
            self._end(signal.SIGKILL)
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._errors.close()
        return self._process.returncode

    def _end(self, how: signal.Signals) -> None:
        if self._process.poll() is None:
            self._process.send_signal(how)
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                return

    def __enter__(self) -> AgentProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
