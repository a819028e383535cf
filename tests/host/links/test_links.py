# SPDX-License-Identifier: BSD-2-Clause
"""Links by URL."""

import socket
import threading

import pytest

from dredge_device.pi.transport.endpoint import ENDPOINTS
from dredge_device.pi.transport.schemes import LOOP, OTHER, SCHEMES, scheme_of
from dredge_host.errors import UnreachableError, UsageError
from dredge_host.links.loop import LoopLink, loop_pair
from dredge_host.links.open import LINKS, open_link, open_secured, parse_udp
from dredge_host.live.session import Session


def listener() -> tuple[socket.socket, str]:
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far.bind(("127.0.0.1", 0))
    far.settimeout(5)
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
    before = threading.active_count()
    link = open_secured("loop://", "/no/such/key")  # nothing of it leaves the process: no key
    try:
        assert Session(link).greet()["role"] == "device"
    finally:
        link.close()
    assert threading.active_count() == before


def test_every_kind_of_link_is_in_every_table() -> None:
    kinds = set(SCHEMES.values())
    assert set(LINKS) == kinds and set(ENDPOINTS) == kinds - {LOOP}
    for name, scheme in SCHEMES.items():
        assert scheme_of(f"{name}://x") is scheme and scheme_of(name) is OTHER
    assert scheme_of("udp://pi:1").may_amplify and scheme_of("what://pi").may_amplify
    assert not scheme_of("serial:///dev/ttyUSB0").may_amplify and scheme_of("socket://pi:7000").needs_probe
