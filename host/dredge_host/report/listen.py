# SPDX-License-Identifier: BSD-2-Clause
"""The listening section of the page: players, blind test, and the drawings on the shared time axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from dredge_device.units import PACKET_SECONDS
from dredge_host.report import blind
from dredge_host.report.sections import legend, section
from dredge_host.report.signals import Signal
from dredge_host.report.timeline import Run

LEAST_DB = 0.1  # a smaller difference in level gets no switch
LONGEST_GAPS = 8


class Chart(NamedTuple):
    """A drawing on the time axis: its name, the drawing, and labelled heights (0 top, 100 bottom)."""

    name: str
    drawing: str
    labels: Sequence[tuple[float, str]]


def lane(signal: Signal, picture: str, marks: str, audio: str) -> str:
    """Return the lane of one signal on the common time axis, with a plain player that needs no script."""
    key, label = escape(signal.name, quote=True), escape(signal.label, quote=True)
    return (
        f'<figure class="lane" data-signal="{key}"><figcaption>{label}</figcaption><div class="picture">'
        f'<img alt="Spectrogram, 0 to 8 kHz: {label}" src="data:image/png;base64,{picture}">{marks}</div>'
        f'<audio controls preload="none" data-signal="{key}" aria-label="{label}" src="{audio}"></audio></figure>'
    )


def body(
    packets: int,
    signals: Sequence[Signal],
    lanes: Sequence[str],
    strip: str,
    counts: Mapping[str, int],
    gaps: Sequence[Run],
    worst: Run | None,
    pair: tuple[str, str] | None,
    charts: Sequence[Chart],
    notes: Sequence[str],
) -> str:
    """Return the whole section.

    counts: packets by source; gaps: for the list of the longest; worst: where the page opens; pair: the signals A and
    B.
    """
    seconds = packets * PACKET_SECONDS
    source_lane = _lane("Source of each 20 ms packet", strip) if strip else ""
    zoom = (
        '<div class="zoom" hidden><label for="zoom">Zoom</label><input type="range" id="zoom" min="0" max="6" '
        'step="0.25" value="0"><output id="readout" aria-live="off">Point at a packet.</output></div>'
    )
    ends = (
        f'<div class="ticks" aria-hidden="true">{_ticks(seconds)}</div>'
        '<div id="region" hidden></div><div id="head" hidden></div></div></div>'
    )
    parts = [
        _deck(seconds, signals, worst, pair) if signals else "",
        blind.panel(signals, pair) if pair else "",
        _longest(gaps) if signals and gaps else "",
        legend(counts) if strip else "",
        zoom,
        '<div class="axis-scroll" role="region" tabindex="0" aria-label="Time axis"><div class="axis">',
        source_lane,
        *lanes,
        *map(_drawn, charts),
        ends,
        "".join(f'<p class="hint">{escape(note)}</p>' for note in notes),
    ]
    return section("listen", "Listen and look", "".join(parts))


def _lane(name: str, picture: str) -> str:
    return f'<figure class="lane"><figcaption>{escape(name)}</figcaption><div class="picture">{picture}</div></figure>'


def _drawn(chart: Chart) -> str:
    sides = ["below" if at < 8 else "above" if at > 92 else "on" for at, _ in chart.labels]
    labels = "".join(
        f'<span class="{side}" style="top:{at:.1f}%">{escape(words)}</span>'
        for side, (at, words) in zip(sides, chart.labels, strict=True)
    )
    return _lane(chart.name, f'<div class="heights" aria-hidden="true">{labels}</div>{chart.drawing}')


def _deck(seconds: float, signals: Sequence[Signal], worst: Run | None, pair: tuple[str, str] | None) -> str:
    gaps, letters = worst is not None, dict(zip(pair or (), "AB", strict=False))
    choices = "".join(
        f'<button type="button" role="radio" aria-checked="{"false" if i else "true"}" '
        f'data-signal="{escape(s.name, quote=True)}"><kbd aria-hidden="true">{i + 1}</kbd> {escape(s.label)}'
        f"{_letter(letters.get(s.name))}</button>"
        for i, s in enumerate(signals)
    )
    jumps = (
        '<button type="button" id="previous-gap">Previous gap</button>'
        '<button type="button" id="next-gap">Next gap</button>'
        '<button type="button" id="loop-gap" aria-pressed="false">Loop around gap</button>'
        if gaps
        else ""
    )
    return (
        f'<div class="deck" hidden>{_what_to_hear(signals, worst, letters)}<div class="transport">'
        '<button type="button" id="play">Play</button>'
        f'<input type="range" id="seek" min="0" max="{seconds:.2f}" step="0.02" value="0" aria-label="Position">'
        '<output id="clock" aria-live="off">0.00 s</output></div>'
        f'<div class="signals" role="radiogroup" aria-label="Signal">{choices}</div>'
        f'<div class="tools" role="group" aria-label="Gaps and loop">{jumps}'
        '<button type="button" id="loop-from">Loop from here</button>'
        '<button type="button" id="loop-to">Loop to here</button>'
        '<button type="button" id="loop-off" disabled>Loop off</button><output id="loop"></output></div>'
        f"{_levels(signals)}{_keys(len(signals), gaps, bool(pair))}"
        '<p id="status" role="status" class="hint"></p></div>'
    )


def _letter(letter: str | None) -> str:
    return f' <span class="letter" aria-hidden="true">{letter}</span>' if letter else ""


def _what_to_hear(signals: Sequence[Signal], worst: Run | None, letters: Mapping[str, str]) -> str:
    """Return two lines: the place at which the page opens, and the difference of A and B."""
    if worst is None or not letters:
        return ""
    label = {letter: next(s.label for s in signals if s.name == name) for name, letter in letters.items()}
    length = round(1000 * (worst.end - worst.start) * PACKET_SECONDS)
    at = worst.start * PACKET_SECONDS
    lines = [
        f"This loop is the worst gap of the run: for {length} ms, at {at:.2f} s, no packet arrived. Press Play.",
        f"Press A ({label['A']}) and B ({label['B']}), back and forth. {_difference(*letters)}",
    ]
    return "".join(f'<p class="guide">{escape(line)}</p>' for line in lines)


def _difference(a: str, b: str) -> str:
    if a.startswith(("dred", "received")) and b in ("opus", "classic", "plc"):
        return "Listen for the words inside the gap: redundancy brings them back, concealment fades or hums."
    return "Listen for the words inside the gap."


def _levels(signals: Sequence[Signal]) -> str:
    """Return the switch that makes all signals equally loud, with the differences; empty where they are equal."""
    known = [(s, s.level_db) for s in signals if s.level_db is not None]
    if not any(abs(level) >= LEAST_DB for _, level in known):
        return ""
    words = ", ".join(f"{s.label} {level:+.1f} dB" for s, level in known[1:])
    return (
        '<label class="check"><input type="checkbox" id="match"> Same loudness '
        f'<span class="hint">(against {escape(known[0][0].label)}: {escape(words)})</span></label>'
    )


def _keys(count: int, gaps: bool, pair: bool) -> str:
    keys = [
        ("space", "play, pause"), (f"1 to {min(count, 9)}" if count > 1 else "1", "signal, at the same position"),
        *([("a b", "signal A, B")] if pair else []), ("← →", "one second"),
        ("shift ← →", "one packet"), *([("n p", "next, previous gap")] if gaps else []),
        *([("g", "loop around the gap")] if gaps else []), ("[ ]", "loop from, to here"), ("0", "loop off"),
        *([("t", "blind test")] if count > 1 else []),
    ]  # fmt: skip
    rows = "".join(f"<div><dt><kbd>{escape(k)}</kbd></dt><dd>{escape(v)}</dd></div>" for k, v in keys)
    return (
        f'<details class="keys"><summary>Keys</summary><dl>{rows}</dl>'
        '<label class="check"><input type="checkbox" id="shortcuts" checked> Use these keys</label></details>'
    )


def _longest(gaps: Sequence[Run]) -> str:
    longest = sorted(gaps, key=lambda gap: gap.start - gap.end)[:LONGEST_GAPS]
    buttons = "".join(
        f'<button type="button" data-gap="{gap.start}"><span class="swatch k-{gap.source}"></span>'
        f"{gap.start * PACKET_SECONDS:.2f} s: {(gap.end - gap.start) * 20} ms</button>"
        for gap in sorted(longest)
    )
    head = '<div class="tools gaps" role="group" aria-label="Longest gaps" hidden><span>Longest gaps</span>'
    return f"{head}{buttons}</div>"


def _ticks(seconds: float) -> str:
    step = next((s for s in (0.5, 1, 2, 5, 10, 30, 60, 300) if seconds / s <= 12), 900)
    times = [k * step for k in range(int(seconds / step) + 1) if k * step < 0.97 * seconds]
    return "".join(f'<span style="left:{100 * t / seconds:.3f}%">{t:g} s</span>' for t in times)
