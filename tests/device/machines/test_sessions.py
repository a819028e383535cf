# SPDX-License-Identifier: BSD-2-Clause
"""Hosts come, talk, vanish and return, with a key or without, over links that lose either direction."""

from collections import Counter, deque
from contextlib import suppress

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from machine_profile import profile, steps
from machine_speech import stream

from dredge_device import agent as states
from dredge_device import control, fragments, rtcp, rtp
from dredge_device.agent import Agent
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.security.access import KeyedAccess, OpenAccess
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_host.errors import UnreachableError
from dredge_host.links.secure import SecureLink

KEY = bytes(range(32))
STREAMS = 2
DEFAULTS = {"playout_ms": 100, "adaptive": False, "conceal": "opus", "lbrr": False, "vocoder": "small"}
BUSY = (states.ACTIVE, states.DRAINING)
names = st.integers(0, 2)


class Wire:
    """The host's end of a link into the table; what gets lost is decided by the machine."""

    def __init__(self, table, peer):
        self.url = f"udp://{peer}"
        self.table, self.peer = table, peer
        self.inbox = deque()
        self.waited = 0.0

    def send(self, datagram):
        if not self.table.lost_up:
            self.table.receive(datagram, self.peer)

    def recv(self, timeout=0.0):
        if self.inbox:
            return self.inbox.popleft()
        self.waited += timeout
        return None

    def close(self):
        self.table.wires.pop(self.peer, None)


class Output:
    """Counts what it is given; a session's end is told to it once."""

    def __init__(self):
        self.written = self.closed = 0

    def write(self, pcm, spoken, at_us=0):
        assert pcm.shape == (320,)
        self.written += 1

    def close(self):
        self.closed += 1
        return {"kind": "counted"}

    def discard(self):
        raise AssertionError("the table is never closed")


class Table:
    """A device process without sockets and threads, by the same parts in the same order."""

    def __init__(self, keyed):
        self.guard = KeyedAccess(KEY, STREAMS + 1) if keyed else OpenAccess(limited=True)
        self.now_us = 1_000_000
        self.wires, self.heard, self.told = {}, Counter(), Counter()
        self.lost_up = self.lost_down = False
        self.outputs = []
        self.sessions = Sessions(self._make_stream, STREAMS)

    def _make_receiver(self, options):
        if not isinstance(options["playout_ms"], int):
            raise ValueError("playout_ms must be an integer")
        return Receiver(
            options["playout_ms"], options["conceal"], clock_us=lambda: self.now_us, adaptive=options["adaptive"]
        )

    def _make_stream(self, index):
        output = Output()
        self.outputs.append(output)
        info = {"ok": True, "boot": "table"}
        return StreamSession(Agent(self._make_receiver, DEFAULTS, info, on_end=output.close, periods=200), output)

    def receive(self, datagram, peer):
        self.heard[peer] += len(datagram)
        clear, answers = self.guard.receive(datagram, peer, self.now_us)
        for answer in answers:
            self._tell(answer, peer)
        if clear is not None:
            for answer in self.sessions.handle(clear, peer, self.now_us):
                self._wrapped(answer, peer)

    def period(self):
        before = [output.written for output in self.outputs]
        due = [session.player.state in BUSY for session in self.sessions.streams]
        for datagram, peer in self.sessions.period(self.now_us):
            self._wrapped(datagram, peer)
        assert [o.written - b for o, b in zip(self.outputs, before, strict=True)] == due
        self.now_us += 20_000

    def _wrapped(self, datagram, peer):
        sealed = self.guard.wrap(datagram, peer)
        if sealed is not None:
            self._tell(sealed, peer)

    def _tell(self, datagram, peer):
        self.told[peer] += len(datagram)
        if peer in self.wires and not self.lost_down:
            self.wires[peer].inbox.append(datagram)


class Host:
    """The other half of the protocol, as forgetful as a host may be."""

    def __init__(self, table, peer, keyed):
        self.wire = table.wires[peer] = Wire(table, peer)
        self.link = SecureLink(self.wire, KEY, lambda: self.wire.waited) if keyed else self.wire
        self.number, self.sequence = 0, 0
        self.finals, self.answers = [], {}
        self._incoming = fragments.Incoming()
        self.payloads = stream("plain")

    def ask(self, kind, document):
        self.number += 1
        self.say(control.build(control.with_document(kind, self.number, document)))
        self.listen()
        return self.answers.get(self.number)

    def say(self, datagram):
        with suppress(UnreachableError):  # a keyed link whose cookies were lost
            self.link.send(datagram)

    def media(self):
        n = self.sequence
        self.say(rtp.build(n & 0xFFFF, 960 * n & 0xFFFFFFFF, 77, self.payloads.payload(n)))
        self.sequence += 1

    def pay(self):
        """An open device sends no more than it is sent: a host that waits has to talk."""
        self.ask(control.HELLO, {"role": "host", "room": "." * 400})

    def listen(self, acknowledge=True):
        while (datagram := self.link.recv(0.0)) is not None:
            for part in rtcp.split(datagram):
                if part.kind == rtcp.APP:
                    self._take(control.from_app(part), acknowledge)

    def _take(self, message, acknowledge):
        if message.kind != control.REPORT:
            self.answers[message.number] = message.document()
            return
        if message.flags & control.FINAL and acknowledge:
            self.say(fragments.acknowledgement(message))
        with suppress(ValueError):  # chunks of an earlier session's report with the same number
            self._complete(self._incoming.add(message))

    def _complete(self, report):
        if report is not None and report["final"]:
            self.finals.append(report)


class SessionMachine(RuleBasedStateMachine):
    """Three hosts and a table with room for two."""

    keyed = False

    @initialize()
    def begin(self):
        steps["session examples"] += 1
        self.table = Table(self.keyed)
        self.hosts = [self._host(n) for n in range(3)]

    def _host(self, n):
        return Host(self.table, (f"10.0.0.{n}", 4000 + n), self.keyed)

    @rule(up=st.booleans(), down=st.booleans())
    def links_lose(self, up, down):
        self.table.lost_up, self.table.lost_down = up, down

    @rule()
    def links_are_whole(self):
        self.table.lost_up = self.table.lost_down = False

    @rule(n=names)
    def hello(self, n):
        self.hosts[n].ask(control.HELLO, {"role": "host"})

    @rule(n=names, playout_ms=st.sampled_from([0, 60, 200, -1, "x", 1e999]), adaptive=st.booleans(),
          first=st.sampled_from([0, 5, None, 1e999, [], 10**30]))  # fmt: skip
    def configure(self, n, playout_ms, adaptive, first):
        wanted = {"playout_ms": playout_ms, "adaptive": adaptive, "ssrc": 77, "first_sequence": first}
        answer = self.hosts[n].ask(control.CONFIGURE, wanted)
        assert answer is None or answer["ok"] in (True, False)

    @rule(n=names, count=st.integers(1, 20))
    def talk(self, n, count):
        for _ in range(count):
            self.hosts[n].media()
            self._period()

    @rule(n=names, last=st.sampled_from([None, "x", -1, 10**30, True]) | st.integers(0, 70000))
    def bye(self, n, last):
        self.hosts[n].ask(control.BYE, {"last_sequence": last})

    @rule(n=names)
    def vanish_and_return(self, n):
        """The same address, another process: it knows nothing of what was."""
        self.hosts[n] = self._host(n)

    @rule(n=names, data=st.binary(max_size=80), kind=st.integers(0, 6))
    def nonsense(self, n, data, kind):
        self.hosts[n].say(rtcp.build_app(kind, 1, control.NAME, data + bytes(-len(data) % 4)))
        self.table.receive(data, self.hosts[n].wire.peer)

    @rule(count=st.integers(1, 60))
    def time_passes(self, count):
        for _ in range(count):
            self._period()

    @rule(seconds=st.sampled_from([1, 11, 17, 31, 61]))
    def nothing_for_a_long_time(self, seconds):
        self.table.now_us += seconds * 1_000_000
        for _ in range(3):
            self._period()

    @rule(n=names)
    def whole_session(self, n):
        """With whole links and a free table a session is complete: every packet counted, one final report."""
        self.table.lost_up = self.table.lost_down = False
        self.table.now_us += 62_000_000  # whoever is there is given up
        for _ in range(300):  # its final report too
            self._period()
        assert all(session.agent.state == states.IDLE for session in self.table.sessions.streams)
        self.hosts[n] = host = self._host(n)
        host.pay()
        answer = host.ask(control.CONFIGURE, {"playout_ms": 60, "ssrc": 77, "first_sequence": 0})
        assert answer["ok"] is True
        for _ in range(30):
            host.media()
            self._period()
        assert host.ask(control.BYE, {"last_sequence": 29, "last_timestamp": 29 * 960}) == {"ok": True}
        self._until_reported(host)
        (final,) = host.finals
        assert final["packets"]["sent"] == final["packets"]["arrived"] == 30
        assert final["packets"]["missing"] == 0 and final["sources"]["opus"] == 30

    def _until_reported(self, host):
        for _ in range(600):
            self._period()
            if host.finals:
                return
            host.pay()

    def _period(self):
        steps["session periods"] += 1
        self.table.period()
        for host in self.hosts:
            host.listen()

    @invariant()
    def one_station_per_host(self):
        steps["session rules"] += 1
        streams = self.table.sessions.streams
        assert len(streams) == len(self.table.outputs) <= STREAMS
        peers = [s.agent.peer for s in streams if s.agent.state != states.IDLE]
        assert len(peers) == len(set(peers)) and None not in peers
        for session, output in zip(streams, self.table.outputs, strict=True):
            device = session.agent
            assert (device.state == states.IDLE) == (device.peer is None)
            begun = device.counters.get("sessions")
            running = (device.state in BUSY) + (session.leaving is not None)
            assert output.closed == begun - running

    @invariant()
    def memory_is_bounded(self):
        for session in self.table.sessions.streams:
            assert len(session.agent.reports.outgoing) <= 2 and session.agent.reports.timeline.count <= 200
        guard = self.table.guard
        if self.keyed:
            assert len(guard._holders) <= STREAMS + 1 and len(guard._strangers) <= 64
        else:
            assert len(guard._credits) <= 64

    @invariant()
    def nobody_is_amplified(self):
        if not self.keyed:
            assert all(self.table.told[peer] <= self.table.heard[peer] for peer in self.table.told)


class KeyedSessionMachine(SessionMachine):
    """The same with a key."""

    keyed = True


TestSessionMachine = SessionMachine.TestCase
TestSessionMachine.settings = profile(examples=12, rules=30, long_examples=2000, long_rules=80)
TestKeyedSessionMachine = KeyedSessionMachine.TestCase
TestKeyedSessionMachine.settings = TestSessionMachine.settings
