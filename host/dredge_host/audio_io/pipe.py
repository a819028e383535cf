# SPDX-License-Identifier: BSD-2-Clause
"""Samples from another program: standard input, the output of a command, or a FIFO.

A recorder (arecord, parec) has its own clock, which then leads: its samples are taken when they arrive. A program that
writes a whole file at once (cat, sox) has none; then this machine's clock leads and the program waits. The first
second decides which it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.resample import Resampler
from dredge_device.pi.service.pacer import Pacer
from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, PACKET_US, SAMPLE_RATE
from dredge_host.audio_io.source import SourceReport
from dredge_host.audio_io.wavstream import Format, read_header
from dredge_host.errors import InputError

_AHEAD_S = 0.4  # a program this far ahead of real time …
_JUDGED_S = 2.0  # … within this time is not a recorder
_CAPACITY = 50  # packets: 1 s; a program that is not a recorder waits when it is this far ahead
_OLD = 10  # packets: 200 ms; a recorder's speech that has waited for longer is left out
_ENDING_S = 2.0  # longest time for a command to end after it has closed its output
_PATIENCE_S = 0.04  # longest wait for a recorder's next packet before silence is inserted


class PipeSource:
    """A source of another program's samples; ``stream`` is opened in a separate thread, because opening a FIFO waits
    for its writer.

    Before the first sample, and while a recorder pauses, it gives silence. After the last sample of a pipe `read`
    returns None; a FIFO waits for another writer. A program without any sample is an InputError.
    """

    def __init__(
        self,
        kind: str,
        stream: Callable[[], BinaryIO | Any],
        rate: int = SAMPLE_RATE,
        process: subprocess.Popen[bytes] | None = None,
        reopen: bool = False,
    ) -> None:
        self._kind, self._open, self._process, self._reopen = kind, stream, process, reopen
        self._format = Format(rate, 1)
        self._ready = threading.Condition()
        self._queue: deque[Pcm] = deque()
        self._given_s = 0.0  # speech that the program has given since `began`
        self._began = 0.0
        self._eager = False  # the program is not a recorder
        self._ended = self._stopped = False
        self._error: Exception | None = None
        self._pacer: Pacer | None = None
        self._silent = self._skipped = 0
        self._thread = threading.Thread(target=self._fill, name="pipe", daemon=True)
        self._thread.start()

    @property
    def backlog_us(self) -> int:
        """The length of the buffered speech, microseconds, without the rest in the pipe of a program that is not a
        recorder.
        """
        return 0 if self._eager else PACKET_US * len(self._queue)

    def read(self) -> Pcm | None:
        """Return int16[320]; None at the end. Raises InputError for a WAV stream that cannot be used."""
        if self._pacer is None:
            self._pacer = Pacer()
        if self._eager:
            self._pacer.wait()
        with self._ready:
            self._ready.wait_for(lambda: self._queue or self._ended, PACKET_SECONDS + _PATIENCE_S)
            if self._error is not None:
                raise self._error
            judged = time.monotonic() - self._began > _JUDGED_S
            if judged and not self._eager and len(self._queue) > _OLD:
                self._skipped += len(self._queue) - 2
                while len(self._queue) > 2:
                    self._queue.popleft()
            piece = self._queue.popleft() if self._queue else None
            self._ready.notify_all()
            if piece is None and self._ended:
                return None
        if piece is None:
            self._silent += 1
            return np.zeros(PACKET_SAMPLES, np.int16)
        return piece

    def flush(self) -> None:
        """Drop a recorder's buffered speech; continue the pace from now."""
        with self._ready:
            if not self._eager:
                self._queue.clear()
            self._pacer = None

    def report(self) -> SourceReport:
        """Return the length of the silence in place of missing speech, and of speech left out because it was too old.
        """
        report: SourceReport = {"kind": self._kind, "rate": self._format.rate, "silent_ms": 20 * self._silent}
        if self._skipped:
            report["skipped_ms"] = 20 * self._skipped
            report["advice"] = "the pipe was read too late: give the program a core of its own"
        return report

    def close(self) -> None:
        """End the command; a thread that waits for a writer ends with the process."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)
            self._process.wait()

    def _fill(self) -> None:
        try:
            while not self._stopped:
                self._take(self._open())
                if not self._reopen:
                    self._require_samples()
                    break
        except (InputError, OSError) as error:
            self._error = error
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    def _require_samples(self) -> None:
        if self._given_s or self._stopped:
            return
        code = 0
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # it closed its output but keeps running
                code = self._process.wait(_ENDING_S)
        how = f" and ended with exit code {code}" if code else ""
        raise InputError(f"{self._kind}: it gave no samples{how}; expected 16-bit integers, or a WAV stream")

    def _take(self, stream: BinaryIO) -> None:
        """Take in all samples of one stream."""
        self._format, head = read_header(stream, self._format)
        resampler = Resampler(self._format.rate, SAMPLE_RATE)
        size = 2 * self._format.channels * max(1, self._format.rate // 100)  # bytes of 10 ms
        rest = np.zeros(0, np.int16)
        self._began, self._given_s = time.monotonic(), 0.0
        while not self._stopped:
            more = stream.read(size - len(head))
            data, head = head + more, b""
            whole = len(data) - len(data) % (2 * self._format.channels)
            if not whole:
                break
            pcm = np.frombuffer(data[:whole], "<i2").reshape(-1, self._format.channels)
            mono = pcm[:, 0] if pcm.shape[1] == 1 else pcm.mean(axis=1).astype(np.int16)
            rest = self._put_whole(np.concatenate([rest, resampler.convert(mono)]))
        rest = self._put_whole(np.concatenate([rest, resampler.finish()]))
        if len(rest) and not self._stopped:
            self._put(np.concatenate([rest, np.zeros(PACKET_SAMPLES - len(rest), np.int16)]))

    def _put_whole(self, pcm: Pcm) -> Pcm:
        """Hand on whole packets; return the rest."""
        while len(pcm) >= PACKET_SAMPLES:
            self._put(np.ascontiguousarray(pcm[:PACKET_SAMPLES]))
            pcm = pcm[PACKET_SAMPLES:]
        return pcm

    def _put(self, piece: Pcm) -> None:
        with self._ready:
            self._given_s += PACKET_SECONDS
            passed = time.monotonic() - self._began
            if passed < _JUDGED_S and self._given_s - passed > _AHEAD_S and not self._eager:
                self._eager = True
                self._pacer = None
            if self._eager:
                self._ready.wait_for(lambda: len(self._queue) < _CAPACITY or self._stopped)
            self._queue.append(piece)
            self._ready.notify_all()
