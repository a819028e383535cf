# SPDX-License-Identifier: BSD-2-Clause
"""Cheap hosts for soak tests: real sessions with a device, made of packets that were encoded once."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from dredge_device import control, fragments, rtp
from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, RTP_TICKS_PER_PACKET
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender

RETRY_S, PATIENCE_S = 0.25, 20.0
SHORTEST_S = 1.0
GREET, CONFIGURE, STREAM, BYE, REPORT, REST = "greet", "configure", "stream", "bye", "report", "rest"
WHOLE = 3  # packets before and after a change of sender that always arrive: what was sent is then known


def encoded(pcm: Pcm, redundancy_s: float = 1.0) -> list[bytes]:
    """Return one Opus packet with its redundancy for every 20 ms of int16[n]; hosts repeat them endlessly."""
    sender = Sender(redundancy_s=redundancy_s)
    whole = pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES]
    return [rtp.parse(sender.push(piece).data).payload for piece in packets(whole)]


@dataclass
class Session:
    """What a host did in one session, and what the device made of it."""

    host: int
    begun_s: float
    made: int = 0  # packets
    sent: int = 0
    senders: int = 1
    report: dict[str, Any] | None = None
    trouble: str = ""  # why the session has no report

    def counts(self) -> dict[str, Any]:
        """Return the counters of both sides; exact: the device's agree with ours to the packet.

        When the sender changes in the middle, what was buffered of the old one is not played, and a gap that is open
        then is no loss: periods cannot agree, packets must.
        """
        report = self.report or {}
        counts, sources = report.get("packets", {}), report.get("sources", {})
        played = sum(sources.values()) - sources.get("silence", 0)
        return {
            "sent": self.sent,
            "lost": self.made - self.sent,
            "on_the_way": self.sent - counts.get("arrived", 0),
            "counts": counts,
            "exact": counts.get("sent") == self.made
            and counts.get("arrived") == self.sent
            and counts.get("missing") == self.made - self.sent
            and (played == counts.get("expected") == self.made if self.senders == 1 else played >= counts["expected"])
            and counts.get("restarts") == self.senders - 1,
        }

    def summary(self) -> dict[str, Any]:
        """Return the session as JSON values, without the long parts of its report."""
        report = self.report or {}
        budget, output = report.get("budget", {}), report.get("output") or {}
        facts = {name: value for name, value in asdict(self).items() if name != "report"}
        return {
            **facts,
            **self.counts(),
            "sources": report.get("sources"),
            "reasons": report.get("reasons"),
            "load": report.get("load"),
            "late_frames": budget.get("late_frames", 0),
            "p99_us": budget.get("p99_us", 0),
            "max_us": budget.get("max_us", 0),
            "wall_max_us": budget.get("wall", {}).get("max_us", 0),
            "pacing": output.get("pacing"),
        }


class _Senders:
    """The senders of one host, one after the other, whose packets are those of a feed that repeats."""

    def __init__(self, feed: list[bytes], rng: random.Random) -> None:
        self._feed, self._rng = feed, rng
        self.change()

    def change(self) -> None:
        """Begin with another sender: other numbers, another place in the feed."""
        self._ssrc, self._sequence, self._stamp = (self._rng.getrandbits(bits) for bits in (32, 16, 32))
        self._at = self._rng.randrange(len(self._feed))

    def packet(self) -> bytes:
        """Return the next RTP packet."""
        datagram = rtp.build(self._sequence, self._stamp, self._ssrc, self._feed[self._at])
        self._at = (self._at + 1) % len(self._feed)
        self._sequence += 1
        self._stamp += RTP_TICKS_PER_PACKET
        return datagram

    def beginning(self) -> dict[str, int]:
        """Return what a configuration says of the stream before its first packet."""
        return {"ssrc": self._ssrc, "first_sequence": self._sequence, "first_timestamp": self._stamp}

    def end(self) -> dict[str, int]:
        """Return what a goodbye says of the stream after its last packet."""
        return {
            "last_sequence": self._sequence - 1 & 0xFFFF,
            "last_timestamp": self._stamp - RTP_TICKS_PER_PACKET & 0xFFFFFFFF,
        }


class SoakHost:
    """One host: greets, configures, streams with losses, changes its sender, says goodbye, rests, and again.

    ``step`` does what is due at a time in seconds; nothing in it waits. `ended` collects the sessions that are over;
    `device` is the newest device-wide load report, `refusals` the sentences of a device that would not serve it.
    """

    def __init__(
        self, index: int, url: str, feed: list[bytes], loss: str, lasts_s: tuple[float, float], seed: int
    ) -> None:
        self._index, self._lasts = index, lasts_s
        place = urlsplit(url)
        self._address = (place.hostname or "127.0.0.1", place.port or 5004)
        self._rng = random.Random(1000 * seed + index)
        self._senders = _Senders(feed, self._rng)
        self._loss = parse_loss(loss, 1000 * seed + index)
        self._socket: socket.socket | None = None
        self.state, self._until = REST, self._rng.uniform(0, 2 * SHORTEST_S)
        self._number, self._asked_s = 0, 0.0
        self.leaving = False
        self.ended: list[Session] = []
        self.refusals: list[str] = []
        self.device: dict[str, Any] = {}
        self._session = Session(index, 0.0)

    @property
    def resting(self) -> bool:
        """True between two sessions."""
        return self.state == REST

    def step(self, now: float) -> None:
        """Do everything that is due now."""
        if self.state == REST:
            if now >= self._until and not self.leaving:
                self._begin(now)
            return
        self._listen(now)
        if self.state == STREAM:
            self._stream(now)
        elif self.state in (GREET, CONFIGURE, BYE) and now - self._asked_s >= RETRY_S:
            self._ask(now)
        if self.state in (GREET, CONFIGURE, BYE, REPORT) and now > self._until:
            self._over(now, f"no answer in state {self.state}")

    def close(self) -> None:
        """Free the socket."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _begin(self, now: float) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.connect(self._address)
        self._session = Session(self._index, round(now, 2))
        self._incoming = fragments.Incoming()
        self._senders.change()
        self._enter(GREET, now)

    def _enter(self, state: str, now: float) -> None:
        self.state, self._until = state, now + PATIENCE_S
        if state == STREAM:
            self._due = now
            length = max(8, round(self._rng.uniform(*self._lasts) / PACKET_SECONDS))
            change = self._rng.randrange(length - WHOLE) if self._rng.random() < 0.5 else 0
            self._plan = self._packets(length, change)
        elif state != REPORT:
            self._number += 1
            self._ask(now)

    def _packets(self, length: int, change: int) -> Iterator[tuple[bytes, bool]]:
        """Yield (datagram, whether it arrives) of a session; after `change` packets another sender goes on."""
        for n in range(length):
            if change and n == change:
                self._senders.change()
                self._session.senders += 1
            whole = n < WHOLE or abs(n - change) <= WHOLE
            lost = self._loss.lost() and not whole
            yield self._senders.packet(), not lost

    def _stream(self, now: float) -> None:
        while self._due <= now:
            datagram, arrives = (None, False) if self.leaving else next(self._plan, (None, False))
            if datagram is None:
                self._enter(BYE, now)
                return
            self._session.made += 1
            if arrives:
                self._send(datagram)
                self._session.sent += 1
            self._due += PACKET_SECONDS

    def _ask(self, now: float) -> None:
        self._asked_s = now
        documents: dict[str, tuple[int, dict[str, Any]]] = {
            GREET: (control.HELLO, {"role": "host"}),
            CONFIGURE: (control.CONFIGURE, self._senders.beginning()),
            BYE: (control.BYE, self._senders.end()),
        }
        kind, document = documents[self.state]
        self._send(control.build(control.with_document(kind, self._number, document)))

    def _send(self, datagram: bytes) -> None:
        assert self._socket is not None
        try:
            self._socket.send(datagram)
        except OSError as error:
            self._session.trouble = f"send: {error.strerror}"

    def _listen(self, now: float) -> None:
        while self._socket is not None:
            try:
                datagram = self._socket.recv(65536)
            except BlockingIOError:
                return
            except OSError as error:
                self._session.trouble = f"receive: {error.strerror}"
                return
            for message in control.parse(datagram):
                self._take(message, now)

    def _take(self, message: control.Message, now: float) -> None:
        if message.kind == control.REPORT:
            self._take_report(message, now)
        elif message.flags & control.REPLY and message.number == self._number:
            answer = message.document()
            if answer.get("ok") is False:
                self.refusals.append(str(answer.get("error")))
                self._over(now, f"refused: {answer.get('error')}")
            elif self.state in (GREET, CONFIGURE, BYE):
                self._enter({GREET: CONFIGURE, CONFIGURE: STREAM, BYE: REPORT}[self.state], now)

    def _take_report(self, message: control.Message, now: float) -> None:
        final = bool(message.flags & control.FINAL)
        if final:
            self._send(fragments.acknowledgement(message))
        document = self._incoming.add(message)
        if document is not None and final:
            self._session.report = document
            self.device = (document.get("output") or {}).get("load", {})
            self._over(now)

    def _over(self, now: float, trouble: str = "") -> None:
        """End the session; a missing final report is noted as trouble."""
        self._session.trouble = trouble or ("" if self._session.report else self._session.trouble)
        self.ended.append(self._session)
        self.close()
        self.state, self._until = REST, now + self._rng.uniform(0.2, 2 * SHORTEST_S)

