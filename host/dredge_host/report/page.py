# SPDX-License-Identifier: BSD-2-Clause
"""One self-contained HTML page about one run: players, spectrograms, timeline, delay, CPU, verdict.

The page needs no network and no other file: pictures and audio are inside it, and a content policy
forbids loading anything. It works without scripts too; then each signal has a plain player.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from dredge_host.audio import atomic
from dredge_host.report import sections, shell
from dredge_host.report.charts import SOURCES, Row, gap_strip, line_chart, source_strip
from dredge_host.report.png import PACKET, power_columns, spectrogram_png

RATE = 16000
SIGNAL_TEXT = {
    "original": "Original",
    "clean": "Clean Opus, no loss",
    "dred": "Received, with DRED",
    "dred_lbrr": "Received, with DRED and LBRR",
    "plc": "Neural concealment only",
    "opus": "Classic Opus concealment",
    "classic": "Classic Opus concealment",
}


def write_report(path: str | Path, result: Mapping[str, Any], wavs: Mapping[str, Path]) -> Path:
    """Writes the report of a run to `path` and returns it.

    result: a `dredge.demo/1` document; parts that are missing leave their section out.
    wavs: 16 kHz mono files by name (original, dred, plc, opus, ...) in the order of the page; one
        that does not exist is left out. The timeline belongs to the first whose name starts "dred".
    Sample 0 of every file is the first sample of packet 0.
    Raises InputError when `path` cannot be written, ValueError for audio that is not 16 kHz.
    """
    signals = {name: _read(Path(file)) for name, file in wavs.items() if Path(file).is_file()}
    page = render(result, signals)
    path = Path(path)
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def render(result: Mapping[str, Any], signals: Mapping[str, NDArray[np.int16]]) -> str:
    """The page as text; signals are int16[n] at 16 kHz by name."""
    rows = timeline_rows(result)
    packets = _packet_count(rows, signals)
    parts = [
        sections.verdict(_mapping(result, "verdict")),
        _listen(rows, packets, signals),
        sections.frames(_mapping(result, "frames")),
        sections.cpu(_mapping(result, "cpu"), [r.cpu_us for r in rows if r.cpu_us is not None]),
        sections.stream(_mapping(result, "stream")),
        sections.environment(_mapping(result, "environment"), result.get("models")),
        sections.raw(shell.plain({k: v for k, v in result.items() if k != "timeline"})),
    ]
    data = {
        "packets": packets,
        "rows": [[r.packet, SOURCES.index(r.source), r.delay_ms, r.cpu_us] for r in rows],
        "sources": SOURCES,
    }
    return shell.page(sections.title(result), parts, ["report.css"], ["report.js"], data)


def timeline_rows(result: Mapping[str, Any]) -> list[Row]:
    """The rows in order of packets; rows of no packet or no known source are left out."""
    rows = []
    for entry in result.get("timeline") or []:
        if not isinstance(entry, Sequence) or isinstance(entry, str) or len(entry) < 2:
            continue
        packet, source, *rest = entry
        if not isinstance(packet, int) or packet < 0 or source not in SOURCES:
            continue
        delay, cpu = ([*rest, None, None])[:2]
        rows.append(Row(packet, source, _number(delay), _number(cpu)))
    return sorted(rows, key=lambda row: row.packet)


def _listen(rows: list[Row], packets: int, signals: Mapping[str, NDArray[np.int16]]) -> str:
    """The common time axis: deck, source strip, one lane per signal, delay and CPU below."""
    if not rows and not signals:
        return ""
    owner = next((name for name in signals if name.startswith("dred")), None)
    peak = max((power_columns(s).max() for s in signals.values()), default=None)
    lanes = [_lane(name, pcm, rows, packets, name == owner, peak) for name, pcm in signals.items()]
    return sections.listen(
        packets * PACKET / RATE,
        [(name, SIGNAL_TEXT.get(name, name)) for name in signals],
        source_strip(rows, packets) if rows else "",
        sorted({row.source for row in rows}, key=SOURCES.index),
        lanes,
        _charts(rows, packets),
    )


def _lane(
    name: str,
    pcm: NDArray[np.int16],
    rows: list[Row],
    packets: int,
    owner: bool,
    peak: float | None,
) -> str:
    padded = np.zeros(packets * PACKET, np.int16)
    padded[: len(pcm)] = pcm[: len(padded)]
    picture = base64.b64encode(spectrogram_png(padded, peak)).decode()
    label = SIGNAL_TEXT.get(name, name)
    return sections.lane(
        name,
        label,
        f'<img alt="Spectrogram, 0 to 8 kHz: {escape(label, quote=True)}" '
        f'src="data:image/png;base64,{picture}">' + gap_strip(rows, packets, owner),
        _data_uri(pcm),
    )


def _charts(rows: list[Row], packets: int) -> list[tuple[str, str, str]]:
    """(title, highest value as text, drawing) for delay and CPU."""
    charts = []
    delay = [(r.packet + 0.5, r.delay_ms) for r in rows if r.delay_ms is not None]
    if delay:
        top = max(max(value for _, value in delay) * 1.1, 1.0)
        drawing = line_chart(delay, packets, top, "Buffer delay over time, ms")
        charts.append(("Buffer delay", f"{top:.0f} ms", drawing))
    cpu = [(r.packet + 0.5, r.cpu_us / 1000.0) for r in rows if r.cpu_us is not None]
    if cpu:
        top = max(max(value for _, value in cpu), 20.0) * 1.05
        drawing = line_chart(cpu, packets, top, "CPU time per packet, ms; limit 20 ms", 20.0)
        charts.append(("CPU per packet, limit 20 ms", f"{top:.0f} ms", drawing))
    return charts


def _packet_count(rows: list[Row], signals: Mapping[str, NDArray[np.int16]]) -> int:
    longest = max((len(pcm) for pcm in signals.values()), default=0)
    last = rows[-1].packet + 1 if rows else 0
    return max(last, -(-longest // PACKET), 1)


def _read(path: Path) -> NDArray[np.int16]:
    pcm, rate = soundfile.read(path, dtype="int16", always_2d=True)
    if rate != RATE:
        raise ValueError(f"{path.name}: the report needs 16000 Hz, this is {rate} Hz")
    return np.ascontiguousarray(pcm[:, 0])


def _data_uri(pcm: NDArray[np.int16]) -> str:
    """FLAC: bit-exact, half the bytes of WAV, and every current browser plays it."""
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, RATE, format="FLAC", subtype="PCM_16")
    return "data:audio/flac;base64," + base64.b64encode(buffer.getvalue()).decode()


def _mapping(result: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = result.get(key)
    return value if isinstance(value, Mapping) else {}


def _number(value: Any) -> float | None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if good else None
