# SPDX-License-Identifier: BSD-2-Clause
"""The device's half of a session, without sockets."""

import json

import pytest
from device_fakes import SSRC, fake_parts, packet
from hypothesis import given
from hypothesis import strategies as st

from dredge_device import agent, control, fragments, rtcp, rtp
from dredge_device.agent import Agent
from dredge_device.pi.receiver import Receiver

HOST, OTHER = ("127.0.0.1", 1000), ("127.0.0.1", 2000)
INFO = {"ok": True, "protocol": 1, "simd": "scalar", "models": ["a"], "capabilities": ["dred"]}


class Table:
    """A host and a device with their clock; the device plays once per 20 ms."""

    def __init__(self, playout_ms=40):
        self.now_us = 1_000_000
        self.ended = []
        self.inbox, self.reports, self.receipts = fragments.Incoming(), [], []
        options = {"playout_ms": playout_ms, "adaptive": False, "conceal": "dred", "lbrr": True}
        self.device = Agent(self.make, options, INFO, on_end=self.end)
        self.deaf = False  # the host hears nothing

    def make(self, options):
        return Receiver(
            options["playout_ms"],
            options["conceal"],
            options["lbrr"],
            clock_us=lambda: self.now_us,
            parts=fake_parts(options["conceal"]),
        )

    def end(self):
        self.ended.append(self.now_us)
        return {"kind": "test"}

    def say(self, kind, number, document=None, peer=HOST):
        """Sends one message; the answers as messages."""
        data = control.build(control.with_document(kind, number, document or {}))
        answers = self.device.handle(data, peer, self.now_us)
        return [message for answer in answers for message in control.parse(answer)]

    def media(self, number, peer=HOST, ssrc=SSRC):
        data = rtp.build(number, 960 * number, ssrc, packet(number))
        assert self.device.handle(data, peer, self.now_us) == []

    def period(self):
        if self.device.state in (agent.ACTIVE, agent.DRAINING):
            played = self.device.receiver.pull()
            for frame in played.frames:
                self.device.played(frame.packet, frame.source, frame.delay_us, 5, frame.reason)
        for datagram in self.device.tick(self.now_us):
            if not self.deaf:
                self.read(datagram)
        self.now_us += 20_000

    def read(self, datagram):
        assert len(datagram) <= 1200
        for part in rtcp.split(datagram):
            if part.kind == rtcp.RECEIVER_REPORT:
                self.receipts.append(rtcp.parse_receiver_report(part))
                continue
            if part.kind != rtcp.APP:
                continue
            message = control.from_app(part)
            report = self.inbox.add(message)
            if report is not None:
                self.reports.append(report)
            if message.flags & control.FINAL:
                self.device.handle(fragments.acknowledgement(message), HOST, self.now_us)


def test_hello_tells_who_we_are():
    table = Table()
    (answer,) = table.say(control.HELLO, 7)
    assert (answer.kind, answer.number, answer.flags) == (control.HELLO, 7, control.REPLY)
    assert answer.document() == INFO
    assert table.device.state == agent.ACTIVE and table.device.peer == HOST


def test_whole_session_with_loss():
    table = Table()
    table.say(control.HELLO, 1)
    (answer,) = table.say(control.CONFIGURE, 2, {"ssrc": SSRC, "first_sequence": 0})
    assert answer.document()["ok"] is True
    for n in range(120):
        if n not in (0, 50, 51, 52):
            table.media(n)
        table.period()
    (answer,) = table.say(control.BYE, 3, {"last_sequence": 119})
    assert answer.document() == {"ok": True}
    for _ in range(20):
        table.period()
    assert table.device.over()
    assert [report["final"] for report in table.reports] == [False, False, True]
    final = table.reports[-1]
    assert final["packets"]["expected"] == 120 and final["packets"]["lost"] == 4
    # At 40 ms the first of three lost in a row has no later packet yet.
    assert final["sources"]["dred"] == 3 and final["sources"]["plc"] == 1
    assert final["timeline"]["sources"][48:55] == "oopddoo"
    assert final["output"] == {"kind": "test"} and len(table.ended) == 1
    assert len(final["budget"]["histogram"]) == 1 and "histogram" not in table.reports[0]["budget"]
    parts = [report["timeline"]["sources"] for report in table.reports[:2]]
    assert final["timeline"]["sources"].startswith("".join(parts))


def test_receiver_reports_count_losses():
    table = Table()
    for n in range(140):
        if n % 4 != 1:
            table.media(n)
        table.period()
    first, second = table.receipts
    assert first["source"] == SSRC and second["highest"] > first["highest"]
    assert 60 <= first["fraction_256"] <= 68 and first["lost"] in (12, 13)


def test_stream_without_hello_is_played_too():
    table = Table()
    table.media(5)
    for _ in range(4):
        table.period()
    assert table.device.receiver.report()["sources"]["opus"] == 1


def test_configuration_changes_the_receiver_before_the_stream():
    table = Table()
    wanted = {"playout_ms": 100, "conceal": "plc", "lbrr": False}
    (answer,) = table.say(control.CONFIGURE, 1, wanted)
    assert answer.document() == {"ok": True, "adaptive": False, **wanted}
    assert table.device.receiver.playout_ms == 100
    receiver = table.device.receiver
    (again,) = table.say(control.CONFIGURE, 1, {"playout_ms": 300})  # a repetition of number 1
    assert again.document() == answer.document() and table.device.receiver is receiver
    table.media(0)
    (answer,) = table.say(control.CONFIGURE, 2, {"playout_ms": 300})
    assert answer.document()["ok"] is False and "has begun" in answer.document()["error"]


@pytest.mark.parametrize(
    "wanted", [{"playout_ms": 90000}, {"conceal": "x"}, {"ssrc": "a", "first_sequence": 1}]
)
def test_bad_configuration_is_answered_with_a_sentence(wanted):
    table = Table()
    (answer,) = table.say(control.CONFIGURE, 1, wanted)
    assert answer.document()["ok"] is False and answer.document()["error"]
    table.media(0)
    table.period()


def test_no_answer_is_answered():
    """Two devices, a device and itself, or a device and a line that echoes: one datagram, one answer at most."""
    for kind in range(len(control.KINDS)):
        for version in (1, 2):
            table = Table()
            data = control.build(control.with_document(kind, 1, {"padding": "." * 900}))
            data = data[:12] + bytes([version]) + data[13:]
            answers = table.device.handle(data, HOST, table.now_us)
            assert len(answers) <= 1
            assert all(table.device.handle(answer, HOST, table.now_us) == [] for answer in answers)
    assert table.device.counters.get("other_version") >= 1


def test_a_host_that_only_echoes_is_not_heard():
    table = Table()
    table.say(control.HELLO, 1)
    for _ in range(3100):
        for datagram in table.device.tick(table.now_us):
            table.device.handle(datagram, HOST, table.now_us)  # its reports come back
        table.now_us += 20_000
    assert table.device.state == agent.REPORTING


def test_a_datagram_of_many_requests_is_refused():
    table = Table()
    one = control.build(control.with_document(control.CONFIGURE, 1, {"playout_ms": 60}))
    assert table.device.handle(one * 5, HOST, table.now_us) == []
    assert table.device.counters.get("garbage") == 1
    assert len(table.device.handle(one * 2, HOST, table.now_us)) == 2


def test_a_plain_sender_ends_by_rtcp_goodbye():
    table = Table()
    for n in range(20):
        table.media(n)
        table.period()
    assert table.device.plain
    other = rtcp.build_bye(SSRC + 1)
    table.device.handle(other, HOST, table.now_us)
    assert table.device.state == agent.ACTIVE
    table.device.handle(rtcp.build_bye(SSRC), HOST, table.now_us)
    table.media(20)  # overtaken by the goodbye
    for _ in range(10):
        table.period()
    assert table.device.over() and table.device.why == "goodbye"
    assert table.device.reports.final["packets"]["arrived"] == 21 and table.device.reports.final["packets"]["lost"] == 0
    assert table.reports == []  # it would not understand them


def test_a_plain_sender_that_falls_silent_is_gone_after_seconds():
    table = Table()
    table.media(0)
    for _ in range(160):
        table.period()
    assert table.device.over() and table.device.why == "silence"


def test_an_opening_without_a_stream_gives_way_soon():
    table = Table()
    table.say(control.HELLO, 1)
    table.now_us += 1_900_000
    assert not table.device.yields(table.now_us)
    table.now_us += 200_000
    assert table.device.yields(table.now_us)


def test_a_configuration_builds_nothing():
    table = Table()
    built = []
    receiver = table.make(dict(table.device.options))

    def make(options):
        built.append(dict(options))
        return receiver

    def check(options):
        if options["playout_ms"] > 5000:
            raise ValueError("too long")

    device = table.device = Agent(make, dict(table.device.options), INFO, check=check)
    for n in range(200):
        (answer,) = table.say(control.CONFIGURE, n, {"playout_ms": 40 + n})
        assert answer.document()["ok"]
    (answer,) = table.say(control.CONFIGURE, 999, {"playout_ms": 9999})
    assert answer.document() == {"ok": False, "error": "too long"}
    assert len(built) == 1
    table.media(0)
    assert [b["playout_ms"] for b in built] == [40, 239] and device.receiver is receiver


def test_media_waits_for_a_receiver_that_is_built_elsewhere():
    table = Table()
    ready = []
    table.device = device = Agent(lambda options: ready[0] if ready else None, dict(table.device.options), INFO)
    table.media(0)
    table.media(1)
    assert device.receiver is None
    ready.append(table.make(device.options))
    device.tick(table.now_us)
    assert device.receiver.report()["packets"]["received"] == 2


def test_others_are_not_let_into_a_session():
    table = Table()
    table.say(control.HELLO, 1)
    (answer,) = table.say(control.HELLO, 1, peer=OTHER)
    assert answer.document() == {"ok": False, "error": "another host is using me"}
    assert table.say(control.BYE, 2, peer=OTHER) == []
    table.media(0, peer=OTHER)
    assert table.device.counters.get("foreign") == 3
    assert table.device.receiver.report()["packets"]["received"] == 0


def test_goodbye_may_be_repeated_before_and_after_the_end():
    table = Table()
    table.media(0)
    for _ in range(2):
        assert table.say(control.BYE, 9, {"last_sequence": 0})[0].document() == {"ok": True}
    for _ in range(20):
        table.period()
    table.device.renew()
    assert table.say(control.BYE, 9)[0].document() == {"ok": True}
    assert len(table.ended) == 1 and table.device.state == agent.IDLE


def test_goodbye_without_a_stream_or_number_ends_at_once():
    for document in ({}, {"last_sequence": 5}, {"last_sequence": "x"}):
        table = Table()
        table.say(control.HELLO, 1)
        table.say(control.BYE, 2, document)
        table.period()
        assert table.reports[-1]["final"] and table.device.over()


def test_final_report_is_repeated_until_heard():
    table = Table()
    table.say(control.HELLO, 77)
    table.media(0)
    table.say(control.BYE, 1, {"last_sequence": 0})
    table.deaf = True
    for _ in range(50):
        table.period()
    assert not table.device.over() and not table.reports
    table.deaf = False
    for _ in range(12):
        table.period()
    assert table.device.over() and table.reports[-1]["final"]


def test_silent_host_ends_the_session_after_a_minute():
    table = Table()
    table.say(control.HELLO, 77)
    table.media(0)
    for _ in range(2990):
        table.period()
    assert table.device.state == agent.ACTIVE
    for _ in range(30):
        table.period()
    assert table.device.state == agent.REPORTING and table.reports[-1]["final"]


def test_another_host_may_take_over_after_ten_silent_seconds():
    table = Table()
    table.say(control.HELLO, 77)
    table.media(0)
    for _ in range(490):
        table.period()
    table.say(control.HELLO, 1, peer=OTHER)
    assert table.device.state == agent.ACTIVE
    for _ in range(20):
        table.period()
    (answer,) = table.say(control.HELLO, 1, peer=OTHER)
    assert answer.document()["ok"] is False and table.device.state == agent.REPORTING
    table.period()
    assert table.reports[-1]["final"] and table.device.over()


def test_next_session_starts_clean():
    table = Table()
    table.media(0)
    table.say(control.BYE, 1, {"last_sequence": 0})
    for _ in range(10):
        table.period()
    table.device.renew()
    assert table.device.sessions_ended == 1
    table.media(40, peer=OTHER, ssrc=3)
    assert table.device.peer == OTHER and table.device.receiver.ssrc == 3


def test_interrupted_session_reports_what_it_has():
    table = Table()
    table.say(control.HELLO, 77)
    for n in range(10):
        table.media(n)
        table.period()
    table.device.interrupt()
    table.period()
    assert table.reports[-1]["interrupted"] and table.reports[-1]["sources"]["opus"] == 8


def test_other_version_is_answered_with_ours():
    table = Table()
    data = rtcp.build_app(0, 1, b"DRDG", b"\7" + bytes(7))
    (answer,) = table.device.handle(data, HOST, 0)
    assert control.parse(answer)[0].kind == control.HELLO
    assert table.device.counters.get("other_version") == 1


@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=60)), max_size=25))
def test_any_datagrams_leave_the_agent_working(datagrams):
    table = Table()
    for kind, data in datagrams:
        if kind == 1:
            data = b"\x80\x6f" + data
        elif kind == 2:
            data = rtcp.build_app(len(data) % 6, 1, b"DRDG", b"\1" + data)
        table.device.handle(data, HOST, table.now_us)
        table.period()
    json.dumps(table.device.counters.snapshot())
