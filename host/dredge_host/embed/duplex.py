# SPDX-License-Identifier: BSD-2-Clause
"""Speech both ways over one UDP socket, for asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any

from dredge_device import rtp
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.playing.played import Played
from dredge_device.units import PACKET_SECONDS
from dredge_host.embed.receiver import Receiver
from dredge_host.sending.sender import Packet, Sender

Address = tuple[str, int]


class Duplex(asyncio.DatagramProtocol):
    """One end of a call: plain RTP, no session and no keys (`dredge_host.Talk` has them).

    ::

        async with Duplex(("127.0.0.1", 5006), local=("127.0.0.1", 5004)) as call:
            await call.send(pcm)                # int16[320]
            async for played in call:           # one every 20 ms
                card.write(played.pcm)

    Encoding and decoding run in threads, so that the loop stays free. remote None: the peer is the first sender of an
    RTP packet received. Raises OSError when the port is taken.
    """

    def __init__(
        self,
        remote: Address | None,
        local: Address = ("0.0.0.0", 0),
        *,
        sender: Sender | None = None,
        receiver: Receiver | None = None,
    ) -> None:
        self.remote = remote
        self.sender = sender or Sender()
        self.receiver = receiver or Receiver()
        self._local = local
        self._transport: Any = None
        self._due: float | None = None

    @property
    def address(self) -> Address:
        """The address of this end."""
        host, port = self._transport.get_extra_info("sockname")[:2]
        return str(host), int(port)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take in a datagram that has arrived (called by asyncio)."""
        if self.remote is None and not rtp.is_rtcp(data):
            self.remote = addr[:2]
        if addr[:2] == self.remote:
            self.receiver.push(data)

    async def send(self, pcm: Pcm) -> Packet:
        """Encode int16[320] and send it, if the peer's address is known."""
        packet = await asyncio.to_thread(self.sender.push, pcm)
        if packet.data and self.remote is not None:
            self._transport.sendto(packet.data, self.remote)
        return packet

    async def receive(self) -> Played:
        """Return the next 20 ms, when they are due; call it again only after it has returned."""
        loop = asyncio.get_running_loop()
        self._due = loop.time() if self._due is None else self._due + PACKET_SECONDS
        await asyncio.sleep(max(0.0, self._due - loop.time()))
        await asyncio.to_thread(self.receiver.pull)
        assert self.receiver.last is not None
        return self.receiver.last

    def __aiter__(self) -> Duplex:
        return self

    async def __anext__(self) -> Played:
        return await self.receive()

    async def __aenter__(self) -> Duplex:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=self._local)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()
        self.receiver.close()
        self.sender.close()
