# SPDX-License-Identifier: BSD-2-Clause
"""A stream to a plain RTP receiver: no hello and no report, but sender reports, a name and a goodbye by RTCP (RFC
3550).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from dredge_device import rtcp, rtp
from dredge_device.pi.schema.documents import Description
from dredge_host.links.link import Link
from dredge_host.live.control_channel import Update
from dredge_host.live.session import Session
from dredge_host.settings import Settings

REPORT_S = 2.0  # between sender reports; the first goes out with the first packet
_NTP_EPOCH = 2208988800  # 1900 to 1970, in seconds


class PlainSession(Session):
    """A session with a receiver that speaks RTP and RTCP only; it takes the place of `Session`.

    ``receiver``: the figures of the receiver's reports, {} when it sends none: packets lost, loss now in %, jitter in
    ms. wall: the clock of the sender reports.
    """

    def __init__(
        self,
        link: Link,
        clock: Callable[[], float] = time.monotonic,
        update: Update | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(link, clock, update)
        self.receiver: dict[str, float] = {}
        self._wall = wall
        self._cname = f"dredge-{secrets.token_hex(6)}".encode()
        self._ssrc = 0
        self._sent = self._octets = 0
        self._next_s: float | None = None

    def greet(self, models: list[str] | None = None) -> Description:
        """Return the description of an unknown device, without a request."""
        del models
        self.device = {"ok": True, "role": "plain RTP receiver"}
        return self.device

    def configure(
        self, settings: Settings, ssrc: int, first_sequence: int, first_timestamp: int = 0
    ) -> Description:
        """Note the stream's SSRC and return the answer of a device that takes no settings."""
        del settings, first_sequence, first_timestamp
        self._ssrc = ssrc
        return {"ok": True}

    def rehello(self) -> None:
        """Do nothing, since a plain receiver is not greeted."""

    @property
    def report_age_s(self) -> float | None:
        """None: a plain receiver need not send reports."""
        return None

    def transmit(self, datagram: bytes) -> bool:
        """Send; a sender report goes with it when one is due."""
        went = super().transmit(datagram)
        if went and not rtp.is_rtcp(datagram):
            self._sent += 1
            self._octets += len(datagram) - 12
            now = self._clock()
            if self._next_s is None or now >= self._next_s:
                self._next_s = now + REPORT_S
                super().transmit(self._report(int.from_bytes(datagram[4:8], "big")))
        return went

    def goodbye(self, last_sequence: int | None, wait_s: float, timestamp: int | None = None) -> None:
        """Send the goodbye without waiting for an answer."""
        del last_sequence, wait_s
        self.tolerant = True
        super().transmit(self._report(timestamp or 0) + rtcp.build_bye(self._ssrc))

    def summary(self) -> str:
        """Return one line: the sent packets, and the figures of the receiver's reports."""
        text = f"sent     {self._sent} packets, {self._octets} bytes of payload"
        if self.refused:
            text += f"; {self.refused} more found nobody who listens at {self.link.url}"
        if not self.receiver:
            return text + "; no receiver report came"
        return text + "; the receiver reports {lost} lost, jitter {jitter_ms} ms".format(**self.receiver)

    def _report(self, timestamp: int) -> bytes:
        seconds = self._wall()
        whole = int(seconds)
        ntp = (whole + _NTP_EPOCH & 0xFFFFFFFF) << 32 | int((seconds - whole) * 2**32)
        report = rtcp.build_sender_report(self._ssrc, ntp, timestamp, self._sent, self._octets)
        return report + rtcp.build_sdes(self._ssrc, self._cname)

    def _handle(self, datagram: bytes) -> None:
        try:
            packets = rtcp.split(datagram)
        except ValueError:
            self.ignored += 1
            return
        for packet in packets:
            if packet.kind == rtcp.RECEIVER_REPORT and packet.count:
                try:
                    block = rtcp.parse_receiver_report(packet)
                except ValueError:
                    self.ignored += 1
                    continue
                if block["source"] == self._ssrc:
                    self.heard_s = self._clock()
                    self.receiver = {
                        "lost": block["lost"],
                        "loss_pct": round(block["fraction_256"] / 2.56, 2),
                        "jitter_ms": round(block["jitter"] / 48, 3),
                    }
