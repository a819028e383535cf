# SPDX-License-Identifier: BSD-2-Clause
"""The signals of a page: names, levels, pictures, and the audio embedded in the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.charts.spectrogram import power_columns
from dredge_host.report.timeline import Row, heard_at
from dredge_kernels.arrays import Pcm

LOSSLESS_S = 600.0  # length of all signals together, above which a page of FLAC opens slowly
ACTIVE_DB = 40.0  # packets this far below the loudest are pauses and do not count for the level

SIGNAL_TEXT = {
    "original": "Original",
    "clean": "Clean Opus, no loss",
    "dred": "Received, with DRED",
    "dred_lbrr": "Received, with DRED and LBRR",
    "received": "Received",
    "plc": "Neural concealment only",
    "opus": "Classic Opus concealment",
    "classic": "Classic Opus concealment",
}
# The sources that filled the gaps of signals without a timeline.
FILLED_BY = {"plc": "plc", "opus": "conceal", "classic": "conceal"}


@dataclass(frozen=True)
class Signal:
    """One sound on the common time axis.

    pcm: int16[n] at 16 kHz; owner: the timeline has the sources of its packets; level_db: how much louder than
    the first signal; heard: float64[packets + 1], seconds of pcm at which each packet begins, None where packet n
    begins at n periods.
    """

    name: str
    pcm: Pcm
    owner: bool = False
    level_db: float | None = None
    heard: NDArray[np.float64] | None = None

    @property
    def label(self) -> str:
        return SIGNAL_TEXT.get(self.name, self.name)

    @property
    def fill(self) -> str | None:
        """The source of all its gaps, "" for none, None if the timeline has them."""
        return None if self.owner else FILLED_BY.get(self.name, "")

    def columns(self, packets: int) -> NDArray[np.float64]:
        """Return the power spectrogram with columns on the common time axis."""
        if self.heard is not None:
            return power_columns(self.pcm, np.round(self.heard[:-1] * SAMPLE_RATE).astype(np.int64))
        padded = np.zeros(packets * PACKET_SAMPLES, np.int16)
        padded[: len(self.pcm)] = self.pcm[: len(padded)]
        return power_columns(padded)

    def warp(self) -> list[list[float]]:
        """Return [packet, seconds of the recording] at the points where their difference changes; linear
        between.
        """
        if self.heard is None:
            return []
        slope = np.diff(self.heard, prepend=np.nan, append=np.nan)
        kept = np.flatnonzero(np.abs(np.diff(slope)) > 1e-6).tolist()
        points = sorted({0, *kept, len(self.heard) - 1})
        return [[p, round(float(self.heard[p]), 4)] for p in points]


def gather(
    pcm: Mapping[str, Pcm], rows: Sequence[Row], packets: int, adaptive: bool, lookahead: int
) -> list[Signal]:
    """Return the signals of a page in order.

    adaptive: the signal of the timeline was played with adaptive playout and is not aligned; lookahead:
    samples by which its recording is late.
    """
    owner = owner_of(pcm)
    reference = next(iter(pcm.values()), None)
    arrived = np.array([row.packet for row in rows if row.source == "opus"], np.int64) if rows else None
    signals = []
    for name, samples in pcm.items():
        stretched = adaptive and name == owner and bool(rows)
        level = None if reference is None else _louder_db(reference, samples, None if stretched else arrived)
        heard = heard_at(rows, packets) + lookahead / SAMPLE_RATE if stretched else None
        signals.append(Signal(name, samples, name == owner, level, heard))
    return signals


def owner_of(pcm: Iterable[str]) -> str | None:
    """Return the signal to which the timeline belongs: the first whose name begins with dred or received."""
    return next((name for name in pcm if name.startswith(("dred", "received"))), None)


def pair_of(pcm: Sequence[str]) -> tuple[str, str] | None:
    """Return the names of the two signals to compare, A and B: the received one, and the same losses with classic
    concealment.

    Missing ones are replaced by other signals; None for fewer than two signals.
    """
    if len(pcm) < 2:
        return None
    first = owner_of(pcm) or next(name for name in pcm if name != "original")
    others = [name for name in ("opus", "classic", "plc") if name in pcm] + [n for n in pcm if n != first]
    return first, next(name for name in others if name != first)


def speech_packets(pcm: Pcm) -> NDArray[np.bool_]:
    """Return bool[packets]: False where int16[n] at 16 kHz is 40 dB or more below its loudest packet."""
    power = _powers(pcm)
    return np.asarray(power > power.max(initial=0.0) * 10 ** (-ACTIVE_DB / 10), np.bool_)


def _louder_db(reference: Pcm, pcm: Pcm, arrived: NDArray[np.int64] | None) -> float | None:
    """Return the level above that of the reference in dB, over packets with speech that arrived; None without such."""
    a, b = _powers(reference), _powers(pcm)
    if arrived is not None:
        both = arrived[arrived < min(len(a), len(b))]
        a, b = a[both], b[both]
    a, b = (p[p > p.max(initial=0.0) * 10 ** (-ACTIVE_DB / 10)] for p in (a, b))
    if not len(a) or not len(b):
        return None
    return round(float(10 * np.log10(b.mean() / a.mean())), 2)


def _powers(pcm: Pcm) -> NDArray[np.float64]:
    whole = pcm[: len(pcm) // PACKET_SAMPLES * PACKET_SAMPLES].astype(np.float64).reshape(-1, PACKET_SAMPLES)
    return np.asarray((whole**2).mean(axis=1), np.float64)


def read(path: Path) -> Pcm:
    """Return int16[n]: the first channel of a 16 kHz file. Raises ValueError for another rate."""
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != SAMPLE_RATE:
        raise ValueError(f"{path.name}: the report needs {SAMPLE_RATE} Hz, this is {rate} Hz")
    return np.ascontiguousarray(pcm[:, 0])


def lossless(pcm: Mapping[str, Pcm]) -> bool:
    """Return whether the page holds these signals bit by bit."""
    return sum(map(len, pcm.values())) <= LOSSLESS_S * SAMPLE_RATE


def data_uri(pcm: Pcm, exact: bool) -> str:
    """Return the sound as FLAC (bit-exact, half the bytes of WAV), or as Ogg Vorbis, a third of its size."""
    form, subtype, kind = ("FLAC", "PCM_16", "audio/flac") if exact else ("OGG", "VORBIS", "audio/ogg")
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", SAMPLE_RATE, 1, subtype=subtype, format=form) as file:
        for start in range(0, len(pcm), SAMPLE_RATE):  # libsndfile's Vorbis encoder fails on one long block
            file.write(pcm[start : start + SAMPLE_RATE])
    return f"data:{kind};base64," + base64.b64encode(buffer.getvalue()).decode()


def packet_count(rows: Sequence[Row], pcm: Mapping[str, Pcm], adaptive: bool) -> int:
    """Return the length of the common axis in packets; a stretched recording does not extend it beyond its packets.
    """
    stretched = owner_of(pcm) if adaptive and rows else None
    longest = max((len(samples) for name, samples in pcm.items() if name != stretched), default=0)
    last = rows[-1].packet + 1 if rows else 0
    return max(last, -(-longest // PACKET_SAMPLES), 1)
