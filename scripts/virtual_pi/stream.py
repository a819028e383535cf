# SPDX-License-Identifier: BSD-2-Clause
"""The packets of a replay, made once on this machine: bundled speech, the product's sender, a seeded loss."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import numpy as np

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS
from dredge_host.sending.audio import bundled_clip, packets, read_audio
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import Sender


@dataclass(frozen=True)
class Stream:
    """Datagrams, which of them are lost, and where the stream begins."""

    data: list[bytes]
    lost: list[bool]
    ssrc: int
    first_sequence: int

    def pickled(self) -> bytes:
        """Return the input of the replay on the board."""
        return pickle.dumps(vars(self), protocol=4)


class Speech:
    """Makes streams; what was encoded once serves every loss."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[list[bytes], Sender]] = {}

    def stream(self, seconds: float, loss: str, seed: int) -> Stream:
        """Return so many seconds of the bundled speech, repeated as needed. Raises UsageError for a bad loss."""
        count = max(1, round(seconds / PACKET_SECONDS))
        model = parse_loss(loss, seed)
        if count not in self._made:
            self._made[count] = _encoded(count)
        data, sender = self._made[count]
        return Stream(data, [model.lost() for _ in data], sender.ssrc, sender.first_sequence)


def _encoded(count: int) -> tuple[list[bytes], Sender]:
    with bundled_clip() as clip:
        pcm = np.resize(read_audio(clip).pcm, count * PACKET_SAMPLES)
    sender = Sender()
    data = [sender.push(piece).data for piece in packets(pcm, count)]
    return data, sender
