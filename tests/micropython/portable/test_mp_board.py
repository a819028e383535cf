# SPDX-License-Identifier: BSD-2-Clause
# Bridge, probe and reports without a network: what goes in on one side comes out on the other, and is counted.
import json

from dredge_board.bridge import Bridge
from dredge_board.probe import Probe
from dredge_board.reports import Reporter
from dredge_device import agent, control, fragments, rtp

VECTORS = __file__.rpartition("/")[0] + "/dred_vectors.json"


class Network:
    def __init__(self):
        self.sent = []
        self.works = True

    def write(self, buffer, size):
        if self.works:
            self.sent.append(bytes(buffer[:size]))
            return size
        return None


# A UART whose buffer takes so many bytes at a time.
class Uart:
    def __init__(self, room=100000):
        self.room = room
        self.line = bytearray()

    def write(self, buffer, start, size):
        size = min(size, self.room)
        self.line.extend(buffer[start : start + size])
        return size or None


def test_datagrams_cross_the_line_both_ways():
    near, far = Bridge(Network(), Uart()), Bridge(Network(), Uart())
    wanted = [rtp.build(n, n * 960, 9, bytes(range(n))) for n in range(40)]
    for datagram in wanted:
        near.to_line(datagram)
    line = bytes(near._uart.line)
    for start in range(0, len(line), 100):
        piece = line[start : start + 100]
        far.from_line(piece, len(piece))
    assert far._network.sent == wanted
    assert near.counters.get("line_out") == far.counters.get("udp_out") == 40
    assert near.counters.get("line_bytes_out") == far.counters.get("line_bytes_in") == len(line)
    return len(line)


def test_a_busy_line_drops_the_newest_and_breaks_no_frame():
    near, far = Bridge(Network(), Uart(room=10)), Bridge(Network(), Uart())
    for n in range(5):
        near.to_line(b"datagram number %d" % n)
        near.flush()
    assert near.counters.get("line_busy") > 0
    while not near.is_flushed():
        near.flush()
    far.from_line(bytes(near._uart.line), len(near._uart.line))
    assert far._network.sent[0] == b"datagram number 0"
    assert far.reader.damaged == 0
    return near.counters.get("line_busy"), len(far._network.sent)


def test_a_network_that_takes_nothing_is_counted():
    bridge = Bridge(Network(), Uart())
    bridge.to_line(b"x")
    bridge._network.works = False
    bridge.from_line(bytes(bridge._uart.line), len(bridge._uart.line))
    assert bridge.counters.get("udp_unsent") == 1


def test_a_datagram_too_long_is_counted_and_the_next_one_goes():
    bridge = Bridge(Network(), Uart())
    bridge.to_line(bytes(3000))
    bridge.to_line(b"short")
    assert (bridge.counters.get("too_long"), bridge.counters.get("line_out")) == (1, 1)


def test_budget_of_a_period():
    bridge = Bridge(Network(), Uart())
    for n in range(10):
        bridge.spent(0, 100 + n)
        bridge.spent(1, 50)
        bridge.period()
    report = bridge.measure()["budget"]
    assert report["frames"] == 10 and report["stages"]["to_line"]["max_us"] == 109


def late(now, due):
    return now >= due


def test_whoever_says_hello_gets_ten_reports():
    reporter = Reporter("s", lambda: {"ok": True, "role": "bridge"}, lambda: {"a": 1})
    hello = control.build(control.Message(control.HELLO, 4))
    answer = control.parse(reporter.handle(hello, "peer", 0)[0])[0]
    assert answer.document()["role"] == "bridge" and answer.number == 4
    incoming, got = fragments.Incoming(), []
    for now in range(0, 20000000, 20000):
        for datagram in reporter.tick(now, late):
            got.append(incoming.add(control.parse(datagram)[0]))
    assert [document["number"] for document in got] == list(range(1, 11))
    assert got[0]["schema"] == "s" and got[0]["a"] == 1
    assert reporter.handle(b"noise", "peer", 0) == []
    assert reporter.counters.get("garbage") == 1


def test_bye_ends_the_reports():
    reporter = Reporter("s", dict, dict)
    reporter.handle(control.build(control.Message(control.HELLO, 1)), "peer", 0)
    reporter.handle(control.build(control.Message(control.BYE, 2)), "peer", 0)
    assert reporter.tick(10000000, late) == []


class Clock:
    us = 0

    def now(self):
        return self.us


# Ten packets lost, of which the redundancy behind the gap describes only the last ones.
def test_probe_tells_recoverable_losses_from_others():
    with open(VECTORS) as file:
        vectors = json.load(file)
    packet = bytes(int(vectors["short"][i : i + 2], 16) for i in range(0, len(vectors["short"]), 2))
    clock = Clock()
    probe = Probe({"playout_ms": 500}, clock.now)
    probe.announce(5, 100)
    decided = []
    for n in range(120):
        if not 40 <= n < 50 and n != 70:
            probe.push(rtp.build(100 + n, n * 960, 5, packet), 0)
        step = probe.pull()
        if step is not None:
            decided.append(step[1])
        clock.us += 20000
    report = probe.report()
    assert report["gaps"] == [[1, 1, 1], [10, 1, vectors["short_covers"]]], report["gaps"]
    assert report["packets"]["lost"] == 11
    assert decided[40:50] == ["conceal"] * (10 - vectors["short_covers"]) + ["dred"] * vectors["short_covers"]
    return sorted(report["sources"].items()), report["loss_pct"], report["recoverable_pct"], report["dred"]["span_ms"]


def test_probe_counts_what_it_cannot_read():
    probe = Probe({"playout_ms": 100}, Clock().now)
    probe.push(b"\x40" + bytes(20), 0)
    probe.push(rtp.build(1, 0, 5, b"\x48\x00"), 0)
    probe.push(rtp.build(2, 0, 5, b"\x4b\x41\x20\x00"), 0)
    snapshot = probe.counters.snapshot()
    assert (snapshot["garbage"], snapshot["without_dred"], snapshot["dred_unreadable"]) == (1, 1, 1)


def test_probe_is_a_receiver_for_the_agent():
    clock = Clock()
    board = agent.Agent(
        lambda options: Probe(options, clock.now),
        {"playout_ms": 40, "conceal": "dred", "lbrr": False, "adaptive": False},
        {"ok": True, "role": "probe"},
        periods=100,
    )
    hello = control.build(control.Message(control.HELLO, 1))
    assert control.parse(board.handle(hello, "peer", clock.us)[0])[0].document()["role"] == "probe"
    for n in range(60):
        board.handle(rtp.build(n, n * 960, 8, b"\x48\x00"), "peer", clock.us)
        decided = board.receiver.pull()
        if decided is not None:
            board.played(*decided)
        board.tick(clock.us)
        clock.us += 20000
    bye = control.with_document(control.BYE, 2, {"last_sequence": 59})
    board.handle(control.build(bye), "peer", clock.us)
    incoming, final = fragments.Incoming(), None
    for _ in range(20):
        if board.state == agent.DRAINING:
            decided = board.receiver.pull()
            if decided is not None:
                board.played(*decided)
        for datagram in board.tick(clock.us):
            for message in control.parse(datagram):
                document = incoming.add(message)
                if document is not None and document["final"]:
                    final = document
        clock.us += 20000
    assert final is not None and final["packets"]["expected"] == 60
    assert final["timeline"]["sources"] == "o" * 60


def test_a_goodbye_is_noticed_wherever_it_stands():
    from dredge_board.bridgeloop import says_goodbye
    from dredge_device import rtcp

    bye = control.build(control.with_document(control.BYE, 3, {}, 0, 9))
    hello = control.build(control.with_document(control.HELLO, 3, {}, 0, 9))
    assert says_goodbye(bye) and says_goodbye(rtcp.build_bye(9))
    assert says_goodbye(hello + rtcp.build_bye(9))
    assert not says_goodbye(hello)
    assert not says_goodbye(rtp.build(1, 960, 9, bye))
    for size in range(len(bye)):
        says_goodbye(bye[:size])  # cut short: no exception
    return 1


def test_a_board_that_loses_datagrams_is_refused():
    from dredge_board import app

    for version, platform, fits in (
        ((1, 25), "rp2", False), ((1, 26), "rp2", True), ((1, 22), "esp32", True), ((1, 21), "esp32", False),
    ):  # fmt: skip
        try:
            app.check_version(version, platform)
            done = True
        except ValueError as error:
            done = False
            assert "or newer on" in str(error)
        assert done == fits
    return 1
