# SPDX-License-Identifier: BSD-2-Clause
"""From captured datagrams to the packets of one RTP stream: by SSRC, in order, each once."""

from __future__ import annotations

from collections import Counter, defaultdict

from dredge_host.capture.packets import Capture, Captured

MAX_STREAMS = 10000          # a capture of noise must not become a dictionary of noise


class RtpStreams:
    """Collects datagrams; what is no RTP of a dynamic payload type is counted and left out."""

    def __init__(self) -> None:
        self._streams: defaultdict[int, list[tuple[int, float, bytes]]] = defaultdict(list)
        self._left_out: Counter[str] = Counter()

    def add(self, datagram: bytes, time_s: float) -> None:
        """One UDP payload as it was captured."""
        from dredge_device import rtp

        if rtp.is_rtcp(datagram):
            self._left_out["RTCP"] += 1
            return
        try:
            packet = rtp.parse(datagram)
        except ValueError:
            self._left_out["other"] += 1
            return
        if packet.payload_type < 96 or not packet.payload:
            self._left_out["other payload types"] += 1
        elif packet.ssrc in self._streams or len(self._streams) < MAX_STREAMS:
            self._streams[packet.ssrc].append((packet.sequence, time_s, packet.payload))

    def choose(self, name: str, ssrc: int | None) -> Capture:
        """The stream of this SSRC, or the one with most packets; ValueError if it is not there."""
        sizes = {number: len(packets) for number, packets in self._streams.items()}
        if ssrc is None and sizes:
            ssrc = max(sizes, key=lambda number: sizes[number])
        if ssrc is not None and ssrc not in sizes:
            there = ", ".join(f"0x{number:08x}" for number in list(sizes)[:10]) or "none"
            raise ValueError(f"no RTP stream with SSRC 0x{ssrc:08x} (there are: {there})")
        capture = Capture(name, ssrc=ssrc)
        if ssrc is not None:
            _in_order(capture, self._streams[ssrc])
        for number, size in sizes.items():
            if number != ssrc:
                capture.notes.append(f"left out: {size} packets of SSRC 0x{number:08x}; see --ssrc")
        capture.notes = capture.notes[:10]
        for what, count in self._left_out.items():
            capture.notes.append(f"left out: {count} datagrams ({what})")
        return capture


def _in_order(capture: Capture, packets: list[tuple[int, float, bytes]]) -> None:
    """Running numbers from 16-bit ones; duplicates go."""
    from dredge_device import rtp

    seen: dict[int, Captured] = {}
    highest: int | None = None
    for number, time_s, data in packets:
        running = number if highest is None else highest + rtp.distance(number, highest & 0xFFFF)
        highest = running if highest is None else max(highest, running)
        seen.setdefault(running, Captured(data, time_s, running))
    capture.packets = [seen[number] for number in sorted(seen)]
    if len(packets) > len(seen):
        capture.notes.append(f"left out: {len(packets) - len(seen)} duplicates")
    capture.lost = max(seen) - min(seen) + 1 - len(seen)
