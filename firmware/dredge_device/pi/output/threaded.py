# SPDX-License-Identifier: BSD-2-Clause
"""An output in a thread of its own, so that a slow card or disk never delays decoding."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.card_clock import CardClock
from dredge_device.pi.output.interface import Output
from dredge_device.pi.output.soundcard import SpeakerOutput
from dredge_device.pi.schema.report import OutputReport

_CAPACITY = 50  # half a second beside the periods rendered ahead; a sound card that lags by more loses periods
_FILE_CAPACITY = 3000  # a minute, 2 MB; a disk that lags by more loses periods too
_WAIT_S = 5.0  # longest wait for an output that takes nothing
_FILL = 10  # most periods of silence written to a card at once

Heard = Callable[[Pcm, bool], Pcm]


def _as_it_is(pcm: Pcm, of_stream: bool) -> Pcm:
    del of_stream
    return pcm


class ThreadedOutput:
    """The same output behind a queue; ``close`` and ``discard`` wait for the queued periods, up to ``wait_s`` seconds.

    Files may lag by a minute, others by half a second; periods that come while
    the queue is full are dropped and counted. ``clock`` is notified of the times at which a card plays, so that
    rendering can follow the card's time. heard: is called with every period at its turn, and returns the samples that
    are written.
    """

    def __init__(
        self, output: Output, is_file: bool, wait_s: float = _WAIT_S, heard: Heard = _as_it_is
    ) -> None:
        self._output = output
        self._card = output if isinstance(output, SpeakerOutput) else None
        self.clock = CardClock() if self._card is not None else None
        self._is_file = is_file
        self._heard = heard
        self._wait_s = wait_s
        self._queue: queue.Queue[Callable[[], Any]] = queue.Queue(_FILE_CAPACITY if is_file else _CAPACITY)
        self.dropped = 0
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="playout", daemon=True)
        self._thread.start()

    def write(self, pcm: Pcm, of_stream: bool, at_us: int = 0) -> None:
        """Queue 20 ms, not written before at_us (microseconds of the monotonic clock) unless into a file.

        Raises what an earlier write raised (a full disk).
        """
        self._check()

        def job() -> None:
            if not self._is_file:
                time.sleep(max(0.0, at_us / 1e6 - time.monotonic()))
            if self._card is not None:
                self._card.wait()
            self._output.write(self._heard(pcm, of_stream), of_stream)
            if self._card is not None and self.clock is not None:
                self.clock.written(at_us, self._card.ends_us())

        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self.dropped += 1

    def rest(self, silence: Pcm) -> None:
        """Keep a card filled with this silence between streams, so that it does not run dry when speech begins.
        """
        if self._queue.empty():
            self._queue.put_nowait(lambda: self._fill(silence))

    def _fill(self, silence: Pcm) -> None:
        if self._card is None or self._card.wait_s() is None:
            self._heard(silence, False)
            return
        for _ in range(_FILL):
            if self._card.wait_s() != 0:
                return
            self._card.write(self._heard(silence, False), False)

    def close(self) -> OutputReport:
        """End the session once everything is written. A stuck output is reported."""
        report = self._ask(self._output.close)
        dropped, self.dropped = self.dropped, 0
        if report is not None and self.clock is not None:
            report["followed_ms"] = self.clock.corrected_us / 1000
        if report is None:
            report = {"kind": "stuck", "error": f"the output took nothing for {self._wait_s:g} s"}
        return report if self._is_file and not dropped else {**report, "dropped": dropped}

    def discard(self) -> None:
        """End the thread and release the output; earlier failures have been reported already."""
        if self._put(self._output.discard) and self._put(_stop):
            self._thread.join(self._wait_s)

    def _ask(self, work: Callable[[], OutputReport]) -> OutputReport | None:
        """Return the result of ``work`` in the output's thread, None when it does not come in time."""
        done = threading.Event()
        result: list[OutputReport] = []

        def job() -> None:
            try:
                result.append(work())
            finally:
                done.set()

        if not self._put(job) or not done.wait(self._wait_s):
            return None
        self._check()
        return result[0]

    def _put(self, job: Callable[[], Any]) -> bool:
        try:
            self._queue.put(job, timeout=self._wait_s)
        except queue.Full:
            return False
        return True

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
