# SPDX-License-Identifier: BSD-2-Clause
"""A serial line that carries datagrams and reconnects after it was unplugged."""

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from dredge_device.framing import MAX_DATAGRAM, Deframer, Framer
from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.transport.backlog import Backlog
from dredge_device.pi.transport.serial_url import SerialAddress, parse_serial

REOPEN_S = 0.2
_INBOX = 1024  # most received datagrams that wait to be fetched
_READ_S = 0.1
_LAST_S = 1.0  # time for the queued frames when the line is closed

Opener = Callable[[SerialAddress], Any]


class LineError(ConnectionError):
    """The line cannot be opened."""


class SerialLine:
    """Datagrams over one serial port: ``send`` never blocks, ``recv`` waits for a whole frame.

    A reader and a writer thread own the port. When the port vanishes, datagrams to send are dropped and counted, and
    the port is tried again five times a second; a board of ``serial://auto`` is looked for by its USB ids and serial
    number, since it may return under another name. Raises LineError when it cannot be opened the first time, ValueError
    for a malformed URL.
    """

    def __init__(self, url: str, opener: Opener | None = None) -> None:
        self.url = url
        self.address = parse_serial(url)
        self._opener = opener or open_port
        self._framer, self._deframer = Framer(), Deframer()
        self._inbox: queue.Queue[tuple[bytes, int]] = queue.Queue(_INBOX)
        self._backlog = Backlog(self.address.baud)
        self._changing = threading.Lock()  # around every change of the port
        self._closing = threading.Event()
        self.overruns = self.reopened = self.sent = self.unsent = self.overflow = self.too_long = 0
        self._port: Any = _opened(self._opener, self.url, self.address)
        self._threads = [
            threading.Thread(target=work, name=f"serial {name}", daemon=True)
            for name, work in (("reader", self._read), ("writer", self._write))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def up(self) -> bool:
        """False while the port is gone."""
        return self._port is not None

    @property
    def trouble(self) -> str:
        """A sentence about a missing port, empty while it works."""
        gone = not self.up and not self._closing.is_set()
        return f"the serial port {self.address.port} is gone: was it unplugged?" if gone else ""

    def send(self, datagram: bytes) -> None:
        """Queue one datagram; it is dropped and counted when the line is down or too slow for it, or when it is too
        long.
        """
        if len(datagram) > MAX_DATAGRAM:
            self.too_long += 1
            return
        line = self._framer.frame(datagram)
        if self._port is None:
            self.unsent += 1
        elif not self._backlog.put(line):
            self.overruns += 1

    def recv(self, timeout: float = 0.0) -> bytes | None:
        """Return the next datagram, or None after ``timeout`` seconds."""
        arrived = self.recv_timed(timeout)
        return arrived[0] if arrived else None

    def recv_timed(self, timeout: float) -> tuple[bytes, int] | None:
        """Return the next datagram as ``recv`` does, with the monotonic time in microseconds at which its frame was
        complete.
        """
        try:
            return self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def counters(self) -> dict[str, int]:
        """Return the counters of the line, for reports."""
        return {
            **self._deframer.counters(),
            "sent": self.sent, "unsent": self.unsent, "overruns": self.overruns,
            "overflow": self.overflow, "reopened": self.reopened, "too_long": self.too_long,
        }  # fmt: skip

    def close(self) -> None:
        """Send the queued frames, then release the port."""
        if self.up:
            self._backlog.drain(_LAST_S)
        self._closing.set()
        self._backlog.close()
        for thread in self._threads:
            thread.join()
        if self._port is not None:
            self._port.close()
            self._port = None

    def _read(self) -> None:
        while not self._closing.is_set():
            port = self._port
            if port is None:
                self._reopen()
                continue
            try:
                data = port.read(port.in_waiting or 1)
            except (OSError, TypeError, AttributeError):  # the last two: closed during a read
                self._lose(port)
                continue
            now_us = monotonic_us()
            for datagram in self._deframer.feed(data):
                if self._inbox.full():
                    self.overflow += 1
                else:
                    self._inbox.put_nowait((datagram, now_us))

    def _write(self) -> None:
        while not self._closing.is_set():
            lines, port = self._backlog.take(), self._port
            for line in lines:
                self._put(port, line)
                self._backlog.gone(line)

    def _put(self, port: Any, line: bytes) -> None:
        if port is None or port is not self._port:
            self.unsent += 1
            return
        try:
            port.write(line)
            self.sent += 1
        except (OSError, TypeError, AttributeError) as error:
            self.unsent += 1
            if type(error).__name__ != "SerialTimeoutException":  # flow control by the other end is no loss of the port
                self._lose(port)

    def _lose(self, port: Any) -> None:
        with self._changing:
            lost = self._port is port
            if lost:
                self._port = None
        if lost and not self._closing.is_set():
            _say(f"{self.trouble} It is tried again five times a second, and the rest goes on")
        try:
            port.close()
        except (OSError, TypeError):
            return

    def _reopen(self) -> None:
        if self._closing.wait(REOPEN_S):
            return
        try:
            self.address = self.address.now()
            port = _opened(self._opener, self.url, self.address)
        except OSError:
            return
        self._deframer.feed(b"\0")  # ends a frame that was interrupted by the loss of the port
        with self._changing:
            self._port = port
        self.reopened += 1
        _say(f"the serial port {self.address.port} is back")


def _opened(opener: Opener, url: str, address: SerialAddress) -> Any:
    try:
        return opener(address)
    except (OSError, ValueError) as error:
        raise LineError(f"{url}: the serial port cannot be opened ({_why(error)})") from error


def open_port(address: SerialAddress) -> Any:
    """Return pyserial's port, 8N1. DTR and RTS stay as the system sets them, so that no reset line is pulsed."""
    import serial

    port = serial.serial_for_url(address.port, do_not_open=True, timeout=_READ_S)
    if not address.port.startswith("rfc2217://"):  # pyserial's client of RFC 2217 refuses the option
        port.write_timeout = 1.0
    port.baudrate = address.baud
    port.rtscts = address.flow == "on"
    if "://" not in address.port:
        port.exclusive = True
    port.open()
    if address.flow == "auto":
        port.rtscts = _clear_to_send(port)
    return port


def _clear_to_send(port: Any) -> bool:
    """Return whether the other end drives CTS, which is how it offers flow control."""
    try:
        return bool(port.cts)
    except (OSError, NotImplementedError):
        return False


def _say(sentence: str) -> None:
    print(f"dredge: {sentence}", file=sys.stderr, flush=True)


def _why(error: BaseException) -> str:
    text = getattr(error, "strerror", None) or str(error)
    return " ".join(text.split())
