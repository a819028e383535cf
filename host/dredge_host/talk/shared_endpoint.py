# SPDX-License-Identifier: BSD-2-Clause
"""The one socket (or serial line) of a talk, shared by its two halves.

Each end is a host for its own speech and a device for the other end's. Requests and media go to
the receiving half, answers and reports to the sending half; the kind of a datagram decides, with keys too. One
socket makes an end behind a NAT reachable as soon as it calls.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from dredge_device import control, rtp
from dredge_device.pi.schema.report import Link
from dredge_device.pi.security.session_keys import COOKIE, MAGIC, TO_HOST
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.transport.addresses import is_loopback, name_of
from dredge_device.pi.transport.endpoint import Endpoint, SerialEndpoint, open_endpoint
from dredge_device.pi.transport.errors import refusal
from dredge_device.pi.transport.schemes import BYTE_STREAMS, scheme_of
from dredge_device.pi.transport.serial_port import LineError
from dredge_device.pi.transport.udp import UdpEndpoint
from dredge_host.errors import DredgeError, UnreachableError, UsageError
from dredge_host.links.open import parse_udp

_CAPACITY = 4096  # most datagrams that wait for a busy half


class StoppedError(DredgeError):
    """The talk ends, so waiting for an answer is useless."""


class SharedEndpoint:
    """The socket of a talk.

    ``questions``: (datagram, peer, arrival in µs) for the receiving half; ``answers``: the same for the sending half;
    notices: reports peers that are ignored. Raises UsageError for a URL that cannot be used, UnreachableError for one
    that cannot be opened.
    """

    def __init__(self, to: str | None, listen: str | None, remote: bool, keyed: bool, notices: Notices) -> None:
        self._keyed = keyed
        self._notices = notices
        self._endpoint = _endpoint(to, listen, remote)
        self.url = to or listen or ""
        try:
            self.called = None if to is None else _peer(to, self._endpoint)
        except BaseException:
            self._endpoint.close()
            raise
        self.questions: deque[tuple[bytes, Any, int]] = deque(maxlen=_CAPACITY)
        self.answers: queue.Queue[tuple[bytes, Any, int]] = queue.Queue(_CAPACITY)
        self.asked = threading.Event()  # a request other than speech has arrived
        self.strangers = 0  # datagrams of other peers than the called one
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="talk endpoint", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address at which this end can be called."""
        return self._endpoint.address

    def send(self, datagram: bytes, peer: Any) -> None:
        """Try to send a datagram to a peer, from any thread."""
        self._endpoint.send(datagram, peer)

    @property
    def trouble(self) -> str:
        """The fault of the endpoint as a sentence, empty without one."""
        return str(getattr(self._endpoint, "trouble", ""))

    def report(self) -> Link:
        """Return the endpoint's counters."""
        return {**self._endpoint.report(), "strangers": self.strangers}

    def close(self) -> None:
        """Stop listening and close the endpoint."""
        self.stopping.set()
        self._thread.join()
        self._endpoint.close()

    def _listen(self) -> None:
        while not self.stopping.is_set():
            arrived = self._endpoint.recv(0.1)
            if arrived is None:
                continue
            # Without keys, the called end is recognised by its address only.
            if self.called is not None and not self._keyed and arrived[1] != self.called:
                self.strangers += 1
                self._notices.warn("stranger", _stranger(arrived[1], self.called))
                continue
            self._sort(arrived)

    def _sort(self, arrived: tuple[bytes, Any, int]) -> None:
        if not _is_answer(arrived[0]):
            self.questions.append(arrived)
            if rtp.is_rtcp(arrived[0]) or arrived[0].startswith(MAGIC):
                self.asked.set()
            return
        if self.answers.full():
            self.answers.get_nowait()
        self.answers.put_nowait(arrived)


class PeerLink:
    """The shared endpoint as a link to one peer, for a session.

    ``may_send``: False withholds a datagram from a peer with an unproven address, so that a forged call
    causes little traffic. Raises StoppedError at the end.
    """

    def __init__(self, shared: SharedEndpoint, peer: Any, may_send: Callable[[bytes], bool]) -> None:
        self.url = shared.url if shared.called is not None else _url(peer)
        self.arrived_us = 0  # arrival of the last datagram
        self._shared, self._peer, self._may_send = shared, peer, may_send

    def send(self, datagram: bytes) -> None:
        if self._may_send(datagram):
            self._shared.send(datagram, self._peer)

    @property
    def trouble(self) -> str:
        """The fault of the endpoint as a sentence, empty without one."""
        return self._shared.trouble

    @property
    def pending(self) -> bool:
        """True when `recv` need not wait."""
        return not self._shared.answers.empty()

    def recv(self, timeout: float = 0.0) -> bytes | None:
        if self._shared.stopping.is_set():
            raise StoppedError("the talk ends")
        try:
            datagram, peer, arrived_us = self._shared.answers.get(timeout > 0, min(max(timeout, 0.0), 0.1))
        except queue.Empty:
            return None
        if peer != self._peer:
            return None
        self.arrived_us = arrived_us
        return datagram

    def close(self) -> None:
        """Do nothing, since the endpoint stays open for the other half."""


def _stranger(peer: Any, called: Any) -> str:
    return (
        f"{name_of(peer)} is not heard: this end calls {name_of(called)}, and without --key-file nobody else is let in"
    )


def _is_answer(datagram: bytes) -> bool:
    if datagram.startswith(MAGIC):
        return datagram[len(MAGIC) : len(MAGIC) + 1] in (bytes([COOKIE]), bytes([TO_HOST]))
    if not rtp.is_rtcp(datagram):
        return False
    try:
        messages = control.parse(datagram)
    except control.VersionError:
        return True  # the session handles the error
    except ValueError:
        return False
    # An acknowledgement is flagged as a reply, but it answers the receiving half's report.
    return all(m.kind == control.REPORT or (m.flags & control.REPLY and m.kind != control.ACK) for m in messages)


def _endpoint(to: str | None, listen: str | None, remote: bool) -> Endpoint:
    try:
        if to is not None and scheme_of(to) in BYTE_STREAMS:
            if listen is not None:
                raise UsageError("a serial line has two ends and no --listen")
            return SerialEndpoint(to)
        if listen is None:
            host, _ = parse_udp(to or "")
            return open_endpoint("udp://localhost:0" if is_loopback(host) else "udp://:0", True)
        return open_endpoint(listen, remote)
    except UsageError:
        raise
    except LineError as error:  # names the URL
        raise UnreachableError(str(error)) from None
    except OSError as error:
        raise UnreachableError(refusal(error, listen or to)) from None
    except ValueError as error:
        raise UsageError(str(error)) from None


def _peer(url: str, endpoint: Endpoint) -> Any:
    """Return the endpoint's peer for this URL. Raises UsageError, UnreachableError."""
    if not isinstance(endpoint, UdpEndpoint):
        return "serial"
    host, port = parse_udp(url)
    if port == 0:
        raise UsageError(f"'{url}': port 0 cannot be called")
    try:
        return endpoint.peer(host, port)
    except OSError as error:
        raise UnreachableError(refusal(error, url)) from None


def _url(peer: Any) -> str:
    return f"udp://{name_of(peer)}" if isinstance(peer, tuple) else str(peer)
