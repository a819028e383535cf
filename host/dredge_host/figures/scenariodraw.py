# SPDX-License-Identifier: BSD-2-Clause
"""Drawing of the loss scenario: a staircase of packets, the source of every period, and their spectrogram."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_host.charts.spectrogram import FLOOR_DB, palette
from dredge_host.figures.style import INK, SOFT
from dredge_host.legend import SOURCES

HISTORY = {"lbrr": "#7cc6b1", "dred": "#a9cdf0"}  # paler than the sources themselves
USED = {name: SOURCES[name].light for name in HISTORY}
LOST_EDGE, OWN = SOURCES["conceal"].light, SOURCES["opus"].light
HOP, WINDOW = 80, 400  # samples: 5 and 25 ms
BINS = 2  # frequencies per row of the picture: 80 Hz
STEP_DB = 3.0  # fewer colours make the file a third


def draw(figure: Any, document: Mapping[str, Any]) -> None:
    """Draw three columns, one per way; the time axis of all is the time of the speech described."""
    ways = document["ways"]
    figure.set_size_inches(12.5, 7.2)
    axes = figure.subplots(4, len(ways), sharex=True, squeeze=False, height_ratios=(3.4, 0.22, 1.15, 1.15))
    original = _pcm(document["original_s16_base64"])
    peak = float(_power(original).max())
    seconds = len(document["lost"]) * document["packet_ms"] / 1000
    for column, way in enumerate(ways):
        stairs, strip, played, sent = axes[:, column]
        _staircase(stairs, way, document["lost"], document["packet_ms"] / 1000)
        rate, missing = way["bitrate_total_bps"] / 1000, sum(document["lost"])
        back = sum(source in ("lbrr", "dred") for source in way["sources"])
        stairs.set_title(f"{way['text']}\n{rate:.1f} kb/s; {back} of {missing} lost packets come back")
        _strip(strip, way["sources"], document["packet_ms"] / 1000)
        _spectrogram(played, _pcm(way["played_s16_base64"]), peak, seconds)
        _spectrogram(sent, original, peak, seconds)
        sent.set_xlabel("speech, s")
    for row, text in ((0, "packet, by the time it is sent, s"), (2, "played, kHz"), (3, "original, kHz")):
        axes[row, 0].set_ylabel(text)
    _legend(figure)


def _staircase(axes: Any, way: Mapping[str, Any], lost: Sequence[bool], period: float) -> None:
    """Draw one bar per packet, later ones lower: its own 20 ms, and the history that it carries to the left."""
    method, spans = way["method"], [ms / 1000 for ms in way["carries_ms"]]
    helpers = _helpers(way["sources"], lost, way["carries_ms"], 1000 * period)
    places = [(n * period, gone) for n, gone in enumerate(lost)]
    if method in HISTORY:
        carried = [(at - span, at, span) for (at, gone), span in zip(places, spans, strict=True) if span and not gone]
        _boxes(axes, carried, period, facecolor=HISTORY[method], alpha=0.55)
        used = [(packet * period, helper * period, period) for packet, helper in helpers.items()]
        _boxes(axes, used, period, facecolor=USED[method])
        middle = [(packet + 0.5) * period for packet in helpers]
        ends = [helper * period for helper in helpers.values()]
        axes.vlines(middle, [(packet + 1) * period for packet in helpers], ends, color=USED[method], linewidth=0.5)
    _boxes(axes, [(at, at, period) for at, gone in places if not gone], period, facecolor=OWN)
    _boxes(axes, [(at, at, period) for at, gone in places if gone], period, facecolor="white", edgecolor=LOST_EDGE)
    axes.set_xlim(0, len(lost) * period)
    axes.set_ylim(len(lost) * period, 0)


def _boxes(axes: Any, boxes: Sequence[tuple[float, float, float]], height: float, **look: Any) -> None:
    """Draw rectangles given as (left, top, width) in one collection."""
    from matplotlib.collections import PolyCollection

    corners = [[(x, y), (x + w, y), (x + w, y + height), (x, y + height)] for x, y, w in boxes]
    axes.add_collection(PolyCollection(corners, linewidths=0.8 if "edgecolor" in look else 0.0, **look))


def _helpers(
    sources: Sequence[str], lost: Sequence[bool], carries_ms: Sequence[float], packet_ms: float
) -> dict[int, int]:
    """Return, for every recovered packet, the first packet after it that arrived and reaches it."""
    found = {}
    for n, source in enumerate(sources):
        if source in USED:
            later = range(n + 1, len(sources))
            reaches = (m for m in later if not lost[m] and carries_ms[m] >= (m - n) * packet_ms)
            helper = next(reaches, None)
            if helper is not None:
                found[n] = helper
    return found


def _strip(axes: Any, sources: Sequence[str], period: float) -> None:
    for name, source in SOURCES.items():
        boxes = [(n * period, 0.0, period) for n, found in enumerate(sources) if found == name]
        _boxes(axes, boxes, 1.0, facecolor=source.light)
    axes.set(ylim=(0, 1), yticks=[])
    axes.set_frame_on(False)


def _spectrogram(axes: Any, pcm: NDArray[np.int16], peak: float, seconds: float) -> None:
    from matplotlib.colors import ListedColormap

    level = 10.0 * np.log10(np.maximum(_power(pcm), 1e-16) / peak)
    axes.imshow(
        np.round(level.T / STEP_DB) * STEP_DB, origin="lower", aspect="auto", extent=(0, seconds, 0, 8),
        cmap=ListedColormap(palette() / 255.0), vmin=FLOOR_DB, vmax=0.0, interpolation="none",
    )  # fmt: skip
    axes.set_yticks([0, 4, 8])
    axes.grid(visible=False)


def _power(pcm: NDArray[np.int16]) -> NDArray[np.float64]:
    """Return float64[columns, rows], one column every 5 ms, centred; the strongest frequency of each row."""
    padded = np.pad(pcm.astype(np.float64) / 32768.0, WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(pcm) : HOP]
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), axis=1)[:, : WINDOW // 2]) ** 2
    rows: NDArray[np.float64] = power.reshape(len(power), -1, BINS).max(axis=2)
    return rows


def _pcm(text: str) -> NDArray[np.int16]:
    return np.frombuffer(base64.b64decode(text), "<i2").astype(np.int16)


def _legend(figure: Any) -> None:
    from matplotlib.patches import Patch

    keys = [
        Patch(facecolor=OWN, label="packet with its own 20 ms"),
        Patch(facecolor="white", edgecolor=LOST_EDGE, label="lost packet"),
        Patch(facecolor=HISTORY["dred"], alpha=0.55, label="history it carries"),
        *(Patch(facecolor=SOURCES[name].light, label=SOURCES[name].text) for name in USED),
        Patch(facecolor=LOST_EDGE, label=SOURCES["conceal"].text),
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=len(keys), labelcolor=INK)
    figure.align_ylabels()
    for axes in figure.axes:
        axes.tick_params(color=SOFT)
