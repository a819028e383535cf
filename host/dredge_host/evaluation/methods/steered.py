# SPDX-License-Identifier: BSD-2-Clause
"""A sender that its receiver's reports steer, offline: `--redundancy auto` without a network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dredge_device.pi.schema.report import DeviceReport
from dredge_host.offline.player import PacketReceiver
from dredge_host.offline.simulate import make_receiver
from dredge_host.sending.adaptive_redundancy import PACKETS_PER_REPORT, AutoRedundancy
from dredge_host.sending.sender import BitrateMeter, Packet, Sender
from dredge_host.settings import Settings


class SteeredSender:
    """The interface of dredge_host.sending.sender.Sender. Once a second its receiver (from `listen`) reports, and the
    sender adapts its redundancy. cap_bps: most b/s on the wire; log: every change with its reason."""

    def __init__(self, settings: Settings, cap_bps: int) -> None:
        self._sender = Sender.from_settings(settings)
        self._control = AutoRedundancy(self._sender, settings.playout_ms, cap_bps)
        self._meter = BitrateMeter()
        self._report: Callable[[], DeviceReport] | None = None
        self.ssrc, self.first_sequence = self._sender.ssrc, self._sender.first_sequence
        self.log = self._control.log

    @property
    def lookahead(self) -> int:
        """Samples, of the speech encoder."""
        return self._sender.lookahead

    def listen(self, settings: Settings, clock_us: Callable[[], int]) -> PacketReceiver:
        """Return the receiver of these settings, whose reports come back to this sender."""
        receiver: Any = make_receiver(settings, clock_us)
        self._report = receiver.report
        return receiver

    def push(self, pcm: Any) -> Packet:
        """Return int16[320] as one packet; errors are those of the sender."""
        sent = self._sender.index
        if sent and sent % PACKETS_PER_REPORT == 0 and self._report is not None:
            self._control.consider(sent / PACKETS_PER_REPORT, self._report(), self._meter)
        packet = self._sender.push(pcm)
        self._meter.add(packet.split)
        return packet
