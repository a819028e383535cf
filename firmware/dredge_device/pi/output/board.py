# SPDX-License-Identifier: BSD-2-Clause
"""The loudspeaker of a MicroPython board as an output."""


from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.transport import pcm as packets


class BoardOutput:
    """Sends plain samples to a board, 20 ms at a time (dredge_device.pi.transport.pcm); the board follows this clock.

    A board that is switched off, or is connected later, is no error: the samples it missed are counted. Raises
    ValueError for a malformed URL, OSError or LineError for a port that cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._sender = packets.open_sender(url)
        self._writer = packets.Writer()
        self._sent = self._unsent = 0

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Send every period, silence too, so that the board can follow this clock."""
        del of_stream
        taken = self._sender.send(self._writer.packet(pcm))
        self._sent += taken
        self._unsent += not taken

    def close(self) -> OutputReport:
        """End the session; the next one goes to the same board."""
        report: OutputReport = {"kind": "board", "packets": self._sent, "unsent": self._unsent, **self._sender.report()}
        self._sent = self._unsent = 0
        return report

    def discard(self) -> None:
        """Release the socket or the line."""
        self._sender.close()
