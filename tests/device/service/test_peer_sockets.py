# SPDX-License-Identifier: BSD-2-Clause
"""Peers that are served have sockets of their own: real sockets, floods larger than any buffer."""

import socket

import pytest

from dredge_device.pi.transport.udp import UdpEndpoint

HOSTS = ["127.0.0.1", "::1"]


def opened(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    one = socket.socket(family, socket.SOCK_DGRAM)
    one.bind((host, 0))
    return one


@pytest.fixture(params=HOSTS)
def table(request):
    """An endpoint, its address, a peer and a stranger."""
    try:
        endpoint = UdpEndpoint(request.param, 0)
        peer, stranger = opened(request.param), opened(request.param)
    except OSError:
        pytest.skip(f"this machine has no address {request.param}")
    yield endpoint, (request.param, int(endpoint.address.rsplit(":", 1)[1])), peer, stranger
    endpoint.close()
    peer.close()
    stranger.close()


def received(endpoint):
    """Everything that waits: what was sent on this machine is there when the sending call returns."""
    got, nothing = [], 0
    while nothing < 5:  # an error that waits, of a peer that is gone, is nothing as well
        arrived = endpoint.recv(0.02)
        nothing = 0 if arrived else nothing + 1
        got += [arrived] if arrived else []
    return got


@pytest.mark.parametrize("served", [False, True])
def test_a_flood_larger_than_the_buffer_costs_a_served_peer_nothing(table, served):
    endpoint, address, peer, stranger = table
    if served:
        endpoint.serve({peer.getsockname()})
    for number in range(5000):
        stranger.sendto(bytes(1000), address)
        if number >= 4900:
            peer.sendto(bytes([number % 256]), address)
    got = received(endpoint)
    own = [data[0] for data, who, _ in got if who[:2] == peer.getsockname()[:2]]
    assert len(got) < 5000
    assert (own == [number % 256 for number in range(4900, 5000)]) == served
    if served:
        assert [len(data) for data, _, _ in got[:100]] == [1] * 100  # and it is heard first


def test_who_is_served_no_longer_is_heard_like_everybody(table):
    endpoint, address, peer, stranger = table
    for peers in ({peer.getsockname()}, (), {peer.getsockname(), stranger.getsockname()}, {stranger.getsockname()}):
        endpoint.serve(peers)
        peer.sendto(b"peer", address)
        stranger.sendto(b"stranger", address)
        assert sorted(data for data, _, _ in received(endpoint)) == [b"peer", b"stranger"]
        endpoint.send(b"answer", peer.getsockname())
        peer.settimeout(1.0)
        assert peer.recv(99) == b"answer"


def test_nobody_else_can_have_the_port(table):
    endpoint, address, peer, _ = table
    endpoint.serve({peer.getsockname()})
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as intruder:
        intruder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            intruder.bind(address)


def test_a_served_peer_that_is_gone_and_many_others_do_no_harm(table):
    endpoint, address, peer, stranger = table
    gone = opened(address[0])
    endpoint.serve({gone.getsockname(), peer.getsockname(), *((address[0], 20000 + n, 0, 0) for n in range(3))})
    where = gone.getsockname()
    gone.close()
    endpoint.send(b"nobody is there", where)  # the answer of the system comes to a socket of ours
    peer.sendto(b"on it goes", address)
    stranger.sendto(b"and on", address)
    assert sorted(data for data, _, _ in received(endpoint)) == [b"and on", b"on it goes"]
