# SPDX-License-Identifier: BSD-2-Clause
"""The microphone of a MicroPython board, on the network, a serial port or USB."""

from __future__ import annotations

import threading
import time

import numpy as np

from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.transport import pcm as packets
from dredge_device.pi.transport.errors import refusal
from dredge_device.pi.transport.schemes import PCM_LINE, scheme_of
from dredge_device.units import PACKET_MS, PACKET_SAMPLES
from dredge_host.audio_io.pcm_queue import PcmQueue
from dredge_host.audio_io.source import SourceReport
from dredge_host.errors import UnreachableError, UsageError

_OLD_US = 200_000  # speech that is overdue by more is left out
_NAP_S = 0.02
_MANY = 0.02  # share of missing packets above which a note is printed


class BoardSource:
    """A source of a board's samples, due by its clock (PcmQueue); without the board, silence by this machine's clock.

    url: ``udp-pcm://[ADDR]:PORT`` listens there (``?from=ADDRESS``: to that board only), ``board://DEVICE?baud=N``
    reads a port. Raises UsageError for another URL, UnreachableError for a port that cannot be opened.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        try:
            self._reader = packets.open_reader(url)
        except OSError as error:
            words = refusal(error)
            raise UnreachableError(words if words.startswith(url[:5]) else refusal(error, url)) from None
        except ValueError as error:
            raise UsageError(str(error)) from None
        self._queue, self._lock = PcmQueue(), threading.Lock()
        self._silent = 0
        self._pacer: Pacer | None = None  # while the board is missing
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="board", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address to which the board sends."""
        return getattr(self._reader, "address", self._url)

    @property
    def backlog_us(self) -> int:
        """The length of the speech buffered against jitter, microseconds."""
        with self._lock:
            return self._queue.delay_us

    def read(self) -> Pcm | None:
        """Return int16[320]; never None."""
        while True:
            with self._lock:
                now, due = monotonic_us(), self._queue.due_us()
                if due is not None and now - due > _OLD_US:
                    self._queue.skip_to(now)
                    due = self._queue.due_us()
                if due is not None and now >= due:
                    self._pacer = None
                    return self._queue.take()
            if due is None:
                return self._silence()
            time.sleep(min((due - now) / 1e6, _NAP_S))

    def _silence(self) -> Pcm:
        if self._pacer is None:
            self._pacer = Pacer()
        self._pacer.wait()
        self._silent += 1
        return np.zeros(PACKET_SAMPLES, np.int16)

    def flush(self) -> None:
        """Drop the buffered speech."""
        with self._lock:
            self._queue.skip_to(monotonic_us())
        self._pacer = None

    def report(self) -> SourceReport:
        """Return the received and missing packets, and the error of the board's clock."""
        with self._lock:
            report: SourceReport = {"kind": "board", **self._queue.report(), **self._reader.report()}
        report["silent_ms"] = PACKET_MS * self._silent
        if report["missing"] > _MANY * max(1, report["received"]):
            remedy = "bring it nearer to the access point, or use a wire"
            if scheme_of(self._url) is PCM_LINE:
                remedy = "check wiring and baud rate, or give the program a core of its own"
            report["advice"] = f"{report['missing']} packets of the board were missing: {remedy}"
        elif report["garbage"] and not report["received"]:
            others = f"{report['garbage']} datagrams came to {self.address}"
            report["advice"] = f"{others}, none of them 20 ms of L16 at 16 kHz: is the board's program one of ours?"
        elif not report["received"]:
            report["advice"] = f"nothing came from a board at {self.address}: is its peer this machine and port?"
        return report

    def close(self) -> None:
        """Free the port."""
        self._stopping.set()
        self._thread.join()
        self._reader.close()

    def _listen(self) -> None:
        while not self._stopping.is_set():
            arrived = self._reader.recv(0.1)
            if arrived is not None:
                with self._lock:
                    self._queue.insert(*arrived)
