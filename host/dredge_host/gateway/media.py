# SPDX-License-Identifier: BSD-2-Clause
"""Speech between a browser (48 kHz, aiortc) and a talk (16 kHz): a source, an output, and the track that is sent.

aiortc hands out decoded audio, and DRED is computed from samples, so speech is re-encoded for the lossy leg.
"""

from __future__ import annotations

import asyncio
import fractions
import queue
from typing import Any

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.resample import Resampler
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.service.pacer import Pacer
from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, SAMPLE_RATE
from dredge_host.audio_io.source import SourceReport
from dredge_host.errors import need

BROWSER_RATE = 48000
_PIECE = BROWSER_RATE // 50  # samples of 20 ms
_CAPACITY = 10  # most packets that wait for the other side; older ones are dropped
_PATIENCE_S = 0.04  # longest wait for a browser's next packet before silence is inserted


class BrowserSource:
    """A browser's microphone as a source: `feed` in the event loop, `read` in the talk's thread."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Pcm] = queue.Queue(_CAPACITY)
        self._resampler = Resampler(BROWSER_RATE, SAMPLE_RATE)
        self._rest = np.zeros(0, np.int16)
        self._pacer: Pacer | None = None  # while no browser is connected
        self._skipped = self._silent = 0

    @property
    def backlog_us(self) -> int:
        """The length of the speech buffered after the last one read, microseconds."""
        waiting = PACKET_SAMPLES * self._queue.qsize() + len(self._rest)
        return 1_000_000 * waiting // SAMPLE_RATE + self._resampler.delay_us

    def feed(self, frame: Any) -> None:
        """Take in an av.AudioFrame of packed int16."""
        if frame.sample_rate != self._resampler.source:
            self._resampler = Resampler(frame.sample_rate, SAMPLE_RATE)
        pcm = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
        mono = pcm.astype(np.int32).mean(axis=1).astype(np.int16)
        rest = np.concatenate([self._rest, self._resampler.convert(mono)])
        while len(rest) >= PACKET_SAMPLES:
            if self._queue.full():
                self._queue.get_nowait()
                self._skipped += 1
            self._queue.put_nowait(np.ascontiguousarray(rest[:PACKET_SAMPLES]))
            rest = rest[PACKET_SAMPLES:]
        self._rest = rest

    def read(self) -> Pcm | None:
        """Return int16[320]; silence while no browser sends."""
        if self._pacer is not None:
            self._pacer.wait()
        try:
            piece = self._queue.get(self._pacer is None, PACKET_SECONDS + _PATIENCE_S)
        except queue.Empty:
            self._pacer = self._pacer or Pacer()
            self._silent += 1
            return np.zeros(PACKET_SAMPLES, np.int16)
        self._pacer = None  # the browser's packets give the pace
        return piece

    def flush(self) -> None:
        """Drop the buffered speech."""
        while not self._queue.empty():
            self._queue.get_nowait()

    def report(self) -> SourceReport:
        """Return the length of the silence in place of missing speech, and of speech left out because it was too old.
        """
        return {"kind": "browser", "silent_ms": 20 * self._silent, "skipped_ms": 20 * self._skipped}

    def close(self) -> None:
        """Do nothing, since nothing is open."""


class BrowserOutput:
    """The far end's speech as output to the connected browser: `write` in a thread, `frame` in the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Pcm] = asyncio.Queue(_CAPACITY)
        self._resampler = Resampler(SAMPLE_RATE, BROWSER_RATE)
        self._rest = np.zeros(0, np.int16)
        self._samples = 0

    def write(self, pcm: Pcm, of_stream: bool) -> None:
        """Queue 20 ms for the browser."""
        del of_stream
        self._rest = np.concatenate([self._rest, self._resampler.convert(pcm)])
        self._samples += len(pcm)
        while len(self._rest) >= _PIECE:
            piece, self._rest = self._rest[:_PIECE], self._rest[_PIECE:]
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._put, piece)

    def _put(self, piece: Pcm) -> None:
        if self._queue.full():
            self._queue.get_nowait()
        self._queue.put_nowait(piece)

    async def piece(self) -> Pcm:
        """Return int16[960] at 48 kHz; silence when nothing arrives."""
        try:
            return await asyncio.wait_for(self._queue.get(), PACKET_SECONDS)
        except TimeoutError:
            return np.zeros(_PIECE, np.int16)

    def close(self) -> OutputReport:
        """Do nothing, since nothing is open."""
        done, self._samples = self._samples, 0
        return {"kind": "browser", "samples": done}

    def discard(self) -> None:
        """Do nothing, since nothing is open."""


def track(output: BrowserOutput) -> Any:
    """Return the track that a peer connection sends. Raises CapabilityError without aiortc."""
    aiortc = need("aiortc", "a browser's call", "gateway")
    av = need("av", "a browser's call", "gateway")

    class FarEnd(aiortc.MediaStreamTrack):  # type: ignore[name-defined]
        kind = "audio"

        def __init__(self) -> None:
            super().__init__()
            self._sent = 0

        async def recv(self) -> Any:
            piece = await output.piece()
            frame = av.AudioFrame.from_ndarray(piece.reshape(1, -1), format="s16", layout="mono")
            frame.sample_rate, frame.pts = BROWSER_RATE, self._sent
            frame.time_base = fractions.Fraction(1, BROWSER_RATE)
            self._sent += len(piece)
            return frame

    return FarEnd()
