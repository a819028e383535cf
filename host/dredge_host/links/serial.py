# SPDX-License-Identifier: BSD-2-Clause
"""The host's end of a serial line."""

from __future__ import annotations

from dredge_device.pi.transport.serial_port import LineError, SerialLine
from dredge_host.errors import UnreachableError, UsageError


class SerialLink:
    """The host's end of a serial line. Raises UnreachableError when it cannot be opened."""

    def __init__(self, url: str) -> None:
        try:
            self.line = SerialLine(url)
        except LineError as error:
            raise UnreachableError(str(error)) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        self.url = url
        self.send = self.line.send
        self.recv = self.line.recv
        self.close = self.line.close

    @property
    def trouble(self) -> str:
        """The fault of the line, empty without one."""
        return self.line.trouble

    @property
    def damaged(self) -> int:
        """The number of damaged frames."""
        return self.line.counters()["damaged"]
