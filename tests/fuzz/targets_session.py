# SPDX-License-Identifier: BSD-2-Clause
"""The two ends of a conversation: the device's agent with its receiver, and the host's session and live figures."""

from __future__ import annotations

import functools
import io
import json
from typing import Any
from unittest import mock

from device_fakes import fake_parts, packet
from target import Plan, Target, check, piece

from dredge_device import agent as states
from dredge_device import control, rtp
from dredge_device.pi import factory
from dredge_device.pi.factory import ModelCache
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service import building
from dredge_device.timeline import expand, numbers
from dredge_device.units import CONCEAL_MODES
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.live import result as livesummary
from dredge_host.live.checks import check as checks
from dredge_host.live.checks.verdict import judge
from dredge_host.live.control_channel import REPORT_SCHEMA, progress_of
from dredge_host.live.device_report import checked
from dredge_host.live.screen.display import Display
from dredge_host.live.session import Session
from dredge_host.live.stream import StreamOutcome
from dredge_host.sending.adaptive_redundancy import AutoRedundancy
from dredge_host.sending.sender import BitrateMeter, Sender
from dredge_host.settings import Settings
from dredge_models.vocoders import VOCODERS

PEERS = ("alice", "bob")
FLAGS = (b"D", b"L", b"DX", b"!", b"N", b"..", b"DL")
DEFAULTS = {"playout_ms": 200, "adaptive": False, "conceal": "dred", "lbrr": True, "vocoder": "standard"}
PERIOD_US = 20000
SHELF = ModelCache()
BUDGET = {"frames": 3, "p50_us": 1, "p99_us": 900, "max_us": 950, "period_us": 20000, "late_frames": 0, "p99_pct": 4.5,
          "histogram": [[10, 3]], "stages": {"opus": {"frames": 3, "p50_us": 1, "p99_us": 2, "max_us": 3}}}  # fmt: skip
KEYS = ("playout_ms", "adaptive", "conceal", "lbrr", "vocoder", "ssrc", "first_sequence", "first_timestamp",
        "last_sequence", "last_timestamp")  # fmt: skip
VALUES: tuple[Any, ...] = (0, 1, -1, 200, 5000, 5001, 65535, 2**32 - 1, 10**30, 0.5, float("inf"), float("nan"), True,
                           False, None, "", "dred", "plc", "opus", "7", "fargan", [], [1], {}, "\ud800")  # fmt: skip


def made_up_parts(conceal: str, vocoder: str, shelf: ModelCache, opus_complexity: int) -> factory.Parts:
    """real_parts without models."""
    del shelf, opus_complexity
    if conceal not in CONCEAL_MODES or vocoder not in VOCODERS:
        raise ValueError("unknown mode or vocoder")
    return fake_parts(conceal)


class Device:
    """An agent with a real receiver on made-up parts, under a clock that the plan moves."""

    def __init__(self) -> None:
        self.now_us = 0
        self.agent = states.Agent(self._make, DEFAULTS, {"role": "device", "boot": "x"}, on_end=lambda: {}, periods=300)

    def _make(self, options: dict[str, Any]) -> Receiver:
        """The process's own checks of what a host asks for, without its models."""
        receiver = functools.partial(Receiver, clock_us=lambda: self.now_us)
        with mock.patch.multiple(building, Receiver=receiver, real_parts=made_up_parts):
            return building.make_receiver(options, SHELF)

    def periods(self, count: int) -> None:
        """What the process does every 20 ms."""
        for _ in range(count):
            self.now_us += PERIOD_US
            agent = self.agent
            if agent.state in (states.ACTIVE, states.DRAINING):
                played = agent.receiver.pull()
                check(len(played.pcm) == 320, "a period that is not 20 ms long")
                for frame in played.frames:
                    agent.played(frame.packet, frame.source, frame.delay_us, frame.cpu_us, frame.reason)
            for datagram in agent.tick(self.now_us):
                check(0 < len(datagram) < 1200, "a report that fits no datagram")
            if agent.over():
                agent.renew()

    def handle(self, datagram: bytes, who: str) -> None:
        """One datagram; the answers are sound messages."""
        for answer in self.agent.handle(datagram, who, self.now_us):
            check(len(control.parse(answer)) == 1, "an answer that is no message")


def document_of(plan: Plan) -> dict[str, Any]:
    """A JSON object of names that the agent knows and values that it may not expect."""
    return {KEYS[plan.below(len(KEYS))]: VALUES[plan.below(len(VALUES))] for _ in range(plan.below(8))}


def _control(plan: Plan) -> bytes:
    kind, number, flags = plan.below(len(control.KINDS)), plan.below(4), plan.below(4)
    if plan.below(2):
        return control.build(control.with_document(kind, number, document_of(plan), flags))
    return control.build(control.Message(kind, number, plan.piece(), flags))


def run_agent(data: bytes) -> bool:
    """Any sequence of media, messages, noise, time and silence from two hosts."""
    plan, device = Plan(data), Device()
    while plan:
        action, who = plan.below(5), PEERS[plan.below(2)]
        if action == 0:
            number, flags = plan.number(2), FLAGS[plan.below(len(FLAGS))]
            stamp = 960 * number if plan.below(4) else plan.number(4)
            device.handle(rtp.build(number, stamp, 1 + plan.below(2), packet(number, flags)), who)
        elif action in (1, 2):
            device.handle(_control(plan), who)
        elif action == 3:
            device.handle(plan.piece(), who)
        else:
            device.periods(1 + plan.below(60))
    counts = device.agent.counters.snapshot()
    return counts["sessions"] > 0


def ask(kind: int, document: dict[str, Any], number: int = 1) -> bytes:
    """The plan of one message of alice with a raw body."""
    return bytes([1, 0, kind, number, 0, 0]) + piece(json.dumps(document).encode())


def media(number: int, flags: int = 0) -> bytes:
    """The plan of one packet of alice."""
    return bytes([0, 0]) + number.to_bytes(2, "big") + bytes([flags, 1, 0])


def seeds_agent() -> list[bytes]:
    wait = bytes([4, 0, 5])
    setup = ask(control.HELLO, {"role": "host"}) + ask(control.CONFIGURE, {"ssrc": 1, "first_sequence": 1}, 2)
    stream = b"".join(media(n, n % len(FLAGS)) + wait for n in (1, 2, 3, 7, 8))
    bye = ask(control.BYE, {"last_sequence": 8}, 3) + bytes([4, 0, 59]) * 3
    odd = bytes([1, 1, 1, 2, 0, 1, 2, 0, 9, 5, 10])
    raw = bytes([3, 1]) + piece(control.build(control.Message(control.PROBE, 3, b"echo")))
    return [setup + stream + bye, stream + raw + setup, odd + raw + bye, bytes([4, 0, 1]) + ask(5, {})]


class Wire:
    """The host's link: what the plan says arrives, what is sent is forgotten."""

    url = "udp://fuzz:1"

    def __init__(self) -> None:
        self.arriving: list[bytes] = []

    def send(self, datagram: bytes) -> None:
        check(len(datagram) < 1500, "the host sends a datagram that fits no packet")

    def recv(self, timeout: float = 0.0) -> bytes | None:
        del timeout
        return self.arriving.pop(0) if self.arriving else None

    def close(self) -> None:
        return None


def run_session(data: bytes) -> bool:
    """A host that hears anything at all: its documents are objects, its live figures can be shown."""
    plan, wire, reports = Plan(data), Wire(), 0
    shown = Display(0, json_lines=bool(plan.below(2)), stream=io.StringIO())
    session = Session(wire, clock=lambda: 0.0, update=shown.update)
    while plan:
        wire.arriving.append(_heard(plan))
        try:
            session.listen(0.0)
        except (VersionMismatch, UnreachableError):
            continue
        if session.reports > reports:
            reports = session.reports
            shown._second = -1
            _summarise(session.newest)
    return reports > 0


def _heard(plan: Plan) -> bytes:
    kind = plan.below(3)
    if kind == 0:
        return plan.piece()
    if kind == 1:
        return _control(plan)
    number, flags, body = plan.below(4), plan.below(4), plan.piece()
    return control.build(control.with_chunk(control.REPORT, number, number, 0, 1, body, flags))


def _summarise(report: dict[str, Any]) -> None:
    """What the host does with a report while the stream runs and once it is over."""
    settings = Settings()
    outcome = StreamOutcome({}, report, [False, True, False], BitrateMeter())
    sender = mock.Mock(spec=Sender, redundancy_s=1.0, q0=5, lbrr=False, bitrate=24000)
    AutoRedundancy(sender, 1000).consider(0.0, report, outcome.meter)
    with mock.patch.object(livesummary, "Machine"):
        livesummary.lines(json.loads(json.dumps(livesummary.document(outcome, settings), default=str)))
    judge(outcome, settings)
    pattern = checks._judge("fuzz", outcome, settings, 50.0)
    result = {"pass": False, "patterns": [pattern], "budget_pct": 50.0, "device": {}, "seconds_per_pattern": 1}
    result["board"] = ((report or {}).get("output") or {}).get("machine")
    checks.lines(result)
    checks.junit(result)


def seeds_session() -> list[bytes]:
    report = {"schema": REPORT_SCHEMA, "final": True, "boot": "b", "sources": {"opus": 3}, "loss_pct": 2.5,
              "budget": BUDGET, "bursts": {"2": 1}, "packets": {"sent": 3, "arrived": 2, "missing": 1},
              "output": {"pacing": {"missed_deadlines": 0}, "machine": {"clock_mhz": 1500.0, "throttling": ["x"]}},
              "timeline": {"start": 0, "first_packet": 1, "sources": "ood", "reasons": "...",
              "delay_ms": [[40, 3]], "cpu_us": [1, 2, 3], "jumps": [], "dropped": 0}}  # fmt: skip
    text = json.dumps(report).encode()
    whole = bytes([2, 1, 2]) + piece(text)
    noise = bytes([0]) + piece(control.build(control.Message(0)))
    return [b"\0" + whole, bytes([1, 1, 0, 1, 1, 1, 2, 0, 3, 1, 4]), b"\1" + noise + whole]


def run_timeline(data: bytes) -> bool:
    """A device's timeline as JSON: it expands to as many periods as it names, or is refused."""
    try:
        part = json.loads(data)
    except (ValueError, RecursionError):
        return False
    if not isinstance(part, dict):
        return False
    try:
        checked({"timeline": part})
        names, delays = expand(part)
        check(len(names) == len(delays) == len(numbers(part)), "periods without number or delay")
        progress_of({"timeline": part})
        livesummary.timeline_rows({"timeline": part})
    except ValueError:
        return False
    return True


def seeds_timeline() -> list[bytes]:
    part = {"start": 0, "first_packet": 65535, "sources": "oold_", "reasons": ".....", "jumps": [[2, 70000]],
            "delay_ms": [[40, 3], [60, 2]], "cpu_us": [1, 2, 3, 4, 5], "dropped": 0}  # fmt: skip
    return [json.dumps(part).encode()]


TARGETS = (
    Target("agent", "a device's sessions: DRDG, RTP, configuration in JSON", run_agent, seeds_agent,
           words=(b'"playout_ms"', b'"last_sequence"', b"1e999", b"[[[["), limit=2048, repeat=60),
    Target("session", "a host's session: what a device answers", run_session, seeds_session,
           words=(b'"timeline"', b'"delay_ms"', b"null", b"1e999"), limit=4096, repeat=150),
    Target("timeline", "timelines of device reports", run_timeline, seeds_timeline,
           words=(b'"jumps"', b'"delay_ms"', b'"cpu_us"', b"null", b"1e999", b"NaN"), limit=2048, repeat=300),
)  # fmt: skip
