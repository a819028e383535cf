# SPDX-License-Identifier: BSD-2-Clause
"""Board programs as MicroPython processes: the real interpreter, real sockets, a pseudo-terminal for the UART."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import interpreters
from ports import free_port

from dredge_host.links.open import open_link
from dredge_host.live.watch import Watch

FAKES = Path(__file__).with_name("fakes")
MAIN = interpreters.FIRMWARE / "boards/main.py"


GREETINGS = ("bridge:", "probe:", "microphone:", "speaker:", "intercom:", "radio:")


class Board:
    """One board: a folder with dredge.json, running boards/main.py until the end of the with block.

    tty: the terminal device that stands for the UART; wires: what its fakes need besides, as environment variables;
    stdout: in place of a pipe.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        tty: str = "",
        wait: bool = True,
        wires: dict[str, str] | None = None,
        stdout: int = subprocess.PIPE,
        **settings: object,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port, self.reports_port = free_port(), free_port()
        settings = {"port": self.port, "reports_port": self.reports_port, **settings}
        (folder / "dredge.json").write_text(json.dumps(settings))
        path = f"{FAKES}:{interpreters.FIRMWARE}:{interpreters.FIRMWARE / 'boards'}:.frozen"
        self._process = subprocess.Popen(
            [*command, str(MAIN)], cwd=folder,
            env={**os.environ, "MICROPYPATH": path, "DREDGE_UART": tty, **(wires or {})},
            stdout=stdout, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said: list[str] = []
        self.greeting = ""
        if wait:
            self.wait_for_greeting()

    def wait_for_greeting(self) -> None:
        """Read what the board says until its program runs."""
        while not self.greeting.startswith(GREETINGS):
            self.greeting = self._process.stdout.readline()
            self.said.append(self.greeting)
            if not self.greeting or "Traceback" in self.greeting:
                with contextlib.suppress(subprocess.TimeoutExpired):  # wrong settings end the program
                    self._process.wait(2)
                self._process.kill()
                raise AssertionError("".join(self.said) + self._process.communicate()[0])

    @property
    def url(self) -> str:
        return f"udp://127.0.0.1:{self.port}"

    @property
    def reports_url(self) -> str:
        return f"udp://127.0.0.1:{self.reports_port}"

    def pause_with(self, work: Callable[[], object]) -> None:
        """The program does not get its turn while this is done."""
        self._process.send_signal(signal.SIGSTOP)
        work()
        self._process.send_signal(signal.SIGCONT)

    def is_running(self) -> bool:
        return self._process.poll() is None

    def __enter__(self) -> Board:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        said = self._process.communicate()[0] or ""
        self.said.append(said)
        if "Traceback" in said:
            raise AssertionError(said)


def last_report(board):
    """The next report of a running Board, a dict."""
    link = open_link(board.reports_url)
    try:
        return next(Watch(link).reports(1))
    finally:
        link.close()
