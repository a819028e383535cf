# SPDX-License-Identifier: BSD-2-Clause
"""The number of streams that one core of this machine decodes in real time."""

from __future__ import annotations

import time
from collections.abc import Callable

from dredge_device.units import PACKET_MS, PACKET_SAMPLES, PACKET_SECONDS, PACKET_US, RTP_TICKS_PER_PACKET
from dredge_host.offline.documents import Capacity
from dredge_host.offline.player import OfflineStream
from dredge_host.offline.simulate import arriving, make_receiver
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_host.timing import percentiles

STAGGER = 37  # periods by which each stream is behind the one before, so that their gaps do not coincide

Feed = list[bytes | None]


def capacity(
    pcm: Pcm, settings: Settings, seconds: float = 10.0, most: int = 256, say: Callable[[str], None] | None = None
) -> Capacity:
    """Return the largest number of streams whose CPU time stays below 20 ms in 99 of 100 periods.

    All streams carry the same speech with the losses of ``settings``, each from a different point on. One thread
    decodes them one after the other; `runs` holds the measurements for each number tried.
    """
    feed = _feed(pcm, settings, seconds)
    runs: dict[int, dict[str, float]] = {}

    def fits(streams: int) -> bool:
        if streams not in runs:
            runs[streams] = percentiles(_busy_us(feed, settings, streams))
            if say:
                say(f"{streams} streams: p99 {runs[streams]['p99'] / 1000:.1f} ms of 20 ms")
        return runs[streams]["p99"] <= PACKET_US

    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    while high - low > max(1, low // 16):
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    tried = {str(streams): runs[streams] for streams in sorted(runs)}
    return {"streams": low, "resolution": high - low, "loss": settings.loss, "runs": tried}


def _feed(pcm: Pcm, settings: Settings, seconds: float) -> Feed:
    import numpy as np

    count = max(100, round(seconds / PACKET_SECONDS))
    loss = parse_loss(settings.loss, settings.seed)
    with Sender.from_settings(settings) as sender:
        speech = packets(np.resize(pcm, count * PACKET_SAMPLES), count)
        return [arriving(sender.push(piece), loss) for piece in speech]


def _busy_us(feed: Feed, settings: Settings, streams: int) -> list[float]:
    """Return the CPU time of each period in which all streams are decoded, microseconds."""
    players = [OfflineStream(lambda clock: make_receiver(settings, clock)) for _ in range(streams)]
    begin = settings.playout_ms // PACKET_MS + STAGGER * streams % len(feed)
    busy = []
    for period in range(begin + len(feed)):
        started = time.thread_time_ns()
        for index, player in enumerate(players):
            player.period(_arriving(feed, period - STAGGER * index % len(feed)))
        if period >= begin:
            busy.append((time.thread_time_ns() - started) / 1000)
    return busy


def _arriving(feed: Feed, number: int) -> bytes | None:
    """Return the datagram of this number in a stream that repeats the feed; None before its beginning, or where it is
    lost.
    """
    datagram = feed[number % len(feed)] if number >= 0 else None
    return None if datagram is None else _renumbered(datagram, number)


def _renumbered(datagram: bytes, number: int) -> bytes:
    """Return a datagram of the feed under the number that it has in the stream, which does not repeat."""
    from dredge_device import rtp

    packet = rtp.parse(datagram)
    return rtp.build(number, number * RTP_TICKS_PER_PACKET, packet.ssrc, packet.payload)
