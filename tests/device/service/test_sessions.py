# SPDX-License-Identifier: BSD-2-Clause
"""Who is heard: places, goodbyes, floods, forgeries, senders that never say hello."""

import json
import re

import pytest
from device_fakes import SSRC, fake_parts, packet
from waiting import until

from dredge_device import agent as states
from dredge_device import control, fragments, rtcp, rtp
from dredge_device.agent import Agent
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.streams.admission import MEDIA_TURN, OTHER_TURN, Candidates, Inbox
from dredge_device.pi.service.streams.receiver_pool import ReceiverPool
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_device.pi.transport.addresses import network_of

ONE, TWO, THREE = ("10.0.0.1", 1000), ("10.0.0.2", 2000), ("10.0.0.3", 3000)
OPTIONS = {"playout_ms": 200, "adaptive": False, "conceal": "opus", "lbrr": True}


class Output:
    def __init__(self):
        self.spoken, self.closed, self.broken = 0, [], False

    def write(self, pcm, spoken, at_us=0):
        if self.broken:
            raise OSError("No space left on device")
        self.spoken += spoken

    def close(self):
        self.closed.append(self.spoken)
        self.spoken = 0
        return {"kind": "test"}

    def discard(self):
        pass


class Table:
    """Sessions without sockets; the clock moves by periods."""

    def __init__(self, most=1):
        self.now_us, self.outputs, self.lines = 1_000_000, [], []
        self.reports = []
        notices = Notices(self.lines.append, lambda: self.now_us / 1e6)
        self.streams = Sessions(self._stream, most, notices=notices, clock=lambda: self.now_us)

    def _stream(self, index):
        output = Output()
        self.outputs.append(output)

        def receiver(options):
            return Receiver(options["playout_ms"], "opus", clock_us=lambda: self.now_us, parts=fake_parts("opus"))

        def reported(*report):
            self.streams.log.reported(*report)

        agent = Agent(receiver, OPTIONS, {"ok": True, "boot": "t"}, on_end=output.close, on_report=reported)
        return StreamSession(agent, output)

    def ask(self, kind, peer, document=None, number=1):
        data = control.build(control.with_document(kind, number, document or {}))
        answers = self.streams.handle(data, peer, self.now_us)
        return control.parse(answers[0])[0].document() if answers else None

    def media(self, number, peer=ONE, ssrc=SSRC):
        self.streams.handle(rtp.build(number, 960 * number, ssrc, packet(number)), peer, self.now_us)

    def period(self, count=1, acknowledge=True):
        for _ in range(count):
            for datagram, peer in self.streams.period(self.now_us):
                for message in control.parse(datagram):
                    if message.kind == control.REPORT and message.flags & control.FINAL:
                        self.reports.append(peer)
                        if acknowledge:
                            self.streams.handle(fragments.acknowledgement(message), peer, self.now_us)
            self.now_us += 20_000

    @property
    def agent(self):
        return self.streams.streams[0].agent


def test_a_goodbye_frees_the_place_at_once_and_both_streams_are_whole():
    table = Table()
    table.ask(control.HELLO, ONE)
    for n in range(20):
        table.media(n)
        table.period()
    assert table.ask(control.HELLO, TWO)["ok"] is False
    assert table.ask(control.BYE, ONE, {"last_sequence": 19})["ok"]
    assert table.ask(control.HELLO, TWO)["ok"] is True
    for n in range(20):
        table.media(n, TWO, 99)
        table.period()
    table.ask(control.BYE, TWO, {"last_sequence": 19})
    table.period(20)
    assert table.outputs[0].closed == [20, 20] and list(dict.fromkeys(table.reports)) == [ONE, TWO]
    assert table.streams.sessions_ended == 2


def test_a_report_that_nobody_acknowledges_takes_no_place():
    table = Table()
    table.ask(control.HELLO, ONE)
    table.ask(control.BYE, ONE)
    table.period(5, acknowledge=False)
    assert table.ask(control.HELLO, TWO)["ok"] is True
    table.period(300, acknowledge=False)
    assert table.reports.count(ONE) % 25 == 0 < table.reports.count(ONE) and not table.streams._slots.final_reports
    for n in range(40):  # … and no memory
        table.ask(control.BYE, ("10.0.1.1", n) if n else TWO)
        table.ask(control.HELLO, ("10.0.1.1", n + 1))
        table.period(acknowledge=False)
    assert len(table.streams._slots.final_reports) <= 8


def test_a_running_session_is_neither_displaced_nor_disturbed():
    table = Table()
    table.ask(control.HELLO, ONE)
    for n in range(200):
        table.media(n)
        for evil in range(20):
            peer = (f"10.{evil}.{n}.1", 5)
            answer = table.ask(control.HELLO, peer)
            assert (answer["ok"] is False and "in use" in answer["error"]) or "using me" in answer["error"]
            table.media(n, peer, 4711)
            table.streams.handle(rtcp.build_bye(SSRC), peer, table.now_us)
        table.media(n + 3000, ONE, 4000 + n)  # forged, every one alone
        table.period()
    report = table.agent.receiver.report()
    assert table.agent.peer == ONE and report["packets"]["arrived"] == 200
    assert report["packets"]["missing"] == report["packets"]["restarts"] == 0


def test_a_plain_stream_needs_two_packets_that_go_on():
    table = Table()
    table.media(1)
    table.media(9, ssrc=7)
    table.media(10, TWO)
    assert table.agent.state == states.IDLE
    table.media(10, ssrc=7)
    assert table.agent.state == states.ACTIVE and table.agent.plain
    assert table.agent.receiver.report()["packets"]["received"] == 2


def test_a_plain_sender_that_comes_back_from_another_port_is_served_at_once():
    table = Table()
    for n in range(50):
        table.media(n)
        table.period()
    other = (ONE[0], 7777)
    table.media(0, other, 5)
    table.media(1, other, 5)
    assert table.agent.peer == ONE  # both are sending: the first one keeps the place
    table.period(15)
    for n in range(50):
        table.media(n, other, 5)
        table.period()
    assert table.agent.peer == other and table.agent.receiver.report()["packets"]["missing"] == 0
    assert len(table.outputs[0].closed) == 1


def test_a_plain_sender_says_goodbye_from_its_rtcp_port():
    table = Table()
    for n in range(50):
        table.media(n)
        table.period()
    table.streams.handle(rtcp.build_bye(SSRC + 1), (ONE[0], 1001), table.now_us)
    table.streams.handle(rtcp.build_bye(SSRC), (TWO[0], 1001), table.now_us)
    assert table.agent.state == states.ACTIVE
    table.streams.handle(rtcp.build_bye(SSRC), (ONE[0], 1001), table.now_us)
    table.media(0, (ONE[0], 7777), 5)  # the next one, at once
    table.media(1, (ONE[0], 7777), 5)
    table.period(20)
    assert table.outputs[0].closed == [50]
    assert table.agent.peer == (ONE[0], 7777)


@pytest.mark.parametrize("goodbye", [False, True])
@pytest.mark.parametrize("most", [1, 3])
def test_a_sender_that_changes_its_ssrc_is_heard_to_the_end_and_again(goodbye, most):
    table = Table(most)
    for n in range(40):
        table.media(n)
        table.period()
    if goodbye:
        table.streams.handle(rtcp.build_bye(SSRC), ONE, table.now_us)
    for n in range(40):
        table.media(n, ONE, 5)
        table.period()
    table.streams.handle(rtcp.build_bye(5), ONE, table.now_us)
    table.period(30)
    assert [heard for output in table.outputs for heard in output.closed] == [40, 40]
    ends = [line for line in table.lines if " ended (goodbye)" in line]
    assert len(ends) == 2 and all("40 packets, 0 lost; played: opus 40" in line for line in ends)


@pytest.mark.parametrize("size", range(13))
def test_a_datagram_of_a_few_bytes_changes_nothing(size):
    table = Table()
    for number in range(5):
        table.media(number)
        table.period()
    for first in (0x00, 0x80, 0xFF):
        assert table.streams.handle(bytes([first]) * size, ONE, table.now_us) == []
    table.media(5)
    table.period()
    assert table.agent.state == states.ACTIVE and table.agent.receiver.report()["packets"]["received"] == 6


def test_one_packet_of_another_ssrc_changes_nothing():
    table = Table()
    for n in range(60):
        table.media(n)
        if n % 3 == 2:
            table.media(1000 + 7 * n, ONE, 4000 + n)
        table.period()
    table.streams.handle(rtcp.build_bye(SSRC), ONE, table.now_us)
    table.period(30)
    assert table.outputs[0].closed == [60] and len(table.lines) == 2


def test_lines_say_that_a_stream_began_and_how_it_ended():
    table = Table()
    for n in range(50):
        if n != 20:
            table.media(n)
        table.period()
    table.streams.handle(rtcp.build_bye(SSRC), ONE, table.now_us)
    table.period(30)
    began, ended = table.lines
    kind = f"RTP without hello, Opus, type 111, 20 ms, SSRC 0x{SSRC:08x}"
    assert began.startswith(f"stream from 10.0.0.1:1000 began ({kind}, playout fixed:")
    assert ended.startswith("stream from 10.0.0.1:1000 ended (goodbye): 1.0 s, 49 packets, 1 lost")


def test_lines_say_what_was_lost_and_who_fell_silent():
    table = Table()
    table.ask(control.HELLO, ONE)
    for n in range(600):
        if n % 50:
            table.media(n)
        table.period()
    table.period(200)
    for n in range(800, 860):
        table.media(n)
        table.period()
    _, lost, silent, again = (line.removeprefix("stream from 10.0.0.1:1000") for line in table.lines)
    assert re.fullmatch(r": (9|10) of \d+ packets lost, played: conceal (9|10) in 1[01] s", lost)
    assert silent == ": nothing heard for 3 s" and again == ": heard again"


def test_a_report_that_waits_for_its_acknowledgement_is_told_once():
    table = Table()
    table.ask(control.HELLO, ONE)
    for n in range(20):
        table.media(n)
        table.period()
    table.ask(control.BYE, ONE, {"last_sequence": 19})
    table.period(60, acknowledge=False)
    assert [line.split(" (")[0] for line in table.lines] == [
        "stream from 10.0.0.1:1000 began", "stream from 10.0.0.1:1000 ended"]  # fmt: skip


def test_an_output_that_fails_ends_its_session_alone():
    table = Table(most=2)
    for peer in (ONE, TWO):
        table.ask(control.HELLO, peer)
    for n in range(30):
        if n <= 20:
            table.media(n, ONE)
        table.media(n, TWO, 9)
        table.outputs[0].broken = n >= 20
        table.period()
    first, second = (stream.agent for stream in table.streams.streams)
    assert first.state != states.ACTIVE and "No space left" in str(table.lines)
    assert second.state == states.ACTIVE and set(table.reports) == {ONE}
    assert table.ask(control.HELLO, THREE)["ok"] is True  # with an output of its own
    assert len(table.outputs) == 3


def test_a_session_whose_first_period_cannot_be_written_is_told_as_begun_and_ended():
    table = Table()
    table.outputs[0].broken = True
    table.ask(control.HELLO, ONE)
    table.media(0)
    table.period(3)
    assert [line.split(" (")[0] for line in table.lines if "stream from" in line] == [
        "stream from 10.0.0.1:1000 began", "stream from 10.0.0.1:1000 ended"]  # fmt: skip
    last = table.streams.log.last
    assert last.ended == "output failed" and "No space left" in last.report["output"]["error"]


def test_an_output_that_keeps_failing_is_told_once_in_ten_seconds():
    table = Table()
    for n in range(600):
        if table.outputs:
            table.outputs[-1].broken = True
        if n % 20 == 0:  # the host's session is gone, so it asks for another
            table.ask(control.HELLO, ONE)
        table.media(n)
        table.period()
    told = [line.split(" (")[0] for line in table.lines if "stream from" in line]
    assert told == ["stream from 10.0.0.1:1000 began", "stream from 10.0.0.1:1000 ended"]
    assert 1 <= sum("the output failed, its session ends" in line for line in table.lines) <= 2


def test_an_output_that_fails_before_the_first_packet_is_counted():
    table = Table()
    table.outputs[0].broken = True
    table.ask(control.HELLO, ONE)
    table.period(3)
    assert table.streams.lost_outputs == 1 and table.streams.log.last is None


def test_a_hello_without_a_stream_holds_no_place_for_long():
    table = Table()
    table.ask(control.HELLO, ONE)
    table.period(110)
    assert table.ask(control.HELLO, TWO)["ok"] is True


def test_strangers_are_counted_by_address_and_not_by_port():
    assert network_of(("10.0.0.1", 1)) == network_of(("10.0.0.1", 2)) != network_of(("10.0.0.2", 1))
    assert network_of(("2001:db8::1", 1, 0, 0)) == network_of(("2001:db8::ffff:2", 2, 0, 0))
    assert network_of(("2001:db8:0:1::1", 1, 0, 0)) != network_of(("2001:db8::1", 1, 0, 0))
    assert network_of(("fe80::1%eth0", 1, 0, 2)) and network_of("serial") == "serial"


def test_a_flood_waits_and_running_media_does_not():
    inbox = Inbox()
    inbox.running = frozenset([ONE])
    hello = control.build(control.with_document(control.HELLO, 1, {}))
    for n in range(50_000):
        inbox.put(hello, ("10.6.6.6", n & 0xFFFF), n)
    inbox.put(hello, TWO, 60_000)  # another stranger
    inbox.put(hello, ONE, 60_001)  # an acknowledgement of the host that is served
    for n in range(100):
        inbox.put(rtp.build(n, n, 1, b"x"), ONE, 60_002)
    taken = inbox.take()
    assert sum(peer == ONE for _, peer, _ in taken) == 101 and sum(peer == TWO for _, peer, _ in taken) == 1
    assert len(taken) <= MEDIA_TURN + OTHER_TURN and inbox.dropped > 49_000
    for n in range(50_000):
        inbox.put(hello, (f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", 1), n)
    for n in range(500_000):
        inbox.put(hello, (f"10.0.0.{n % 100}", n % 7), n)
    assert inbox._waiting == sum(map(len, inbox._others.values())) <= 1024 + 64 * 16
    inbox.put(hello, ONE, 60_003)
    assert any(peer == ONE for _, peer, _ in inbox.take())


def test_a_flood_displaces_nobody_behind_the_same_address():
    inbox = Inbox()
    hello = control.build(control.with_document(control.HELLO, 1, {}))
    for n in range(1000):
        inbox.put(hello, ("10.6.6.6", 666), n)
    inbox.put(b"first", ("10.6.6.6", 1), 1000)
    for n in range(1000):
        inbox.put(hello, ("10.6.6.6", 666), 1001 + n)
    inbox.put(b"second", ("10.6.6.6", 2), 3000)
    taken = inbox.take()
    assert [data for data, peer, _ in taken if peer[1] != 666] == [b"first", b"second"]
    assert len(taken) == OTHER_TURN and inbox.dropped == 2000 - 126
    while inbox.take():
        pass
    for n in range(1000):  # as many sockets: none of them has more than another
        inbox.put(hello, ("10.6.6.6", n), n)
    assert [peer[1] for _, peer, _ in inbox.take()] == list(range(OTHER_TURN))


def test_a_sender_may_begin_with_a_burst():
    """A quarter of a second of 2.5 ms packets at once: nothing of it is dropped, nor held up once the session runs."""
    inbox = Inbox()
    for n in range(100):
        inbox.put(rtp.build(n, 120 * n, 1, b"x"), TWO, n)
    first = inbox.take()
    assert [when for *_, when in first] == list(range(OTHER_TURN))
    inbox.running = frozenset([TWO])
    inbox.put(rtp.build(100, 12000, 1, b"x"), TWO, 100)
    assert [when for *_, when in inbox.take()] == list(range(OTHER_TURN, 101))
    assert inbox.dropped == inbox.overflow == 0 and not inbox._others and not inbox._waiting


def test_candidates_are_bounded():
    candidates = Candidates()
    for n in range(3000):
        candidates.confirm(rtp.build(1, 1, n, b"x"), (f"10.0.{n % 3}.1", n), 0)
    assert len(candidates._waiting) <= 256
    assert candidates.confirm(rtp.build(1, 1, 1, b"x", payload_type=0), ONE, 0) == []


def test_lines_of_one_kind_are_rare():
    lines, now = [], [0.0]
    notices = Notices(lines.append, lambda: now[0])
    for n in range(2000):
        now[0] = n / 100
        notices.warn("full", "full")
        notices.stream("began")
    assert lines.count("began") <= 40
    warned = [line for line in lines if line.startswith("full")]
    assert len(warned) == 2 and "999 times before" in warned[1]


def test_receivers_are_built_in_another_thread_once():
    built = []

    def build(options):
        built.append(dict(options))
        if options.get("bad"):
            raise ValueError("no such thing")
        return dict(options)

    usual = {"playout_ms": 1}
    pool = ReceiverPool(build, usual)
    assert pool.make(usual) == usual
    other = {"playout_ms": 2}
    made = until(lambda: pool.make(other))  # None while another thread builds it
    assert made == other and built.count(other) == 1
    until(lambda: pool.make(usual))  # one is kept ready
    with pytest.raises(RuntimeError, match="no such thing"):
        until(lambda: pool.make({"bad": True}))
    for n in range(40):
        pool.make({"playout_ms": 100 + n})
    until(lambda: len(built) >= 40)
    assert sum(map(len, pool._ready.values())) <= 6
    pool.close()
    json.dumps(built)
