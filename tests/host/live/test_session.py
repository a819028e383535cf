# SPDX-License-Identifier: BSD-2-Clause
"""Live sessions: real agent core, real libopus, no network."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device import control, fragments, rtp
from dredge_device.pi.receiver import Receiver
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links.loop import LoopLink, loop_pair
from dredge_host.links.loop_device import LoopDevice
from dredge_host.live.control_channel import REPORT_SCHEMA, progress_of
from dredge_host.live.result import document, lines, played_rows
from dredge_host.live.session import Session
from dredge_host.live.stream import StreamInterrupted, StreamOutcome, stream
from dredge_host.sending.audio import packets
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings

INFO = {"ok": True, "models": ["a", "b"], "simd": "scalar"}


def make_receiver(options):
    return Receiver(options["playout_ms"], options["conceal"], options["lbrr"], adaptive=options["adaptive"])


def device() -> LoopDevice:
    return LoopDevice(make_receiver, INFO, conceal="opus")


def tone(seconds: float) -> np.ndarray:
    times = np.arange(int(16000 * seconds)) / 16000
    return (8000 * np.sin(2 * np.pi * 220 * times)).astype(np.int16)


def send(seconds: float, loss: str, playout_ms: int, **options) -> tuple[StreamOutcome, list[dict]]:
    chosen = Settings(loss=loss, playout_ms=playout_ms, conceal="opus", redundancy_s=0)
    seen: list[dict] = []
    with device() as link:
        outcome = stream(
            packets(tone(seconds)),
            Session(link, update=seen.append),
            chosen,
            parse_loss(loss, 4),
            update=seen.append,
            **options,
        )
    return outcome, seen


def undisturbed(work: Callable[[], StreamOutcome]) -> StreamOutcome:
    """The first outcome during which this machine did not stand still, as the device's report tells it: nothing came
    too late to be played, nothing was skipped, and the device heard of the end before it had played on.
    """
    for _ in range(9):
        outcome = work()
        assert outcome.report is not None
        packets, sources = outcome.report["packets"], outcome.report["sources"]
        if not packets["late"] and not sources["skipped"] and packets["expected"] <= len(outcome.trace):
            break
    return outcome


def test_a_stream_is_played_and_reported_completely() -> None:
    seen: list[dict] = []

    def once() -> StreamOutcome:
        outcome, seen[:] = send(1.4, "gilbert:rate=25%,burst=3", 200, models=["a", "b"])
        return outcome

    outcome = undisturbed(once)
    assert outcome.device["simd"] == "scalar"
    assert outcome.report is not None
    assert outcome.report["final"] is True
    rows = played_rows(outcome)
    assert [row[0] for row in rows] == list(range(70))
    assert len(outcome.trace) == 70
    for (number, source, _, _), lost in zip(rows, outcome.trace, strict=True):
        assert source == ("conceal" if lost else "opus"), number
    assert outcome.report["packets"]["lost"] == sum(outcome.trace)
    assert outcome.meter.packets == 70
    live = [state for state in seen if "by_source" in state]
    assert len(live) >= 2  # at least one while streaming, and the final one
    assert any("bitrate_bps" in state for state in seen)
    result = document(outcome, Settings(conceal="opus", loss="x", seed=4))
    assert result["frames"]["by_source"]["conceal"] == sum(outcome.trace)
    assert result["stream"]["loss"]["lost_packets"] == sum(outcome.trace)
    assert result["timeline"][0][:2] == [0, "opus"]
    histogram = result["cpu"]["histogram"]
    assert len(histogram["edges_us"]) == len(histogram["counts"]) + 1
    assert sum(histogram["counts"]) == result["cpu"]["frames"]
    assert any("kb/s" in line for line in lines(result))


def test_losses_before_the_first_arrival_are_counted() -> None:
    chosen = Settings(playout_ms=200, conceal="opus", redundancy_s=0)

    def once() -> StreamOutcome:
        loss = parse_loss("none")
        loss._source = iter([True] * 3 + [False] * 30)
        with device() as link:
            return stream(packets(tone(0.4)), Session(link), chosen, loss)

    outcome = undisturbed(once)
    rows = played_rows(outcome)
    # On a busy machine the device may wake up after the first (lost) packets were due.
    start = rows[0][0]
    assert start <= 3
    assert [row[0] for row in rows] == list(range(start, 20))
    assert [row[1] for row in rows] == ["conceal"] * (3 - start) + ["opus"] * 17


def test_other_models_are_a_version_mismatch() -> None:
    with device() as link, pytest.raises(VersionMismatch, match="same version"):
        Session(link).greet(["other"])


def test_refused_configuration_says_why() -> None:
    with device() as link:
        session = Session(link)
        session.greet()
        chosen = Settings(conceal="opus")
        object.__setattr__(chosen, "conceal", "magic")
        with pytest.raises(UnreachableError, match="refused: conceal is 'magic'"):
            session.configure(chosen, 1, 0)


def test_interrupt_lets_the_device_finish() -> None:
    def pieces():
        yield from packets(tone(0.2))
        raise KeyboardInterrupt

    chosen = Settings(playout_ms=100, conceal="opus", redundancy_s=0)
    inside = device()
    with inside as link:
        session = Session(link)
        with pytest.raises(KeyboardInterrupt):
            stream(pieces(), session, chosen, parse_loss("none"))
        assert session.report is not None
        assert session.report["final"] is True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Silent:
    """A link on which waiting costs no time, and whose far end is a function."""

    url = "test://"

    def __init__(self, clock: Clock, answer=lambda datagram: []) -> None:
        self.clock, self.answer = clock, answer
        self.sent: list[bytes] = []
        self.inbox: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        self.sent.append(datagram)
        self.inbox += self.answer(datagram)

    def recv(self, timeout: float = 0.0) -> bytes | None:
        if self.inbox:
            return self.inbox.pop(0)
        self.clock.now += max(timeout, 0.001)
        return None

    def close(self) -> None:
        pass


def test_nobody_there_is_unreachable_after_retries() -> None:
    clock = Clock()
    link = Silent(clock)
    with pytest.raises(UnreachableError, match="no answer within 3 s"):
        Session(link, clock).greet()
    assert 10 <= len(link.sent) <= 13
    assert len(set(link.sent)) == 1  # the same request, so that the device may answer once


def test_another_protocol_version_is_named() -> None:
    def other(datagram: bytes) -> list[bytes]:
        answer = bytearray(datagram)
        answer[12] = 9
        return [bytes(answer)]

    clock = Clock()
    with pytest.raises(VersionMismatch, match="version 9"):
        Session(Silent(clock, other), clock).greet()


def test_garbage_answers_are_ignored() -> None:
    clock = Clock()
    hello = control.build(control.with_document(control.HELLO, 1, INFO, control.REPLY))
    odd = control.build(control.Message(control.HELLO, 1, b"[1]", control.REPLY))
    link = Silent(clock)
    link.inbox = [b"", b"\x80", b"\x80\xcc\xff\xff", bytes(40), odd, hello]
    assert Session(link, clock).greet() == INFO


def test_answers_that_nobody_asked_for_are_neither_kept_nor_believed() -> None:
    clock = Clock()
    link = Silent(clock)
    session = Session(link, clock)
    hello = control.build(control.with_document(control.HELLO, 1, INFO, control.REPLY))
    unasked = [
        control.build(control.with_document(kind, number, {"ok": True, "padding": "." * 900}, control.REPLY))
        for kind in (control.HELLO, control.CONFIGURE, control.BYE)
        for number in range(2, 300)
    ]
    link.inbox = [*unasked, hello]
    assert session.greet() == INFO
    assert session.ignored == len(unasked)
    kept = [value for value in vars(session).values() if isinstance(value, dict | list)]
    assert sum(len(value) for value in kept) < 20


@pytest.mark.parametrize("bad", ["\x1b[2J", "line\nfeed", "\x9b31m", "\u202e", float("nan"), float("inf"), 10**400])
def test_text_that_steers_a_terminal_and_numbers_that_are_none_are_not_believed(bad: object) -> None:
    clock = Clock()
    answers = [{**INFO, "board": bad}, {**INFO, "models": [{"a": bad}]}, {**INFO, str(bad): 1}]
    for answer in answers[: 3 if isinstance(bad, str) else 2]:
        link = Silent(clock)
        session = Session(link, clock)
        link.inbox = [control.build(control.with_document(control.HELLO, 1, answer, control.REPLY))]
        with pytest.raises(UnreachableError, match="no answer"):
            session.greet()
        assert session.ignored == 1
    link = Silent(clock)
    session = Session(link, clock)
    document = {"schema": REPORT_SCHEMA, "output": {"machine": {"board": bad}}}
    link.inbox = fragments.Outgoing(1, document, True).due(0)
    session.listen(clock.now + 0.1)
    assert session.report is None and session.ignored == 1


def test_another_version_does_not_end_a_stream() -> None:
    clock = Clock()
    link = Silent(clock)
    session = Session(link, clock)
    session.tolerant = True
    other = bytearray(control.build(control.with_document(control.HELLO, 1, {}, control.REPLY)))
    other[12] = 9
    link.inbox = [bytes(other)]
    session.listen(clock.now + 0.1)
    assert session.ignored == 1


def test_a_refused_acknowledgement_and_a_refused_opening_end_no_stream() -> None:
    class Refusing(Silent):
        def send(self, datagram: bytes) -> None:
            raise UnreachableError("nobody listens")

        def renew(self) -> None:
            raise UnreachableError("nobody listens")

    clock = Clock()
    link = Refusing(clock)
    session = Session(link, clock)
    session.tolerant = True
    session.rehello()
    link.inbox = fragments.Outgoing(1, {"schema": REPORT_SCHEMA, "boot": "a1"}, True).due(0)
    session.listen(clock.now + 0.1)
    assert session.refused == 4


def test_final_report_is_acknowledged_every_time_but_taken_once() -> None:
    clock = Clock()
    link, seen = Silent(clock), []
    session = Session(link, clock, seen.append)
    document = {"schema": REPORT_SCHEMA, "sources": {"opus": 3}, "pad": "x" * 3000}
    outgoing = fragments.Outgoing(1, document, True)
    datagrams = outgoing.due(0)
    assert len(datagrams) == 3
    link.inbox = [datagrams[2], datagrams[0], datagrams[0], datagrams[1], *datagrams]
    session.listen(clock.now + 0.1)
    assert session.report is not None
    assert session.report["sources"] == {"opus": 3}
    assert len(seen) == 1
    assert len(link.sent) == 7
    for datagram in link.sent:
        for message in control.parse(datagram):
            outgoing.acknowledge(*message.chunk()[:2])
    assert outgoing.delivered()


def test_a_final_report_of_the_session_before_is_acknowledged_and_forgotten() -> None:
    def answer(datagram: bytes) -> list[bytes]:
        asked = [m for m in control.parse(datagram) if m.kind in (control.HELLO, control.CONFIGURE)]
        return [control.build(control.with_document(m.kind, m.number, {"ok": True}, control.REPLY)) for m in asked]

    clock = Clock()
    link = Silent(clock, answer)
    link.inbox = fragments.Outgoing(1, {"schema": REPORT_SCHEMA, "sources": {"opus": 3}}, True).due(0)
    session = Session(link, clock)
    session.greet()
    session.configure(Settings(), 1, 0)
    assert session.report is None
    assert any(m.kind == control.ACK for sent in link.sent for m in control.parse(sent))


def test_a_final_report_in_the_middle_of_a_stream_means_that_the_device_gave_up() -> None:
    clock = Clock()
    link = Silent(clock)
    session = Session(link, clock)
    session.boot, session.tolerant = "a1", True
    datagrams = fragments.Outgoing(1, {"schema": REPORT_SCHEMA, "boot": "a1"}, True).due(0)
    link.inbox = list(datagrams)
    session.listen(clock.now + 0.1)
    assert session.report is None and session.boot != "a1"  # so the streamer greets it again
    assert len(link.sent) == len(datagrams)  # acknowledged all the same


def test_packets_that_came_to_a_process_before_its_restart_are_counted_once() -> None:
    clock = Clock()
    link = Silent(clock)
    session = Session(link, clock)
    session.tolerant = True
    for number, (boot, arrived) in enumerate([("a", 20), ("a", 45), ("b", 10), ("b", 60), ("c", 5)]):
        report = {"schema": REPORT_SCHEMA, "boot": boot, "packets": {"arrived": arrived}}
        link.inbox = fragments.Outgoing(number, report, False).due(0)
        session.listen(clock.now + 0.1)
    assert session.arrived_before == 45 + 60


def test_another_process_is_known_by_its_answer_to_a_greeting() -> None:
    """Its first report would come a second later: a short stream would never know of the restart."""
    clock, boots = Clock(), ["a1"]

    def answer(datagram: bytes) -> list[bytes]:
        about = {"ok": True, "boot": boots[-1]}
        asked = [m for m in control.parse(datagram) if m.kind in (control.HELLO, control.CONFIGURE)]
        return [control.build(control.with_document(m.kind, m.number, about, control.REPLY)) for m in asked]

    session = Session(Silent(clock, answer), clock)
    session.greet()
    session.tolerant = True
    boots.append("b2")
    session.rehello()
    session.listen(clock.now + 0.1)
    assert session.boot == "b2"


def test_an_interrupted_stream_counts_a_restart_that_its_goodbye_finds() -> None:
    """The device was replaced after the last packet; only the final report after the goodbye says so."""
    clock, boots = Clock(), ["a1"]

    def answer(datagram: bytes) -> list[bytes]:
        if not rtp.is_rtcp(datagram):
            return []
        about, out = {"ok": True, "boot": boots[-1]}, []
        for message in control.parse(datagram):
            out.append(control.build(control.with_document(message.kind, message.number, about, control.REPLY)))
            if message.kind == control.BYE:
                report = {"schema": REPORT_SCHEMA, "boot": boots[-1]}
                out += fragments.Outgoing(1, report, True).due(0)
        return out

    def pieces() -> Iterator[np.ndarray]:
        yield from packets(tone(0.1))
        boots.append("b2")
        raise KeyboardInterrupt

    session = Session(Silent(clock, answer), clock)
    with pytest.raises(StreamInterrupted) as caught:
        stream(pieces(), session, Settings(conceal="opus", redundancy_s=0), parse_loss("none"))
    assert caught.value.outcome.restarts == 1


def test_a_refused_datagram_ends_a_greeting_but_not_a_stream() -> None:
    class Refusing(Silent):
        def send(self, datagram: bytes) -> None:
            raise UnreachableError("nobody listens")

    clock = Clock()
    session = Session(Refusing(clock), clock)
    with pytest.raises(UnreachableError):
        session.transmit(b"x")
    session.tolerant = True
    assert session.transmit(b"x") is False and session.refused == 1


def test_requests_over_udp_are_as_long_as_any_answer() -> None:
    clock = Clock()
    link = Silent(clock)
    link.url = "udp://device:5004"
    with pytest.raises(UnreachableError):
        Session(link, clock).greet()
    assert {len(datagram) >= 1100 for datagram in link.sent} == {True}


def test_probes_come_back_as_they_were() -> None:
    clock = Clock()

    def echo(datagram: bytes) -> list[bytes]:
        (message,) = control.parse(datagram)
        return [control.build(control.Message(message.kind, message.number, message.body, control.REPLY))]

    assert Session(Silent(clock, echo), clock).probe(b"abc") is not None
    assert Session(Silent(clock), clock).probe(b"abc") is None


def test_progress_takes_the_newest_figures() -> None:
    report = {
        "sources": {"opus": 5},
        "loss_pct": 12.5,
        "timeline": {"delay_ms": [[200, 3], [180, 2]], "cpu_us": [100, 900, 50]},
    }
    assert progress_of(report) == {
        "by_source": {"opus": 5},
        "loss_pct": 12.5,
        "report_age_s": 0.0,
        "delay_ms": 180,
        "cpu_us": 900,
    }
    assert "cpu_us" not in progress_of({})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
KEYS = st.sampled_from(["sources", "loss_pct", "timeline"])
TIMELINE = st.dictionaries(st.sampled_from(["delay_ms", "cpu_us"]), JSON)


@given(
    st.lists(st.binary(max_size=60), max_size=4),
    st.dictionaries(KEYS, JSON | TIMELINE),
    st.integers(0, 4),
)
@settings(max_examples=200, deadline=None)
def test_no_datagram_breaks_a_session(noise, report, kind) -> None:
    """Random bytes, random bytes in a valid carrier, and reports full of nonsense."""
    clock = Clock()
    link = Silent(clock)
    session = Session(link, clock)
    carried = [control.build(control.Message(kind, 1, body, kind)) for body in noise]
    document = {**report, "schema": REPORT_SCHEMA}
    link.inbox = [*noise, *carried, *fragments.Outgoing(3, document, True).due(0)]
    session.listen(0.01)
    assert not link.inbox


def test_incomplete_report_still_makes_a_document() -> None:
    chosen = Settings()
    sender = Sender(redundancy_s=0)
    outcome = StreamOutcome({"models": []}, None, [False, True], meter=_metered(sender))
    result = document(outcome, chosen)
    assert result["timeline"] == []
    assert result["frames"]["total"] == result["frames"]["by_source"]["silence"] == 2
    assert lines(result)


def _metered(sender: Sender):
    from dredge_host.sending.sender import BitrateMeter

    meter = BitrateMeter()
    meter.add(sender.push(np.zeros(320, np.int16)).split)
    return meter


def test_loop_links_are_what_devices_offer() -> None:
    near, _ = loop_pair()
    assert isinstance(near, LoopLink)
