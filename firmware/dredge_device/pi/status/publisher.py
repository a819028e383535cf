# SPDX-License-Identifier: BSD-2-Clause
"""The publication of the newest figures by the playing thread, once a second."""

from collections.abc import Callable
from typing import Protocol

from dredge_device.pi.schema.documents import StatusCounts
from dredge_device.pi.status.document import StatusDocument
from dredge_device.pi.status.figures import SessionFigures

EVERY_US = 1_000_000


class Log(Protocol):
    """The log of the sessions."""

    last: SessionFigures | None

    def running(self) -> list[SessionFigures]: ...


class Publisher:
    """Publishes once a second; call `tick` every period. counts: returns further parts of the document."""

    def __init__(self, document: StatusDocument, log: Log, counts: Callable[[], StatusCounts]) -> None:
        self._document, self._log, self._counts = document, log, counts
        self._next_us = 0

    def tick(self, now_us: int) -> None:
        """Publish what is due; called every 20 ms."""
        if now_us >= self._next_us:
            self._next_us = now_us + EVERY_US
            self._document.publish(self._log.running(), self._log.last, self._counts())
