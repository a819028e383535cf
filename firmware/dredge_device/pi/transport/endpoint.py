# SPDX-License-Identifier: BSD-2-Clause
"""The device's endpoints for datagrams: a UDP port, or one serial line."""

from collections.abc import Callable, Collection
from typing import Any, Protocol

from dredge_device.pi.schema.report import Link
from dredge_device.pi.transport.addresses import is_loopback
from dredge_device.pi.transport.schemes import BYTE_STREAMS, UDP, Scheme, scheme_of
from dredge_device.pi.transport.serial_port import SerialLine
from dredge_device.pi.transport.udp import UdpEndpoint


class ListenError(ValueError):
    """This process may not listen on the address."""


class Endpoint(Protocol):
    """Datagrams of many peers; ``recv`` gives (datagram, peer, arrival in µs) or None; ``serve`` takes the peers that
    have a session.
    """

    address: str

    def recv(self, timeout: float) -> tuple[bytes, Any, int] | None: ...
    def serve(self, peers: Collection[Any]) -> None: ...
    def send(self, datagram: bytes, peer: Any) -> None: ...
    def report(self) -> Link: ...
    def close(self) -> None: ...


class SerialEndpoint:
    """The endpoint of one serial line with one peer. Raises what SerialLine raises."""

    def __init__(self, url: str) -> None:
        self._line = SerialLine(url)
        self.address = url

    def recv(self, timeout: float) -> tuple[bytes, Any, int] | None:
        """Return the next datagram of the line."""
        arrived = self._line.recv_timed(timeout)
        return (arrived[0], "serial", arrived[1]) if arrived else None

    def serve(self, peers: Collection[Any]) -> None:
        """Do nothing, since there is one peer only."""

    def send(self, datagram: bytes, peer: Any) -> None:
        """Queue a datagram; the line drops it when it cannot carry it in time."""
        del peer
        self._line.send(datagram)

    @property
    def trouble(self) -> str:
        """A sentence while the port is gone, else empty."""
        return self._line.trouble

    def report(self) -> Link:
        """Return the line's counters."""
        return {"kind": "serial", **self._line.counters()}

    def close(self) -> None:
        """Send what is queued and free the port."""
        self._line.close()


def parse_listen(text: str, allow_remote: bool) -> tuple[str, int]:
    """Return host and port of ``udp://HOST:PORT`` (IPv6 in brackets). Raises ListenError for anything else, or when not
    local.
    """
    host, colon, port = text.removeprefix("udp://").rpartition(":")
    digits = port.isascii() and port.isdigit() and len(port) <= 5
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    wrong = not colon or not digits or int(port) > 65535 or bracketed != (":" in host)
    if not text.startswith("udp://") or wrong:
        expected = " or ".join(scheme.usage for scheme in ENDPOINTS)
        raise ListenError(f"listen address is '{text}', expected {expected}")
    if not allow_remote and not is_loopback(host):
        raise ListenError(
            f"{host or 'every address of this machine'} can be reached from other machines, and the stream is neither "
            "encrypted nor authenticated: give both sides the same --key-file, or add --allow-remote if that is what "
            "you want"
        )
    return host, int(port)


def is_local(text: str) -> bool:
    """Return whether only this machine, or the other end of a wire, can send to this ``--listen`` URL."""
    return not scheme_of(text).may_amplify or is_loopback(text.removeprefix("udp://").rpartition(":")[0])


def _udp(text: str, allow_remote: bool) -> Endpoint:
    return UdpEndpoint(*parse_listen(text, allow_remote))


# The endpoints by kind of link: (URL, whether other machines may reach it) to an endpoint.
ENDPOINTS: dict[Scheme, Callable[[str, bool], Endpoint]] = {
    UDP: _udp,
    **{scheme: lambda text, allow_remote: SerialEndpoint(text) for scheme in BYTE_STREAMS},
}


def open_endpoint(text: str, allow_remote: bool) -> Endpoint:
    """Return the endpoint of a ``--listen`` URL. Raises ListenError, OSError, LineError, ValueError as above."""
    return ENDPOINTS.get(scheme_of(text), _udp)(text, allow_remote)
