# SPDX-License-Identifier: BSD-2-Clause
"""The report's tables and figures as HTML strings; every external value is escaped here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from dredge_host.legend import SOURCES, WHOLE
from dredge_host.report.charts import split_bar
from dredge_host.report.document import part
from dredge_host.report.timeline import number

UNITS = {"_ms": "ms", "_us": "µs", "_pct": "%", "_bps": "b/s", "_s": "s", "_bytes": "bytes", "_mhz": "MHz",
         "_c": "°C"}  # fmt: skip


_SIGN = {
    True: '<span class="good sign" aria-hidden="true">✓</span><span class="sr">held: </span>',
    False: '<span class="bad sign" aria-hidden="true">✗</span><span class="sr">failed: </span>',
}


def text(value: Any) -> str:
    """Return a value as text: short numbers, dictionaries as `key value` pairs, escaped."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return escape(f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}")
    if isinstance(value, Mapping):
        return ", ".join(f"{escape(str(k))} {text(v)}" for k, v in value.items() if v is not None)
    if isinstance(value, (list, tuple)):
        return ", ".join(text(v) for v in value)
    return "" if value is None else escape(str(value))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; the cells are HTML already, the first of each row is its heading."""
    header = "".join(f"<th scope=col>{escape(h)}</th>" for h in head)
    body = "".join(
        f"<tr><th scope=row>{row[0]}</th>{''.join(f'<td>{cell}</td>' for cell in row[1:])}</tr>" for row in rows
    )
    thead = f"<thead><tr>{header}</tr></thead>" if any(head) else ""
    return f'<div class="scroll"><table>{thead}<tbody>{body}</tbody></table></div>'


def section(name: str, heading: str, body: str) -> str:
    """Return a section of the page with its heading; empty when its body is empty."""
    head = escape(heading)
    return f'<section id="{name}" aria-label="{head}"><h2>{head}</h2>{body}</section>' if body else ""


def title(result: Mapping[str, Any]) -> str:
    """Return the page's title, with the loss where that is known."""
    measured = number(part(result, "stream", "loss").get("measured_pct"))
    return f"Dredge: speech through {'' if measured is None else f'{measured:.1f} % '}packet loss"


def verdict(given: Mapping[str, Any], gain: Any = None) -> str:
    """Return pass or fail, the gain in a sentence, and every check with its measured value and its limit.

    The checks are folded when all of them pass.
    """
    if "pass" not in given:
        return ""
    listed = given.get("checks")
    checks = [c for c in (listed if isinstance(listed, list) else []) if isinstance(c, Mapping)]
    failed = [text(c.get("name")) for c in checks if not c.get("pass")]
    good = bool(given["pass"])
    reason = "every check held" if good else "failed: " + (", ".join(failed) or "see the result")
    rows = [
        [
            _SIGN[bool(c.get("pass"))] + text(c.get("name")),
            f"{text(c.get('value'))} {text(c.get('unit'))}",
            _allowed(c),
        ]
        for c in checks
    ]
    return (
        f'<section id="verdict" class="{"good" if good else "bad"}" aria-label="Verdict"><p class="verdict">'
        f"<strong>{'PASS' if good else 'FAIL'}</strong> {reason}</p>"
        + (f'<p class="gain">{escape(gain)}</p>' if isinstance(gain, str) and gain else "")
        + (folded("Checks", table(["check", "measured", "allowed"], rows), opened=not good) if rows else "")
        + "</section>"
    )


def _allowed(check: Mapping[str, Any]) -> str:
    """Return the limit with its direction: "at least 95 %"."""
    if check.get("limit") is None:
        return ""
    least = check.get("at_least")
    direction = ("at least " if least else "at most ") if isinstance(least, bool) else ""
    return f"{direction}{text(check['limit'])} {text(check.get('unit'))}"


def folded(summary: str, body: str, opened: bool = False) -> str:
    """Return HTML that is hidden until it is unfolded."""
    return f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{body}</details>"


def facts(tiles: Sequence[tuple[str, str, str]]) -> str:
    """Return the few most important numbers: (name, value, meaning), which are escaped here."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd><b>{escape(value)}</b>{escape(more)}</dd></div>"
        for name, value, more in tiles
    )
    return f'<section id="facts" aria-label="In short"><dl>{items}</dl></section>' if items else ""


def frames(given: Mapping[str, Any]) -> str:
    """Return how many packets each source filled, and the reasons."""
    counts = {k: n for k, n in part(given, "by_source").items() if number(n) is not None}
    if not counts:
        return ""
    total = number(given.get("total")) or sum(counts.values()) or 1
    order = [s for s in SOURCES if counts.get(s)] + [s for s in counts if s not in SOURCES]
    rows = [
        [
            f"{_swatch(s)}{escape(SOURCES[s].text if s in SOURCES else str(s))}",
            text(counts[s]),
            f"{100.0 * counts[s] / total:.1f} %",
        ]
        for s in order
    ]
    rows.append(["all", text(round(total)), "100 %"])
    body = table(["source", "packets", "share"], rows)
    reasons = part(given, "reasons")
    if reasons:
        body += "<h3>Why not from redundancy</h3>" + table(
            ["reason", "packets"], [[escape(str(k)), text(v)] for k, v in reasons.items()]
        )
    return section("frames", "What filled the packets", body)


def _swatch(source: str) -> str:
    return f'<span class="swatch k-{source}"></span>' if source in SOURCES else ""


def legend(counts: Mapping[str, int]) -> str:
    """Return the colour keys with words and counts, for the sources that occur."""
    items = "".join(
        f'<li>{_swatch(s)}{escape(SOURCES[s].text)} <span class="count">{counts[s]}</span></li>'
        for s in SOURCES
        if counts.get(s)
    )
    lost = sum(n for s, n in counts.items() if s not in WHOLE)
    return f'<ul class="legend" aria-label="Packets by source, {lost} did not arrive">{items}</ul>'


def bitrate(stream: Mapping[str, Any]) -> str:
    """Return the table of the bits on the wire by their use."""
    split = {str(k): number(v) or 0.0 for k, v in part(stream, "bitrate_bps").items()}
    if not split:
        return ""
    total = number(stream.get("bitrate_total_bps")) or sum(split.values())
    rows = [
        [f'<span class="swatch part-{i}"></span>{escape(k)}', f"{v / 1000:.2f} kb/s",
         f"{100 * v / (total or 1):.1f} %"] for i, (k, v) in enumerate(split.items())
    ]  # fmt: skip
    rows.append(["total", f"{total / 1000:.2f} kb/s", ""])
    return section("stream", "Bit rate", split_bar(list(split.items())) + table(["part", "bit rate", "share"], rows))


def groups(name: str, heading: str, parts: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the small tables side by side, folded; groups without a value are left out, zero counters share a line."""
    cards = ""
    for head, values in parts.items():
        kept = {str(k): v for k, v in values.items() if v not in (None, {}, [])}
        zeros = [k for k, v in kept.items() if v == 0 and not isinstance(v, bool)]
        rows = "".join(_entry(k, v) for k, v in kept.items() if k not in zeros)
        if zeros:
            words = escape(", ".join(_words(k)[0] for k in zeros))
            rows += f'<div class="none"><dt class="sr">zero</dt><dd>0: {words}</dd></div>'
        if rows:
            cards += f"<div>{f'<h3>{escape(head)}</h3>' if head else ''}<dl>{rows}</dl></div>"
    return _folded_section(name, heading, f'<div class="groups">{cards}</div>') if cards else ""


def _folded_section(name: str, heading: str, body: str) -> str:
    return f'<section id="{name}" aria-label="{escape(heading)}">{folded(heading, body)}</section>'


def _entry(key: str, value: Any) -> str:
    words, unit = _words(key)
    shown = text(value) + (f" {unit}" if unit and number(value) is not None else "")
    return f"<div><dt>{escape(words)}</dt><dd>{shown}</dd></div>"


def _words(key: str) -> tuple[str, str]:
    """Return a key as words, and its unit: "missed_deadlines_pct" is ("missed deadlines", "%")."""
    ending = next((e for e in UNITS if key.endswith(e)), "")
    return key.removesuffix(ending).replace("_", " "), UNITS.get(ending, "")


def raw(result: Any) -> str:
    """Return the result as folded JSON."""
    return _folded_section("json", "Result as JSON", f'<pre tabindex="0">{escape(json.dumps(result, indent=1))}</pre>')
