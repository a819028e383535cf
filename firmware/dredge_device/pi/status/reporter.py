# SPDX-License-Identifier: BSD-2-Clause
"""The status of one process: from the playing thread to the URL of `--status`."""

from collections.abc import Callable

from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.documents import Description, StatusCounts
from dredge_device.pi.status.document import StatusDocument
from dredge_device.pi.status.open import open_status
from dredge_device.pi.status.publisher import Log, Publisher


class StatusReporter:
    """Publishes a status at a URL (None: nowhere) until it is closed. role, address, info, machine: see StatusDocument;
    log, counts: see Publisher. Raises what `open_status` does. `url`: where it is published.
    """

    def __init__(
        self,
        url: str | None,
        allow_remote: bool,
        about: tuple[str, str, Description],
        log: Log,
        counts: Callable[[], StatusCounts],
        machine: Machine | None = None,
    ) -> None:
        self.url: str | None = None
        if url is not None:
            document = StatusDocument(*about, machine)
            self._publisher = Publisher(document, log, counts)
            self._status = open_status(url, document, allow_remote)
            self.url = self._status.url

    def tick(self, now_us: int) -> None:
        """Update the status every 20 ms; called by the playing thread."""
        if self.url is not None:
            self._publisher.tick(now_us)

    def close(self) -> None:
        """Stop publishing."""
        if self.url is not None:
            self._status.close()
