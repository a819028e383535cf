# SPDX-License-Identifier: BSD-2-Clause
"""The report's sections as HTML strings; every value from outside is escaped here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from dredge_host.report.charts import SOURCE_TEXT, SOURCES, histogram, split_bar


def text(value: Any) -> str:
    """A value for people: numbers short, dictionaries as `key value` pairs, escaped."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escape(f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}")
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {text(v)}" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(text(v) for v in value)
    return "" if value is None else escape(str(value))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; the cells are HTML already, the first of each row is its heading."""
    header = "".join(f"<th scope=col>{escape(h)}</th>" for h in head)
    body = "".join(
        f"<tr><th scope=row>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>"
        for row in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{header}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _section(name: str, heading: str, body: str) -> str:
    return f'<section id="{name}"><h2>{escape(heading)}</h2>{body}</section>' if body else ""


def title(result: Mapping[str, Any]) -> str:
    """The page's title, with the loss it went through when that is known."""
    stream_part = result.get("stream")
    loss = stream_part.get("loss") if isinstance(stream_part, Mapping) else None
    measured = loss.get("measured_pct") if isinstance(loss, Mapping) else None
    if isinstance(measured, (int, float)):
        return f"Dredge: speech through {measured:.1f} % packet loss"
    return "Dredge: speech through packet loss"


def verdict(part: Mapping[str, Any]) -> str:
    """Pass or fail, and every check with what was measured and what was allowed."""
    if "pass" not in part:
        return ""
    checks = [c for c in part.get("checks") or [] if isinstance(c, Mapping)]
    failed = [text(c.get("name")) for c in checks if not c.get("pass")]
    good = bool(part["pass"])
    reason = "every check held" if good else "failed: " + (", ".join(failed) or "see the result")
    rows = [
        [
            text(c.get("name")),
            f"{text(c.get('value'))} {text(c.get('unit'))}",
            f"{text(c.get('limit'))} {text(c.get('unit'))}" if c.get("limit") is not None else "",
            '<span class="good">held</span>'
            if c.get("pass")
            else '<span class="bad">failed</span>',
        ]
        for c in checks
    ]
    return (
        f'<section id="verdict" class="{"good" if good else "bad"}"><p class="verdict">'
        f"<strong>{'PASS' if good else 'FAIL'}</strong> {reason}</p>"
        + (table(["check", "measured", "limit", "verdict"], rows) if rows else "")
        + "</section>"
    )


def legend(sources: Sequence[str]) -> str:
    """Colour keys with words, for the sources that occur."""
    items = "".join(
        f'<li><svg class="key" viewBox="0 0 1 1"><rect class="s-{s}" width="1" height="1"/></svg>'
        f"{escape(SOURCE_TEXT.get(s, s))}</li>"
        for s in sources
    )
    return f'<ul class="legend">{items}</ul>'


def lane(name: str, label: str, picture: str, audio: str) -> str:
    """One signal on the common time axis, with a plain player that needs no script."""
    key = escape(name, quote=True)
    return (
        f'<figure class="lane" data-signal="{key}"><figcaption>{escape(label)}</figcaption>'
        f'<div class="picture">{picture}</div>'
        f'<audio controls preload="none" data-signal="{key}" aria-label="{escape(label)}" '
        f'src="{audio}"></audio></figure>'
    )


def listen(
    seconds: float,
    signals: Sequence[tuple[str, str]],
    strip: str,
    sources: Sequence[str],
    lanes: Sequence[str],
    charts: Sequence[tuple[str, str, str]],
) -> str:
    """The deck that switches signals in place, and everything that shares the time axis."""
    buttons = "".join(
        f'<button type="button" role="radio" aria-checked="{"true" if i == 0 else "false"}" '
        f'data-signal="{escape(name, quote=True)}"><kbd>{i + 1}</kbd> {escape(label)}</button>'
        for i, (name, label) in enumerate(signals)
    )
    deck = (
        '<div class="deck" hidden><div class="transport">'
        '<button type="button" id="play" aria-pressed="false">Play</button>'
        f'<input type="range" id="seek" min="0" max="{seconds:.2f}" step="0.02" value="0" '
        'aria-label="Position"><output id="clock">0.00 s</output></div>'
        f'<div class="signals" role="radiogroup" aria-label="Signal">{buttons}</div>'
        '<p class="hint"><kbd>space</kbd> plays and pauses, <kbd>1</kbd> to '
        f"<kbd>{max(len(signals), 1)}</kbd> switch the signal at the same position, "
        "<kbd>←</kbd> <kbd>→</kbd> move one second.</p></div>"
    )
    drawn = "".join(
        f'<figure class="lane"><figcaption>{escape(name)}<span>top {escape(top)}</span>'
        f'</figcaption><div class="picture">{svg}</div></figure>'
        for name, top, svg in charts
    )
    source_lane = (
        '<figure class="lane"><figcaption>Source of each 20 ms packet</figcaption>'
        f'<div class="picture">{strip}</div></figure>'
        if strip
        else ""
    )
    axis = "".join(
        f'<span style="left:{100 * t / seconds:.3f}%">{t:g} s</span>' for t in _ticks(seconds)
    )
    body = (
        (deck if signals else "")
        + (legend(sources) if strip else "")
        + '<div class="zoom" hidden><label>Zoom <input type="range" id="zoom" min="0" max="5" '
        'step="0.25" value="0"></label><output id="readout">Point at a packet.</output></div>'
        + f'<div class="axis-scroll" tabindex="0" aria-label="Time axis"><div class="axis">'
        f'{source_lane}{"".join(lanes)}{drawn}<div class="ticks" aria-hidden="true">{axis}</div>'
        '<div id="head" hidden></div></div></div>'
    )
    return _section("listen", "Listen and look", body)


def _ticks(seconds: float) -> list[float]:
    step = next((s for s in (0.5, 1, 2, 5, 10, 30, 60, 300) if seconds / s <= 12), 900)
    return [k * step for k in range(int(seconds / step) + 1) if k * step < 0.97 * seconds]


def frames(part: Mapping[str, Any]) -> str:
    """How many packets each source filled, and why."""
    counts = part.get("by_source")
    if not isinstance(counts, Mapping) or not counts:
        return ""
    total = part.get("total") or sum(counts.values()) or 1
    order = [s for s in SOURCES if s in counts] + [s for s in counts if s not in SOURCES]
    rows = [
        [escape(SOURCE_TEXT.get(s, str(s))), text(counts[s]), f"{100.0 * counts[s] / total:.1f} %"]
        for s in order
    ]
    rows.append(["all", text(total), "100 %"])
    body = table(["source", "packets", "share"], rows)
    reasons = part.get("reasons")
    if isinstance(reasons, Mapping) and reasons:
        body += "<h3>Why</h3>" + table(
            ["reason", "packets"], [[escape(str(k)), text(v)] for k, v in reasons.items()]
        )
    return _section("frames", "What filled the packets", body)


def cpu(part: Mapping[str, Any], times_us: Sequence[float]) -> str:
    """CPU time per packet against the period: percentiles and histogram."""
    period = part.get("period_us") or 20000
    values = {k: part.get(f"{k}_us") for k in ("p50", "p95", "p99", "max")}
    if times_us and None in values.values():
        points = np.percentile(times_us, [50, 95, 99, 100])
        for key, point in zip(list(values), points, strict=True):
            values[key] = point if values[key] is None else values[key]
    rows = [
        [key, f"{value / 1000:.2f} ms", f"{100.0 * value / period:.0f} %"]
        for key, value in values.items()
        if isinstance(value, (int, float))
    ]
    if not rows:
        return ""
    rows.append(["late packets", text(part.get("late_frames", "")), ""])
    body = _cpu_histogram(part.get("histogram"), values, period, times_us)
    return _section(
        "cpu",
        "CPU time per packet",
        body + table(["", "CPU", f"of the {period / 1000:g} ms period"], rows),
    )


def _cpu_histogram(
    given: Any, values: Mapping[str, Any], period: float, times_us: Sequence[float]
) -> str:
    edges, counts = [], []
    if isinstance(given, Mapping):
        edges, counts = list(given.get("edges_us") or []), list(given.get("counts") or [])
    if len(edges) != len(counts) + 1 or not counts:
        if not times_us:
            return ""
        bins, limits = np.histogram(times_us, bins=60, range=(0.0, max(*times_us, period)))
        edges, counts = limits.tolist(), bins.tolist()
    marks = [(k, float(v)) for k, v in values.items() if k != "max" and v is not None]
    drawing = histogram(edges, counts, [*marks, ("period", float(period))])
    return (
        f"{drawing}<p class=hint>{edges[0] / 1000:g} ms at the left; thin lines: p50, p95, p99; "
        f"the strong line is the period, {period / 1000:g} ms. Heights grow with the square root "
        "of the count.</p>"
    )


def stream(part: Mapping[str, Any]) -> str:
    """Bit rates and what the link did."""
    split = part.get("bitrate_bps")
    body = ""
    if isinstance(split, Mapping) and split:
        parts = [(str(k), float(v or 0)) for k, v in split.items()]
        total = part.get("bitrate_total_bps") or sum(v for _, v in parts)
        rows = [
            [f'<span class="swatch part-{i}"></span>{escape(k)}', f"{v / 1000:.2f} kb/s"]
            for i, (k, v) in enumerate(parts)
        ]
        rows.append(["total", f"{total / 1000:.2f} kb/s"])
        body += split_bar(parts) + table(["part", "bit rate"], rows)
    facts = {k: v for k, v in part.items() if k not in ("bitrate_bps", "bitrate_total_bps")}
    loss = facts.pop("loss", None)
    if isinstance(loss, Mapping):
        facts = {f"loss {k}": v for k, v in loss.items()} | facts
    rows = [[escape(str(k).replace("_", " ")), text(v)] for k, v in facts.items()]
    return _section("stream", "Link and bit rate", body + (table(["", ""], rows) if rows else ""))


def environment(part: Mapping[str, Any], models: Any) -> str:
    """Machine, versions and models, as far as the run recorded them."""
    rows = [[escape(str(k).replace("_", " ")), text(v)] for k, v in part.items()]
    if isinstance(models, Mapping):
        models = [f"{k} {v}" for k, v in models.items()]
    rows += [["model", text(model)] for model in models or []]
    return _section("environment", "Where it ran", table(["", ""], rows) if rows else "")


def raw(result: Any) -> str:
    """The result as JSON, folded away."""
    body = escape(json.dumps(result, indent=1))
    return (
        f"<section><details><summary>Result as JSON</summary><pre>{body}</pre></details></section>"
    )
