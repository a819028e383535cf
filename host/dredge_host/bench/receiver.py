# SPDX-License-Identifier: BSD-2-Clause
"""The benchmark of the whole receiver: frames of a live stream, a burst of losses, several streams at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import cycle
from typing import Any

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS
from dredge_host.bench.clock import Disturbance, Times, paced, timed
from dredge_host.bench.documents import BurstRow, LiveRow, StreamsRow
from dredge_host.offline.player import OfflineStream, PacketReceiver, VirtualClock
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import LossModel, parse_loss
from dredge_host.timing import percentiles

PLAYOUT_MS = 1000
PERIODS_PER_S = 50
WARM_UP = 60  # packets before the first loss: more than the history they carry
LOSS = "gilbert:rate=20%,burst=5"
STREAMS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)

MakeReceiver = Callable[[VirtualClock, int], PacketReceiver]


def real_receiver(clock: VirtualClock, playout_ms: int) -> PacketReceiver:
    """Return the device's receiver with its default settings on a virtual clock."""
    from dredge_device.pi.receiver import Receiver

    receiver: PacketReceiver = Receiver(playout_ms, use_lbrr=False, clock_us=clock)
    return receiver


def datagrams(pcm: Pcm, count: int, redundancy_s: float = 1.0) -> list[bytes]:
    """Return `count` RTP packets of this speech, which is repeated as often as needed."""
    from dredge_host.sending.sender import Sender

    sender = Sender(redundancy_s=redundancy_s)
    speech = cycle(packets(pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES]))
    return [sender.push(next(speech)).data for _ in range(count)]


class Listener:
    """A receiver and its stream: in every ``period`` one packet arrives or is lost, and 20 ms are played."""

    def __init__(self, stream: Sequence[bytes], make: MakeReceiver, playout_ms: int = PLAYOUT_MS) -> None:
        self._stream = stream
        self._player = OfflineStream(lambda clock: make(clock, playout_ms))

    def period(self, lost: bool = False) -> Any:
        """Return what the receiver played (dredge_device.pi.receiver.Played)."""
        return self._player.period(None if lost else self._stream[self._player.number])

    def run(self, losses: Iterable[bool]) -> None:
        """Play a period for each of these losses, unmeasured."""
        for lost in losses:
            self.period(lost)


def live(stream: Sequence[bytes], disturb: Disturbance, make: MakeReceiver = real_receiver) -> LiveRow:
    """Return the times of every frame of a stream with burst losses, one per 20 ms with cold caches, by source."""
    listener, loss = Listener(stream, make), parse_loss(LOSS)
    listener.run(loss.lost() for _ in range(PERIODS_PER_S))
    sources: list[str] = []
    count = len(stream) - PERIODS_PER_S
    times = paced(lambda: sources.append(listener.period(loss.lost()).source), count, disturb=disturb)
    chosen = {name: [t for t, s in zip(times.cpu_us, sources, strict=True) if s == name] for name in set(sources)}
    whole = times.as_dict()
    return {
        "loss": LOSS,
        "frames": count,
        **whole,
        "p99_pct_of_period": _share(whole["cpu_us"]["p99"]),
        "late_frames": sum(t > 1e6 * PACKET_SECONDS for t in times.cpu_us),
        "by_source_us": {name: {"frames": len(t), **percentiles(t)} for name, t in sorted(chosen.items())},
    }


def _share(us: float) -> float:
    """Return a time in percent of the period."""
    return round(us / (1e4 * PACKET_SECONDS), 2)


def burst(
    pcm: Pcm,
    repeats: int,
    gap_s: float = 1.0,
    disturb: Disturbance | None = None,
    make: MakeReceiver = real_receiver,
) -> BurstRow:
    """Return the times from the arrival of the packet that ends a gap to the first recovered 20 ms, and to all of them.

    The packet arrives at the latest moment, when the first lost period is due. ``recovered_pct`` is the share of the
    gaps that were rendered from DRED.
    """
    gap = round(gap_s * PERIODS_PER_S)
    stream = datagrams(pcm, repeats * (WARM_UP + 2 * gap), gap_s)
    listener = Listener(stream, make, playout_ms=20 * gap)
    first, whole, recovered = Times(), Times(), 0
    for _ in range(repeats):
        listener.run([False] * WARM_UP + [True] * gap)
        times, sources = _recover(listener, gap, disturb)
        recovered += sources.count("dred")
        first.add(times.cpu_us[0], times.wall_us[0])
        whole.add(sum(times.cpu_us), sum(times.wall_us))
    return {
        "gap_ms": 20 * gap,
        "recovered_pct": round(100 * recovered / (repeats * gap), 2),
        "first_20_ms": first.as_dict(),
        "whole_gap": whole.as_dict(),
    }


def _recover(listener: Listener, gap: int, disturb: Disturbance | None) -> tuple[Times, list[str]]:
    """Return the times and sources of the periods in which the gap is played; in each a packet arrives and 20 ms are
    synthesised.
    """
    times, sources = Times(), []
    for _ in range(gap):
        if disturb:
            disturb()
        times.take(lambda: sources.append(listener.period().source))
    return times, sources


def streams(
    stream: Sequence[bytes],
    periods: int,
    most: int = STREAMS[-1],
    make: MakeReceiver = real_receiver,
) -> list[StreamsRow]:
    """Return the CPU time per period of 1, 2, 3, ... receivers in one thread, until they need more than the period.

    Every stream has the same speech and its own losses; the last row is the first number that does not fit.
    """
    rows: list[StreamsRow] = []
    for number in (n for n in STREAMS if n <= most):
        pairs = [(Listener(stream, make), parse_loss(LOSS, seed)) for seed in range(1, number + 1)]
        for listener, loss in pairs:
            listener.run(loss.lost() for _ in range(PERIODS_PER_S))
        spent = percentiles([timed(partial(_all, pairs)) for _ in range(periods)])
        real_time = spent["p99"] <= 1e6 * PACKET_SECONDS
        rows.append({"streams": number, "cpu_us": spent, "real_time": real_time})
        if not real_time:
            break
    return rows


def _all(pairs: Sequence[tuple[Listener, LossModel]]) -> None:
    for listener, loss in pairs:
        listener.period(loss.lost())
