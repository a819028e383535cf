# SPDX-License-Identifier: BSD-2-Clause
"""A microphone that may be unplugged and plugged in again."""

from __future__ import annotations

import time

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.cards import INPUT, CardStream
from dredge_device.pi.output.resample import Resampler
from dredge_device.pi.service.pacer import Pacer
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.audio_io.source import SourceReport

_STUCK_S = 3.0  # a card without samples for this long is treated as gone
_OLD_S = 0.2  # speech that has waited longer is not sent


class Microphone:
    """The input of a sound card; while the card is missing, it gives silence and tries to reopen it every second.

    Raises CapabilityError when there is none at the start.
    """

    def __init__(self, name: str = "") -> None:
        self._card = CardStream(INPUT, name)
        self._resampler = Resampler(self._card.rate, SAMPLE_RATE)
        self._rest = np.zeros(0, np.int16)
        self._overflows = self._skipped_ms = self._silent = 0
        self._pacer: Pacer | None = None  # while the card is missing

    @property
    def backlog_us(self) -> int:
        """The length of the speech in the card and the resampler beyond the last 20 ms, microseconds."""
        held = 1_000_000 * (self._card.room() or 0) // self._card.rate
        return held + 1_000_000 * len(self._rest) // SAMPLE_RATE + self._resampler.delay_us

    def read(self) -> Pcm | None:
        """Return int16[320]; never None."""
        while len(self._rest) < PACKET_SAMPLES:
            piece = self._captured(self._card.rate // 50)
            if piece is None:
                return self._silence()
            if self._resampler.source != self._card.rate:
                self._resampler = Resampler(self._card.rate, SAMPLE_RATE)
            self._rest = np.concatenate([self._rest, self._resampler.convert(piece)])
        self._pacer = None
        out, self._rest = self._rest[:PACKET_SAMPLES], self._rest[PACKET_SAMPLES:]
        return np.ascontiguousarray(out)

    def _captured(self, frames: int) -> Pcm | None:
        """Return `frames` samples of one channel as soon as they are available; None when the card is missing."""
        begin = time.monotonic()
        while (room := self._card.room()) is not None and room < frames:
            if time.monotonic() - begin > _STUCK_S:
                self._card.lose(f"it gave nothing for {_STUCK_S:g} s")
                return None
            time.sleep(min((frames - room) / self._card.rate, 0.02))
        if room is None:
            return None
        if room > _OLD_S * self._card.rate:
            self._skipped_ms += round(1000 * (room - frames) / self._card.rate)
            self._card.read(room - frames)
        got = self._card.read(frames)
        if got is None:
            return None
        self._overflows += got[1]
        pcm = np.frombuffer(got[0], np.int16).reshape(-1, self._card.channels)
        return pcm[:, 0] if pcm.shape[1] == 1 else pcm.mean(axis=1).astype(np.int16)

    def _silence(self) -> Pcm:
        if self._pacer is None:
            self._pacer = Pacer()
            self._rest = np.zeros(0, np.int16)
        self._pacer.wait()
        self._silent += 1
        return np.zeros(PACKET_SAMPLES, np.int16)

    def flush(self) -> None:
        """Drop the samples in the card."""
        self._rest = np.zeros(0, np.int16)
        room = self._card.room()
        if room:
            self._card.read(room)

    def report(self) -> SourceReport:
        """Return the overflows, the speech dropped as too old, and the time without the card."""
        report: SourceReport = {"kind": "microphone", "rate": self._card.rate, "overflows": self._overflows}
        if self._overflows or self._skipped_ms:
            report["skipped_ms"] = self._skipped_ms
            report["advice"] = "the microphone was read too late: give the program a core of its own, or --realtime"
        if self._silent:
            report["vanished"], report["silent_ms"] = self._card.vanished, 20 * self._silent
        return report

    def close(self) -> None:
        """Release the card."""
        self._card.close()
