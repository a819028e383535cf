# SPDX-License-Identifier: BSD-2-Clause
"""Two ends of a talk in this process, with sources and sinks that keep what passes and when."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from waiting import LONGEST_S

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.service.pacer import Pacer
from dredge_host.settings import Settings
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.talk import Talk


class Says:
    """A source that gives a piece of `speech` every 20 ms, over and over, and notes when."""

    backlog_us = 0

    def __init__(self, speech: np.ndarray) -> None:
        self._pieces = speech[: len(speech) // 320 * 320].reshape(-1, 320)
        self._pacer: Pacer | None = None
        self.given: list[tuple[float, Pcm]] = []

    def read(self) -> Pcm | None:
        self._pacer = self._pacer or Pacer()
        self._pacer.wait()
        piece = self._pieces[len(self.given) % len(self._pieces)]
        self.given.append((time.monotonic(), piece))
        return piece

    def flush(self) -> None:
        self._pacer = None

    def report(self) -> dict[str, Any]:
        return {"kind": "test"}

    def close(self) -> None:
        """Nothing is open."""


class Hears:
    """An output that keeps everything and when it came."""

    def __init__(self) -> None:
        self.heard: list[tuple[float, Pcm]] = []

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        self.heard.append((time.monotonic(), pcm))

    def close(self) -> dict[str, Any]:
        return {"kind": "test"}

    def discard(self) -> None:
        """Nothing is open."""

    @property
    def pcm(self) -> np.ndarray:
        return np.concatenate([np.zeros(0, np.int16), *[pcm for _, pcm in self.heard]])


def plain(**fields: Any) -> Settings:
    """Settings without a vocoder: quick to start and to run."""
    return Settings(**{"adaptive": True, "conceal": "opus", "redundancy_s": 0.0, **fields})


class End:
    """One end that runs in a thread."""

    def __init__(self, options: TalkOptions, speech: np.ndarray | None = None) -> None:
        self.says = Says(np.zeros(320, np.int16) if speech is None else speech)
        self.hears = Hears()
        self.talk = Talk(options, source=self.says, output=self.hears)
        self.result: dict[str, Any] = {}
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self.talk.run()
        except BaseException as error:
            self.error = error

    def finish(self) -> dict[str, Any]:
        self.talk.end()
        self._thread.join(LONGEST_S)
        self.talk.close()
        if self.error is not None:
            raise self.error
        return self.result

    def wait(self) -> dict[str, Any]:
        """The result of an end that leaves by itself."""
        self._thread.join(LONGEST_S)
        assert not self._thread.is_alive()
        return self.finish()


@contextmanager
def ends(*options: TalkOptions, speech: np.ndarray | None = None) -> Iterator[list[End]]:
    made = [End(one, speech) for one in options]
    try:
        yield made
    finally:
        for end in made:
            end.talk.close()
