# SPDX-License-Identifier: BSD-2-Clause
"""One self-contained HTML page about one run: players, spectrograms, timeline, delay, CPU, verdict.

The page needs no network and no other file: pictures and audio are inside it, and a content policy
forbids loading anything. It works without scripts too; then each signal has a plain player.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dredge_device.pi.output.files import write_text
from dredge_device.units import PACKET_SECONDS
from dredge_host.charts.spectrogram import picture
from dredge_host.legend import LETTERS
from dredge_host.report import charts, listen, sections, shell, signals, summary, timing
from dredge_host.report.document import adaptive, lookahead, normal, part
from dredge_host.report.timeline import Row, Run, gaps, packed, timeline_rows, worst_gap
from dredge_host.sending.audio import Pcm

SCRIPTS = ("players.js", "timeline.js", "abx.js", "report.js")
Step = Callable[[int, int], None]


def write_report(path: str | Path, result: Mapping[str, Any], wavs: Mapping[str, Path]) -> Path:
    """Write the report of a run to `path` and return it.

    result: a result of `dredge demo`, `stream` or `simulate`; sections without data are left out.
    wavs: 16 kHz mono files by name (original, dred, plc, opus, ...) in the order of the page; a file
        that does not exist is left out. The timeline belongs to the first whose name starts "dred" or "received".
    Sample 0 of every file is the first sample of packet 0; with adaptive playout the timeline's own file begins
    with the first packet that was played.
    Raises OutputError when `path` cannot be written, ValueError for audio that is not 16 kHz.
    """
    return write_page(path, result, {n: signals.read(Path(f)) for n, f in wavs.items() if Path(f).is_file()})


def write_page(path: str | Path, result: Mapping[str, Any], pcm: Mapping[str, Pcm], step: Step | None = None) -> Path:
    """Write the page from samples, int16[n] at 16 kHz by name; step(done, signals) reports progress."""
    return write_text(path, render(result, pcm, step))


def render(result: Mapping[str, Any], pcm: Mapping[str, Pcm], step: Step | None = None) -> str:
    """Return the page as text; pcm are int16[n] at 16 kHz by name."""
    result = normal(result)
    rows = timeline_rows(result)
    packets = signals.packet_count(rows, pcm, adaptive(result))
    sounds = signals.gather(pcm, rows, packets, adaptive(result), lookahead(result))
    worst = _worst(rows, sounds)
    parts = [
        sections.verdict(part(result, "verdict"), result.get("gain")),
        _listen(result, rows, packets, sounds, worst, step),
        summary.facts(result, rows),
        f'<div class="pair">{sections.frames(part(result, "frames"))}{sections.bitrate(part(result, "stream"))}</div>',
        timing.distributions(result, rows),
        summary.counters(result),
        summary.environment(result),
        sections.raw(shell.plain({k: v for k, v in result.items() if k != "timeline"})),
    ]
    data = {
        "packets": packets,
        "worst": worst and [worst.start, worst.end],
        "pair": signals.pair_of([s.name for s in sounds]),
        "sources": {letter: name for name, letter in LETTERS.items()},
        "signals": {s.name: {"level_db": s.level_db, "warp": s.warp()} for s in sounds},
        **packed(rows, packets),
    }
    return shell.page(sections.title(result), parts, ["report.css"], SCRIPTS, data)


def _worst(rows: Sequence[Row], sounds: Sequence[signals.Signal]) -> Run | None:
    """Return the gap at which the page opens: the one with most speech of the first signal on the common time axis."""
    speech = signals.speech_packets(sounds[0].pcm) if sounds and sounds[0].heard is None else None
    return worst_gap(gaps(rows), speech)


def _listen(
    result: Mapping[str, Any],
    rows: list[Row],
    packets: int,
    sounds: Sequence[signals.Signal],
    worst: Run | None,
    step: Step | None,
) -> str:
    """Return the common time axis: deck, source strip, one lane per signal, delay and CPU below."""
    if not rows and not sounds:
        return ""
    exact = signals.lossless({s.name: s.pcm for s in sounds})
    lanes = _lanes(sounds, rows, packets, exact, step)
    counts = Counter(row.source for row in rows)
    return listen.body(
        packets,
        sounds,
        lanes,
        charts.source_strip(rows, packets) if rows else "",
        counts,
        gaps(rows),
        worst,
        signals.pair_of([s.name for s in sounds]),
        timing.charts(rows, packets),
        _notes(result, rows, packets, sounds, exact),
    )


def _lanes(
    sounds: Sequence[signals.Signal], rows: list[Row], packets: int, exact: bool, step: Step | None
) -> list[str]:
    lanes: list[str] = []
    powers = [sound.columns(packets) for sound in sounds]
    peak = max((float(power.max()) for power in powers), default=None)
    for done, (sound, power) in enumerate(zip(sounds, powers, strict=True)):
        image = base64.b64encode(picture(power, peak)).decode()
        marks = charts.gap_marks(rows, packets, sound.fill)
        lanes.append(listen.lane(sound, image, marks, signals.data_uri(sound.pcm, exact)))
        if step:
            step(done + 1, len(sounds))
    return lanes


def _notes(
    result: Mapping[str, Any], rows: Sequence[Row], packets: int, sounds: Sequence[signals.Signal], exact: bool
) -> list[str]:
    """Return notes against common misreadings."""
    notes = []
    if sounds and not exact:
        notes.append("The run is long: its sounds are in this page as Ogg Vorbis, not bit by bit. Judge by the files.")
    if any(sound.heard is not None for sound in sounds):
        notes.append(
            "Playout was adaptive: speech was held and shortened. That signal is drawn on the time of its packets and "
            "played as it was heard, so it may run ahead of or behind the others until you switch."
        )
    wanted = part(result, "frames").get("total")
    if rows and isinstance(wanted, int) and len(rows) < wanted:
        known_s, all_s = len(rows) * PACKET_SECONDS, wanted * PACKET_SECONDS
        notes.append(f"The timeline knows {known_s:.0f} s of {all_s:.0f} s: a device keeps the first two minutes, "
                     "and packets before the first arrival are not in it.")  # fmt: skip
    return notes
