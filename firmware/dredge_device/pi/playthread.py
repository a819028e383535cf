# SPDX-License-Identifier: BSD-2-Clause
"""An output in a thread of its own, so that a slow card or disk never delays decoding."""

import queue
import threading
from collections.abc import Callable
from typing import Any

from dredge_device.pi.output import Output
from dredge_device.pi.parts import Pcm

_ROOM = 25  # half a second; what a sound card falls behind by that much is given up


class ThreadedOutput:
    """The same output behind a queue; ``close`` and ``discard`` wait for what is queued.

    ``patient`` outputs (files) get everything; for others the oldest 20 ms are dropped and counted
    when the queue is full.
    """

    def __init__(self, output: Output, patient: bool) -> None:
        self._output = output
        self._patient = patient
        self._queue: queue.Queue[Callable[[], Any]] = queue.Queue(0 if patient else _ROOM)
        self.dropped = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="playout", daemon=True)
        self._thread.start()

    def write(self, pcm: Pcm, spoken: bool) -> None:
        """Queues 20 ms. Raises what an earlier write raised (a full disk)."""
        self._check()
        try:
            self._queue.put_nowait(lambda: self._output.write(pcm, spoken))
        except queue.Full:
            self.dropped += 1

    def close(self) -> dict[str, Any]:
        """Ends the session once everything is written."""
        report: dict[str, Any] = self._ask(self._output.close)
        dropped, self.dropped = self.dropped, 0
        return report if self._patient else {**report, "dropped": dropped}

    def discard(self) -> None:
        """Ends the thread and lets go of the output; what failed before has been told already."""
        self._queue.put(self._output.discard)
        self._queue.put(_stop)
        self._thread.join()

    def _ask(self, work: Callable[[], Any]) -> Any:
        done = threading.Event()
        result: list[Any] = []

        def job() -> None:
            try:
                result.append(work())
            finally:
                done.set()

        self._queue.put(job)
        done.wait()
        self._check()
        return result[0]

    def _check(self) -> None:
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _work(self) -> None:
        while True:
            job = self._queue.get()
            try:
                job()
            except _Stop:
                return
            except BaseException as error:
                self._error = error


class _Stop(Exception):
    pass


def _stop() -> None:
    raise _Stop
