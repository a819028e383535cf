# SPDX-License-Identifier: BSD-2-Clause
"""Lines for the user about every session: its beginning, its losses and their sources, a silent sender, how and why
it ended, and the written file."""

from dataclasses import dataclass
from typing import Any, cast

from dredge_device.agent import Agent
from dredge_device.pi.quality import FULL, QUALITY
from dredge_device.pi.schema.report import DeviceReport, OutputReport
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.status.figures import SILENT_US, SessionFigures
from dredge_device.pi.transport.addresses import name_of
from dredge_device.units import PACKET_SECONDS

OUTPUT_FAILED = "output failed"
AGAIN_US = 10_000_000  # an output that fails again within this time is told by its warning alone
LOSSES_US = 10_000_000  # shortest time between two lines about losses of one session
_FILLED = ("dred", "lbrr", "plc", "conceal")  # the sources of lost periods
_ENCRYPTED = (
    "looks encrypted, its packets are not Opus: start this agent with the sender's --sdp FILE (a=crypto) or "
    "--key-file, or let it send in the clear"
)
_ODD = {
    "malformed": "damaged", "not_opus": "not Opus", "other_type": "of other payload types",
    "undecodable": "undecodable (encrypted?)", "late": "late", "duplicate": "repeated",
}  # fmt: skip

_IDLE = 50  # periods for which a sender was behind: less is the delay of its packets
_MANY_LATE = 0.02  # share of the packets: above it the last line says what to do


@dataclass
class _Known:
    """A logged session: its beginning, its newest report, and the report of its last line about losses."""

    began_us: int
    newest: DeviceReport
    logged: DeviceReport
    logged_us: int
    silent: bool = False
    repeated: bool = False  # it began after one of the same peer whose output had just failed


class SessionLog:
    """Logs the events of sessions. Every call is short; ``reported`` is called once per second and session.

    governor: every change of its level is logged.
    """

    def __init__(self, notices: Notices, governor: Governor | None = None) -> None:
        self._notices = notices
        self._governor = governor
        self._level = FULL
        self._known: dict[Agent, _Known] = {}
        self.last: SessionFigures | None = None  # the session that ended last
        self._failed_us: dict[Any, int] = {}  # the peer whose stream ended last because its output failed, and when

    def knows(self, agent: Agent) -> bool:
        """Return whether a session has begun and not ended."""
        return agent in self._known

    def began(self, agent: Agent, now_us: int) -> None:
        """Log the beginning of a session, after its first packets."""
        known = self._known[agent] = _Known(now_us, {}, {}, now_us)
        known.repeated = now_us - self._failed_us.get(agent.peer, now_us - AGAIN_US) < AGAIN_US
        if not known.repeated:
            self._notices.stream(f"stream from {name_of(agent.peer)} began ({_kind(agent)})")

    def running(self) -> list[SessionFigures]:
        """Return the running sessions with their newest reports, in the order in which they began."""
        return [
            SessionFigures(name_of(agent.peer), agent.plain, known.newest, known.began_us, agent.heard_us)
            for agent, known in self._known.items()
        ]

    def reported(self, agent: Agent, report: DeviceReport, now_us: int) -> None:
        """Take in the report of a session, which comes every second."""
        self._tell_level()
        if report["packets"].get("encrypted"):
            self._notices.warn("encrypted", f"stream from {name_of(agent.peer)} {_ENCRYPTED}")
        known = self._known.get(agent)
        if known is None:
            return
        known.newest = report
        silent_us = now_us - agent.heard_us
        if silent_us >= SILENT_US and not known.silent:
            known.silent = True
            self._notices.stream(f"stream from {name_of(agent.peer)}: nothing heard for {silent_us / 1e6:.0f} s")
        elif silent_us < SILENT_US and known.silent:
            known.silent = False
            self._notices.stream(f"stream from {name_of(agent.peer)}: heard again")
        if now_us - known.logged_us >= LOSSES_US:
            words = losses(known.logged, report)
            if words:
                seconds = (now_us - known.logged_us) / 1e6
                self._notices.stream(f"stream from {name_of(agent.peer)}: {words} in {seconds:.0f} s")
            known.logged, known.logged_us = report, now_us

    def _tell_level(self) -> None:
        level = self._governor.level if self._governor is not None else FULL
        if level != self._level:
            limit = "at its load limit" if level > self._level else "less busy"
            self._notices.warn("load", f"the device is {limit}: quality in gaps is '{QUALITY[level]}' now")
        self._level = level

    def ended(self, agent: Agent, now_us: int) -> bool:
        """Take in the final report of a session; return whether its beginning had been logged."""
        known = self._known.pop(agent, None)
        if known is None:
            return False
        name, why = name_of(agent.peer), agent.why or "goodbye"
        final = cast(DeviceReport, agent.reports.final)
        self.last = SessionFigures(name, agent.plain, final, known.began_us, agent.heard_us, now_us, why)
        failed = why == OUTPUT_FAILED
        if not (failed and known.repeated):
            self._notices.stream(summary(agent.peer, agent.why, final))
        self._failed_us = {agent.peer: now_us} if failed else {}
        return True


def losses(before: DeviceReport, now: DeviceReport) -> str:
    """Return a line about the losses between two reports of a session and their sources; empty without losses.

    Periods for which the sender sent nothing are played from other sources as well, and are no losses.
    """

    def grown(part: str, name: str) -> int:
        return _count(now, part, name) - _count(before, part, name)

    lost, tardy, late = grown("packets", "missing"), grown("packets", "late"), grown("queue", "late_periods")
    sent = grown("packets", "sent")
    words = []
    if lost > 0 or tardy > 0:
        filled = [f"{name} {count}" for name in _FILLED if (count := grown("sources", name)) > 0]
        words.append(f"{max(0, lost)} of {sent} packets lost, {f'{tardy} late, ' * (tardy > 0)}played: "
                     + (", ".join(filled) or "not yet"))  # fmt: skip
    if (idle := grown("packets", "expected") - sent) >= _IDLE:
        words.append(f"nothing came for {idle * PACKET_SECONDS:.0f} s")
    if late > 0:
        words.append(f"{late} periods not ready in time")
    return "; ".join(words)


def _count(report: DeviceReport, part: str, name: str) -> int:
    counts = report.get(part)
    return int(counts.get(name) or 0) if isinstance(counts, dict) else 0


def summary(peer: Any, why: str, report: DeviceReport) -> str:
    """Return one line about an ended stream from its final report.

    A stream that ends without a goodbye (why: "silence") has been concealed for some time before its end is known.
    """
    packets, sources = report["packets"], report["sources"]
    played = ", ".join(f"{name} {count}" for name, count in sources.items() if count and name != "silence")
    periods = sum(count for name, count in sources.items() if name != "silence")
    after = max(0, periods - packets["expected"]) if why == "silence" else 0
    seconds = (periods - after) * PACKET_SECONDS
    text = f"stream from {name_of(peer)} ended ({why or 'goodbye'}): {seconds:.1f} s, "
    text += f"{packets.get('arrived', packets['received'])} packets, {packets.get('missing', packets['lost'])} lost"
    played += f", {after} of them after the last packet ({after * PACKET_SECONDS:.1f} s)" * bool(after)
    odd = [f"{packets[name]} {words}" for name, words in _ODD.items() if packets.get(name)]
    odd += ["a longer --playout would keep them"] * (packets.get("late", 0) > _MANY_LATE * packets["expected"])
    parts = [f"played: {played}"] * bool(played) + [", ".join(odd)] * bool(odd)
    parts += _output(report.get("output") or {})
    return "; ".join([text, *parts])


def _output(report: OutputReport) -> list[str]:
    """Return the name of the written file, and its errors."""
    written = [f"written: {report['file']}"] if report.get("file") else []
    return written + ([f"output: {report['error']}"] if report.get("error") else [])


def _kind(agent: Agent) -> str:
    """Return the facts about a stream at its beginning: its packets, its sender, and its playout."""
    receiver, words = agent.receiver, ["RTP without hello"] if agent.plain else []
    number = getattr(receiver, "payload_type", None)
    words.append("Opus" if number is None else f"Opus, type {number}")
    if getattr(receiver, "packet_us", None):
        words.append(f"{receiver.packet_us / 1000:g} ms")
    options = agent.options
    playout = f"{'adaptive' if options.get('adaptive') else 'fixed'}:{options['playout_ms']}"
    plays = f"playout {playout}, losses by {options.get('conceal')}"
    return ", ".join([*words, f"SSRC 0x{agent.media.ssrc:08x}", plays])
