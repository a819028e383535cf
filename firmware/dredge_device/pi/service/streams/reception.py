# SPDX-License-Identifier: BSD-2-Clause
"""The dispatch of datagrams to their sessions, and the beginning of new ones."""

from typing import Any

from dredge_device import agent as states
from dredge_device import control, rtcp, rtp
from dredge_device.agent import Agent
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.streams.admission import Candidates
from dredge_device.pi.service.streams.rendering import StreamSession
from dredge_device.pi.service.streams.slots import StreamSlots
from dredge_device.pi.transport.addresses import name_of, network_of


class Reception:
    """Dispatches datagrams to sessions, and gives a slot to a peer that asks for one (hello, configure) or whose RTP is
    credible; others are refused when all slots are taken (``full`` holds the sentence)."""

    def __init__(
        self, slots: StreamSlots, governor: Governor | None, notices: Notices, candidates: Candidates, full: str
    ) -> None:
        self._slots = slots
        self._governor = governor
        self._notices = notices
        self._candidates = candidates
        self._full = full

    def handle(self, datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Return the answers to one datagram, for the same peer."""
        if rtp.is_rtcp(datagram):
            stream, agent = self._slots.of(peer)
            return self._control(stream, agent, datagram, peer, now_us)
        ssrc = int.from_bytes(datagram[8:12], "big") if len(datagram) >= 12 else None
        stream, agent = self._slots.of(peer, ssrc)
        if stream is None or agent is None or not _takes(agent, ssrc):
            return self._stranger(datagram, peer, now_us)
        if ssrc != agent.media.ssrc and stream.leaving is None and _may_change(agent, datagram):
            return self._stranger(datagram, peer, now_us, agent)
        return agent.handle(datagram, peer, now_us)

    def _control(
        self, stream: StreamSession | None, agent: Agent | None, datagram: bytes, peer: Any, now_us: int
    ) -> list[bytes]:
        try:
            packets = rtcp.split(datagram)
            messages = control.messages_of(packets)
        except ValueError:  # damaged, or of another version: every agent gives the same answer
            return (agent or self._slots.streams[0].agent).handle(datagram, peer, now_us)
        for message in messages:
            if message.kind == control.ACK:
                self._slots.final_reports.acknowledge(message, peer)
        if agent is None or (agent.state == states.REPORTING and _begins(messages)):
            return self._asked(packets, messages, datagram, peer, now_us)
        if stream is not None and stream.leaving not in (None, agent) and _says_bye(messages):
            self._slots.let_go(stream)  # cuts off the session before, which was still playing
        return agent.handle(datagram, peer, now_us)

    def _asked(
        self, packets: list[Any], messages: list[control.Message], datagram: bytes, peer: Any, now_us: int
    ) -> list[bytes]:
        """Return the answers to RTCP of a peer without a session."""
        self._goodbyes(packets, peer, now_us)
        if not _begins(messages):
            idle = self._slots.idle()
            return idle.handle(datagram, peer, now_us) if idle else self._aside(messages, datagram, peer, now_us)
        why = self._refusal()
        if why is not None and self._governor is not None:
            answers = control.refusals(datagram, why)
            self._governor.refused += bool(answers)
            return answers
        stream = self._slots.find(peer, now_us)
        if stream is None:
            return control.refusals(datagram, self._full)
        return stream.agent.handle(datagram, peer, now_us)

    def _aside(self, messages: list[control.Message], datagram: bytes, peer: Any, now_us: int) -> list[bytes]:
        """Return the answers while all slots are taken: to probes, and to goodbyes whose first answer was lost."""
        if any(message.kind == control.PROBE for message in messages):
            return self._slots.streams[0].agent.handle(datagram, peer, now_us)
        return control.refusals(datagram, self._full)

    def _goodbyes(self, packets: list[Any], peer: Any, now_us: int) -> None:
        """End streams by RTCP goodbyes, which name the SSRC because they may arrive from another port than the stream.
        """
        for packet in packets:
            if packet.kind != rtcp.BYE:
                continue
            for ssrc in rtcp.parse_bye(packet):
                for _, agent in self._slots.agents:
                    if agent.plain and agent.media.ssrc == ssrc and network_of(agent.peer) == network_of(peer):
                        agent.goodbye(now_us)

    def _stranger(self, datagram: bytes, peer: Any, now_us: int, before: Agent | None = None) -> list[bytes]:
        """Return the answers to media of a peer without a session, or of another SSRC than the session ``before``.

        Two packets that follow each other begin a session, while the buffer of the one before is still played.
        """
        arrivals = self._candidates.confirm(datagram, peer, now_us)
        if not arrivals or self._slots.is_over(rtp.parse(datagram).ssrc, now_us):
            return []
        if before is not None:
            before.goodbye(now_us)
        why = self._refusal()
        stream = self._slots.find(peer, now_us, media=True) if why is None else None
        if stream is None:
            self._notices.warn("full", f"stream from {name_of(peer)} not played: {why or self._full}")
            return []
        for arrived, when_us in arrivals:
            stream.agent.handle(arrived, peer, when_us)
        return []

    def _refusal(self) -> str | None:
        """Return why there is no time for another stream, None while there is."""
        return self._governor.refusal(len(self._slots.playing)) if self._governor else None


def _takes(agent: Agent, ssrc: int | None) -> bool:
    """Return False when this media cannot belong to the session: it has ended, or it has said goodbye and this is
    another SSRC.
    """
    return agent.state == states.ACTIVE or ssrc is None or ssrc == agent.media.ssrc


def _may_change(agent: Agent, datagram: bytes) -> bool:
    """Return whether another SSRC is another stream: no SSRC was announced, and this looks like RTP."""
    is_rtp = datagram and datagram[0] >> 6 == 2
    return bool(is_rtp and agent.state == states.ACTIVE and agent.plain and agent.media.ssrc is not None)


def _begins(messages: list[control.Message]) -> bool:
    return any(m.asks and m.kind in (control.HELLO, control.CONFIGURE) for m in messages)


def _says_bye(messages: list[control.Message]) -> bool:
    return any(m.asks and m.kind == control.BYE for m in messages)
