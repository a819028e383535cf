# SPDX-License-Identifier: BSD-2-Clause
"""The two threads of a talk and their end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from dredge_device.pi.service import scheduling
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.receiving import ReceivingHalf
from dredge_host.talk.sending import SendingHalf

_GOODBYE_S = 2.0  # longest wait for the other end's goodbye after ours


class Halves:
    """The sending and the receiving half, each in a separate thread.

    ``ending`` is set when the talk must end, ``error`` is the first failure, ``scheduling`` the outcome of
    `options.realtime`.
    """

    def __init__(self, sending: SendingHalf, receiving: ReceivingHalf, options: TalkOptions) -> None:
        self._sending, self._receiving, self._options = sending, receiving, options
        self.ending = threading.Event()
        self.error: BaseException | None = None
        self.scheduling = ""
        self._begun_s = time.monotonic()
        self._deadline_s: float | None = None
        self._threads: list[threading.Thread] = []

    @property
    def started(self) -> bool:
        """True from `start` on."""
        return bool(self._threads)

    def start(self) -> None:
        """Start both threads."""
        self._begun_s = time.monotonic()
        for name, work in (("sending", self._send), ("receiving", self._receive)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def over(self) -> bool:
        """Return whether the talk is over: told to end, after `options.seconds`, or with `options.once` when the other
        end hung up.
        """
        options, now = self._options, time.monotonic()
        if self.ending.is_set():
            return True
        if options.seconds is not None:
            begun = self._sending.first_s or (self._begun_s if self._receiving.peer is None else now)
            if now - begun >= options.seconds:
                return True
        return options.once and self._receiving.sessions_ended > 0 and self._sending.state != "talking"

    def end(self) -> None:
        """Say goodbye and wait for the other end's report; safe to call twice."""
        self._receiving.closing = True  # before our goodbye, after which the other end may call again at once
        self.ending.set()
        for thread in self._threads[:1]:
            thread.join()
        self._deadline_s = self._deadline_s or time.monotonic() + _GOODBYE_S
        for thread in self._threads[1:]:
            thread.join()

    def _send(self) -> None:
        self._guarded(lambda: self._sending.run(self.ending.is_set))

    def _receive(self) -> None:
        self._guarded(lambda: self._receiving.run(self._receiving_over))

    def _receiving_over(self) -> bool:
        """Return whether the receiving half may end after our goodbye: the other end has said its own and has our
        report, or its time for it is over.
        """
        if self.error is not None:
            return True
        if not self.ending.is_set() or self._threads[0].is_alive():
            return False
        late = self._deadline_s is not None and time.monotonic() > self._deadline_s
        return self._receiving.idle or (late and not self._receiving.hung_up)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            self._schedule()
            work()
        except BaseException as error:
            self.error = self.error or error
            self.ending.set()

    def _schedule(self) -> None:
        """Request the scheduling of the options for the calling thread."""
        if self._options.core is not None:
            scheduling.pin(self._options.core)
        if self._options.realtime:
            self.scheduling = scheduling.real_time()
