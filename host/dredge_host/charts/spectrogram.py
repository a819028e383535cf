# SPDX-License-Identifier: BSD-2-Clause
"""Spectrograms as PNG files, with NumPy and zlib only (a Pi should not need a plotting library)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import PACKET_SAMPLES

ROWS = 128
FLOOR_DB = -75.0  # lower limit, relative to the loudest column of the reference signal
MAX_COLUMNS = 2000

# (stop, red, green, blue), dark to bright; lightness rises evenly, so it also reads in grey.
_STOPS = np.array(
    [
        (0.00, 8, 9, 24),
        (0.25, 52, 22, 92),
        (0.50, 148, 42, 104),
        (0.75, 236, 112, 58),
        (1.00, 252, 246, 176),
    ]
)


def palette() -> NDArray[np.uint8]:
    """Return the colour map of the spectrograms, uint8[256, 3]."""
    x = np.linspace(0.0, 1.0, 256)
    channels = [np.interp(x, _STOPS[:, 0], _STOPS[:, k]) for k in (1, 2, 3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def encode_png(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Return an indexed-colour PNG (ISO/IEC 15948): uint8[height, width], palette uint8[n <= 256, 3].

    Raises ValueError for an empty image, a malformed palette, or an index outside it.
    """
    if pixels.ndim != 2 or 0 in pixels.shape:
        raise ValueError(f"pixels: expected [height, width], got shape {pixels.shape}")
    if colours.ndim != 2 or colours.shape[1] != 3 or not 1 <= len(colours) <= 256:
        raise ValueError(f"colours: expected [1..256, 3], got shape {colours.shape}")
    if int(pixels.max()) >= len(colours):
        raise ValueError(f"pixels: index {int(pixels.max())} outside {len(colours)} colours")
    height, width = pixels.shape
    # Each row starts with its filter type: 0, none, is best for indexed pictures.
    rows = np.zeros((height, width + 1), np.uint8)
    rows[:, 1:] = pixels
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            _chunk(b"PLTE", np.ascontiguousarray(colours, np.uint8).tobytes()),
            _chunk(b"IDAT", zlib.compress(rows.tobytes(), 9)),
            _chunk(b"IEND", b""),
        ]
    )


def power_columns(pcm: NDArray[np.int16], starts: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    """Return the power spectrogram float64[columns, 257], full scale 1.0; column k is centred on packet k.

    pcm: int16[n] at 16 kHz; starts: first samples of the packets, by default every 320. Beyond MAX_COLUMNS neighbouring
    packets are averaged.
    """
    packets = max(1, -(-len(pcm) // PACKET_SAMPLES)) if starts is None else len(starts)
    padded = np.zeros(max(packets * PACKET_SAMPLES, len(pcm) + PACKET_SAMPLES) + 192)
    padded[96 : 96 + len(pcm)] = np.asarray(pcm, np.float64) / 32768.0
    windows = np.lib.stride_tricks.sliding_window_view(padded, 512)
    first = np.arange(packets) * PACKET_SAMPLES if starts is None else np.clip(starts, 0, len(pcm))
    edges = np.linspace(0, packets, min(packets, MAX_COLUMNS) + 1).astype(int)
    columns = np.zeros((len(edges) - 1, 257))
    for at in range(0, len(edges) - 1, 100):  # in blocks, because a ten-minute call at once would need 120 MB
        part = edges[at : at + 101]
        spectrum = np.fft.rfft(windows[first[part[0] : part[-1]]] * np.hanning(512), axis=1)
        power = np.abs(spectrum) ** 2
        columns[at : at + 100] = np.add.reduceat(power, part[:-1] - part[0], axis=0) / np.diff(part)[:, None]
    return columns


def picture(power: NDArray[np.float64], peak: float | None = None) -> bytes:
    """Return the PNG picture of power_columns(): time to the right, 0 to 8 kHz upwards.

    peak: the power shown brightest, so that pictures of several signals compare; default: its own peak.
    """
    peak = max(power.max() if peak is None else peak, 1e-6)
    return encode_png(_image(power, peak), palette())


def stacked_png(signals: Sequence[NDArray[np.int16]]) -> bytes:
    """Return one PNG with the spectrograms of several int16[n] one below the other, on the scale of the first."""
    powers = [power_columns(pcm) for pcm in signals]
    peak = max(float(powers[0].max()), 1e-6)
    width = max(len(power) for power in powers)
    rows = []
    for power in powers:
        image = np.zeros((ROWS, width), np.uint8)
        image[:, : len(power)] = _image(power, peak)
        rows += [image, np.full((2, width), len(palette()) - 1, np.uint8)]
    return encode_png(np.repeat(np.concatenate(rows[:-1]), 2, axis=1), palette())


def _image(power: NDArray[np.float64], peak: float) -> NDArray[np.uint8]:
    """Return the colour indices uint8[ROWS, columns], high frequencies on top."""
    decibels = 10.0 * np.log10(np.maximum(power[:, : 2 * ROWS], 1e-16) / peak)
    rows = decibels.reshape(len(power), ROWS, 2).max(axis=2)
    level = np.clip(1.0 - rows / FLOOR_DB, 0.0, 1.0)
    image: NDArray[np.uint8] = (level.T[::-1] * 63.0).round().astype(np.uint8) * 4  # 64 steps: a third of the bytes
    return np.ascontiguousarray(image)
