# SPDX-License-Identifier: BSD-2-Clause
"""A source that never ends."""

from __future__ import annotations

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.units import PACKET_SAMPLES
from dredge_host.audio_io.source import Source
from dredge_host.talk.signal.gate import Level


class EndlessSource:
    """A source that continues with silence after its end; ``level``: its level."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._ended = False
        self.level = Level()

    @property
    def backlog_us(self) -> int:
        """The length of the speech that had waited in the card or pipe before the last packet, microseconds."""
        return self._source.backlog_us

    def flush(self) -> None:
        """Drop the speech that waits in the source, because it is old."""
        self._source.flush()

    def next(self) -> Pcm:
        """Return the next 20 ms, int16[320]."""
        pcm = None if self._ended else self._source.read()
        if pcm is None:
            if not self._ended:
                from dredge_host.audio_io.file import silence

                self._ended, self._source = True, silence()
            pcm = self._source.read()
        pcm = pcm if pcm is not None else np.zeros(PACKET_SAMPLES, np.int16)
        self.level.add(pcm)
        return pcm
