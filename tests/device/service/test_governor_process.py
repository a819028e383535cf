# SPDX-License-Identifier: BSD-2-Clause
"""A device process beyond its rating: real sockets and periods, work that takes its time."""

import socket
import threading
import time

import pytest
from device_fakes import FakeVocoder, fake_parts, packet
from device_host import Host

from dredge_device import control, rtp
from dredge_device.pi.service import building
from dredge_device.pi.service import process as device
from dredge_host.errors import UNREACHABLE, UnreachableError, exit_code
from dredge_host.links.open import open_link
from dredge_host.live.session import Session

HOSTS, PERIODS = 6, 250
DECODE, DEAR, CHEAP, CONCEAL = 2700, 6000, 4000, 2600  # us; six hosts: packets take 16 ms, gaps much more


def slow(part, **costs):
    """The same part, whose calls take so many microseconds of real time."""

    class Slow:
        def __getattr__(self, name):
            def call(*arguments, **named):
                time.sleep(costs.get(name, 0) / 1e6)
                return getattr(part, name)(*arguments, **named)

            return call

    return Slow()


@pytest.fixture
def agent(monkeypatch):
    """A running process with six streams whose parts are slow; (address, process)."""
    def parts(conceal, vocoder, shelf, opus_complexity=0):
        made = fake_parts()
        made.decoder = slow(made.decoder, decode=DECODE, conceal=CONCEAL)
        made.vocoder = slow(made.vocoder, begin=DEAR, synthesise=DEAR)
        made.small_vocoder = slow(FakeVocoder(), begin=CHEAP, synthesise=CHEAP)
        return made

    monkeypatch.setattr(building, "real_parts", parts)
    process = device.Process(device.Options(listen="udp://127.0.0.1:0", streams=HOSTS + 2, playout_ms=200))
    thread = threading.Thread(target=process.run)
    thread.start()
    host, port = process.address.removeprefix("udp://").split(":")
    yield (host, int(port)), process
    process.stop()
    thread.join()


def test_streams_go_on_while_quality_goes_and_new_hosts_are_refused(agent):
    address, _ = agent
    hosts = [Host(address) for _ in range(HOSTS)]
    for host in hosts:
        assert host.ask(control.CONFIGURE, {"ssrc": 7, "first_sequence": 0, "first_timestamp": 0})["ok"]
    begin = time.monotonic()
    for n in range(PERIODS):
        for index, host in enumerate(hosts):
            if (n + 4 * index) % 25 >= 5 or n < 3 or n == PERIODS - 1:
                host.socket.send(rtp.build(n, 960 * n, 7, packet(n)))
        time.sleep(max(0.0, begin + 0.02 * (n + 1) - time.monotonic()))
        if n == PERIODS - 10:
            check_refusal(address)
    for host in hosts:
        host.ask(control.BYE, {"last_sequence": PERIODS - 1, "last_timestamp": 960 * (PERIODS - 1)})
    reports = [host.final() for host in hosts]
    for host in hosts:
        host.close()
    for report in reports:  # one frame per period, and everything that arrived was decoded
        sources, packets = report["sources"], report["packets"]
        assert sum(sources.values()) - sources["silence"] >= packets["expected"] == PERIODS
        given_up = packets["late"] + sources["skipped"]  # where this machine itself stood still
        assert packets["arrived"] - given_up <= sources["opus"] <= packets["arrived"]
        assert sources["conceal"] > 0 or given_up > packets["arrived"] // 2
        assert report["load"]["full"] < PERIODS
    load = reports[-1]["output"]["load"]
    # In order, as far as it had to go; it may return in between where this machine itself stands still.
    reached = list(dict.fromkeys(level for _, level in load["changes"] if level != "full"))
    assert reached and reached == ["small", "classic", "closed"][: len(reached)]
    assert load["refused"] >= 1


def check_refusal(address):
    link = open_link("udp://{}:{}".format(*address))
    try:
        with pytest.raises(UnreachableError, match=r"refused: the device is at its load limit: .* try again") as caught:
            Session(link).greet()
        assert exit_code(caught.value) == UNREACHABLE
    finally:
        link.close()


def test_a_stranger_without_a_session_is_not_heard_either(agent):
    address, process = agent
    process._governor.level = 3
    hosts = [Host(address)]
    assert hosts[0].ask(control.HELLO)["ok"]  # nobody is there yet: no reason to refuse
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for n in range(5):
            stranger.sendto(rtp.build(n, 960 * n, 9, packet(n)), address)
        time.sleep(0.1)
    assert hosts[0].ask(control.HELLO)["ok"]
    assert len(process._sessions._slots.playing) == 1
    hosts[0].close()
