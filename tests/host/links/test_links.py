# SPDX-License-Identifier: BSD-2-Clause
"""Links by URL."""

import socket
import threading
from typing import Any

import pytest

from dredge_device.pi.transport.endpoint import ENDPOINTS
from dredge_device.pi.transport.schemes import LOOP, OTHER, PCM, RTP, SCHEMES, scheme_of
from dredge_host.errors import UnreachableError, UsageError
from dredge_host.links.loop import LoopLink, loop_pair
from dredge_host.links.open import LINKS, open_link, open_secured, parse_udp
from dredge_host.live.session import Session


def listener() -> tuple[socket.socket, str]:
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind(("127.0.0.1", 0))
    far.settimeout(60)
    return far, f"udp://127.0.0.1:{far.getsockname()[1]}"


def test_udp_both_ways() -> None:
    far, url = listener()
    link = open_link(url)
    link.send(b"ping")
    data, address = far.recvfrom(100)
    assert data == b"ping"
    far.sendto(b"", address)
    far.sendto(b"pong", address)
    assert link.recv(5) == b""
    assert link.recv(5) == b"pong"
    assert link.recv(0) is None
    link.close()
    far.close()


def test_closed_port_is_unreachable_and_says_what_to_do() -> None:
    far, url = listener()
    far.close()
    link = open_link(url)
    with pytest.raises(UnreachableError, match="dredge agent --listen"):
        for _ in range(50):
            link.send(b"x")
            link.recv(0.05)
    link.close()


def test_unknown_host() -> None:
    with pytest.raises(UnreachableError, match="not known"):
        open_link("udp://no-such-host.invalid:5004")


def test_loop_pair_carries_datagrams_in_order() -> None:
    near, far = loop_pair()
    for i in range(5):
        near.send(bytes([i]))
    assert [far.recv() for _ in range(6)] == [b"\0", b"\1", b"\2", b"\3", b"\4", None]
    far.send(b"back")
    assert near.recv(1) == b"back"
    near.close()
    with pytest.raises(UnreachableError):
        near.send(b"x")
    assert isinstance(near, LoopLink)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("udp://pi:7000", ("pi", 7000)),
        ("udp://pi", ("pi", 5004)),
        ("udp://[::1]:9/", ("::1", 9)),
        ("udp://127.0.0.1:0", ("127.0.0.1", 0)),
    ],
)
def test_udp_urls(url: str, expected: tuple[str, int]) -> None:
    assert parse_udp(url) == expected


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("", UsageError),
        ("pi:5004", UsageError),
        ("tcp://pi:1", UsageError),
        ("udp://", UsageError),
        ("udp://pi:99999", UsageError),
        ("udp://pi:x", UsageError),
        ("udp://pi:1/path", UsageError),
        ("udp://[::1", UsageError),
        ("udp://127.0.0.1:0", UsageError),
        ("serial:///dev/no-such-port?baud=921600", UnreachableError),
        ("serial:///dev/x?baud=x", UsageError),
    ],
)
def test_bad_urls(url: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        open_link(url)


def test_a_loop_link_is_a_device_in_this_process() -> None:
    """It answers like any other, and its thread ends with the link."""
    before = set(threading.enumerate())
    link = open_secured("loop://", "/no/such/key")  # nothing of it leaves the process: no key
    try:
        assert Session(link).greet()["role"] == "device"
    finally:
        link.close()
    assert set(threading.enumerate()) <= before


def test_every_kind_of_link_is_in_every_table() -> None:
    kinds = set(SCHEMES.values()) - set(PCM)  # a source or an output, no link
    assert set(LINKS) == kinds and set(ENDPOINTS) == kinds - {LOOP, RTP}
    for name, scheme in SCHEMES.items():
        assert scheme_of(f"{name}://x") is scheme and scheme_of(name) is OTHER
    assert scheme_of("udp://pi:1").may_amplify and scheme_of("what://pi").may_amplify
    assert not scheme_of("serial:///dev/ttyUSB0").may_amplify and scheme_of("socket://pi:7000").needs_probe


def _endpoint(url: str) -> Any:
    from dredge_device.pi.transport.endpoint import open_endpoint

    try:
        return open_endpoint(url, True)
    except OSError as error:
        pytest.skip(f"this machine has no IPv6 ({error})")


def _answered(link: Any, endpoint: Any) -> Any:
    """What a link's datagram looks like to the endpoint, after several tries."""
    for _ in range(12):
        link.send(b"question")
        arrived = endpoint.recv(0.1)
        if arrived is not None:
            endpoint.send(b"answer", arrived[1])
            assert link.recv(1.0) == b"answer"
            return arrived[1]
    raise AssertionError("nothing came")


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_every_way_of_writing_this_machine(host: str) -> None:
    endpoint = _endpoint(f"udp://{host}:0")
    port = endpoint.address.rsplit(":", 1)[1]
    for name in [host] if host != "localhost" else ["127.0.0.1", "[::1]", "localhost"]:
        link = open_link(f"udp://{name}:{port}")
        _answered(link, endpoint)
        link.close()
    endpoint.close()


def test_the_v6_wildcard_hears_both_families() -> None:
    endpoint = _endpoint("udp://[::]:0")
    port = endpoint.address.rsplit(":", 1)[1]
    for name in ("127.0.0.1", "[::1]"):
        link = open_link(f"udp://{name}:{port}")
        _answered(link, endpoint)
        link.close()
    endpoint.close()


def test_every_address_of_a_name_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    endpoint = _endpoint("udp://127.0.0.1:0")
    port = int(endpoint.address.rsplit(":", 1)[1])
    real = socket.getaddrinfo

    def both(host: str, *rest: Any, **named: Any) -> Any:
        if host != "board.local":
            return real(host, *rest, **named)
        found: list[Any] = [(socket.AF_INET6, ("::1", port, 0, 0))]
        found += [(socket.AF_INET, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]
        return [(family, socket.SOCK_DGRAM, 17, "", address) for family, address in found]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    link = open_link(f"udp://board.local:{port}")
    assert _answered(link, endpoint)[0] == "127.0.0.1"
    link.close()
    endpoint.close()


@pytest.mark.parametrize("text", ["udp://::1:5004", "udp://[127.0.0.1]:5004", "udp://[::1]", "udp://[::1:5004"])
def test_addresses_that_are_not_well_formed(text: str) -> None:
    from dredge_device.pi.transport.endpoint import ListenError, parse_listen

    with pytest.raises(ListenError):
        parse_listen(text, True)
