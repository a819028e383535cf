# SPDX-License-Identifier: BSD-2-Clause
"""Recorded speech at the pace at which it was spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.service.pacer import Pacer
from dredge_device.units import PACKET_SAMPLES
from dredge_host.audio_io.source import SourceReport
from dredge_host.sending.audio import AudioFile, repacked


class PacedSource:
    """A source that gives 20 ms of recorded samples every 20 ms. blocks: gives them from the beginning; repeat: again
    at the end.
    """

    backlog_us = 0

    def __init__(
        self,
        kind: str,
        blocks: Callable[[], Iterable[Pcm]],
        repeat: bool,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        self._kind, self._blocks, self._repeat, self.close = kind, blocks, repeat, close
        self._pieces: Iterator[Pcm] = repacked(blocks())
        self._pacer: Pacer | None = None

    def read(self) -> Pcm | None:
        """Return int16[320]; None at the end without repetition."""
        piece = next(self._pieces, None)
        if piece is None and self._repeat:
            self._pieces = repacked(self._blocks())
            piece = next(self._pieces, None)
        if self._pacer is None:
            self._pacer = Pacer()
        self._pacer.wait()
        return piece

    def flush(self) -> None:
        """Continue the pace from now; no sample is dropped."""
        self._pacer = None

    def report(self) -> SourceReport:
        """Return the number of missed deadlines."""
        return {"kind": self._kind, "late": self._pacer.missed if self._pacer else 0}


def read_file(path: str, repeat: bool) -> PacedSource:
    """Return an audio file as a source. Raises InputError."""
    file = AudioFile(path)
    return PacedSource("file", file.blocks, repeat, file.close)


def silence() -> PacedSource:
    """Return a source of zeros without end."""
    return PacedSource("null", lambda: [np.zeros(PACKET_SAMPLES, np.int16)], True)
