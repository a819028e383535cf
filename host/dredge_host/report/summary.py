# SPDX-License-Identifier: BSD-2-Clause
"""The texts around the pictures: the main figures first, counters and environment last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dredge_host.legend import WHOLE
from dredge_host.offline.quality import FORMS, TITLES, won_back
from dredge_host.report import sections
from dredge_host.report.document import part
from dredge_host.report.timeline import Row, number
from dredge_host.timing import percentiles

REDUNDANT = ("dred", "lbrr")


def facts(result: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """Return loss, packets rebuilt, quality, delay, CPU and bit rate, as far as the result has them."""
    tiles = [_loss(result), _filled(result, rows), _quality(result), _delay(result, rows), _cpu(result), _rate(result)]
    return sections.facts([tile for tile in tiles if tile])


Tile = tuple[str, str, str] | None


def _loss(result: Mapping[str, Any]) -> Tile:
    loss = part(result, "stream", "loss")
    share, longest = number(loss.get("measured_pct")), number(loss.get("longest_burst_ms"))
    if share is None:
        return None
    return "Lost on the way", f"{share:.1f} %", f"longest burst {longest:.0f} ms" if longest is not None else ""


def counts_of(result: Mapping[str, Any], rows: Sequence[Row]) -> dict[str, int]:
    """Return the packets by source: the result's own count, else that of the timeline."""
    counts = {str(k): int(n) for k, n in part(result, "frames", "by_source").items() if number(n) is not None}
    return counts or dict(Counter(row.source for row in rows))


def _filled(result: Mapping[str, Any], rows: Sequence[Row]) -> Tile:
    counts = counts_of(result, rows)
    lost = sum(n for source, n in counts.items() if source not in WHOLE)
    if not lost:
        return None
    filled = sum(counts.get(source, 0) for source in REDUNDANT)
    return "Lost packets rebuilt", f"{100 * filled / lost:.1f} %", f"{filled} of {lost} packets, from redundancy"


def _quality(result: Mapping[str, Any]) -> Tile:
    """Return the share of the quality won back, which differs from that of the packets, because a recovered packet is
    not the original.
    """
    for metric, title in TITLES.items():
        scores = part(result, "quality", metric)
        heard, classic, clean = (number(scores.get(name)) for name in ("dred", "opus", "clean"))
        if heard is None:
            continue
        form, share = FORMS[metric], won_back({"dred": heard, "opus": classic, "clean": clean})
        if classic is None or clean is None:
            return f"Quality, {title}", f"{heard:{form}}", ""
        words = f"{classic:{form}} with Opus' concealment, {clean:{form}} without loss"
        return f"Quality, {title}", f"{heard:{form}}", words + (f"; {100 * share:.0f} % regained" if share else "")
    return None


def _delay(result: Mapping[str, Any], rows: Sequence[Row]) -> Tile:
    values = [r.delay_ms for r in rows if r.delay_ms is not None and r.source != "silence"]
    if not values:
        return None
    settings, points = part(result, "settings"), percentiles(values)
    kind = "adaptive" if settings.get("adaptive") else "fixed" if "playout_ms" in settings else ""
    return "Buffer delay", f"{points['p50']:.0f} ms", f"p95 {points['p95']:.0f} ms{', ' if kind else ''}{kind}"


def _cpu(result: Mapping[str, Any]) -> Tile:
    cpu = part(result, "cpu")
    p99 = number(cpu.get("p99_us"))
    if p99 is None:
        return None
    period = number(cpu.get("period_us")) or 20000.0
    share = f"{100 * p99 / period:.0f} % of the {period / 1000:g} ms period"
    return "CPU p99 per packet", f"{p99 / 1000:.2f} ms", share


def _rate(result: Mapping[str, Any]) -> Tile:
    stream = part(result, "stream")
    total, dred = number(stream.get("bitrate_total_bps")), number(part(stream, "bitrate_bps").get("dred"))
    if total is None:
        return None
    return "On the wire", f"{total / 1000:.1f} kb/s", f"{dred / 1000:.1f} of them redundancy" if dred else ""


def counters(result: Mapping[str, Any]) -> str:
    """Return every counter of both ends, in groups."""
    stream, report = part(result, "stream"), part(result, "device_report")
    loss = {k: v for k, v in part(stream, "loss").items() if k != "burst_histogram"}
    known = ("bitrate_total_bps", "bitrate_bps", "loss", "accounting", "line", "sender_late_ms")
    groups = {
        "Losses made": loss,
        "Bursts: packets, how often": part(stream, "loss", "burst_histogram"),
        "From end to end": part(stream, "accounting"),
        "Seen by the device": part(report, "packets"),
        "Redundancy read": part(report, "dred"),
        "Playout": part(report, "playout"),
        "Delay (ms)": part(report, "delay_ms"),
        "Pacing": {k: v for k, v in part(report, "output", "pacing").items() if not k.startswith("wake_")},
        "Control": part(report, "control"),
        "Device's link": part(report, "output", "link"),
        "Line": part(stream, "line"),
        "Stream": {k: v for k, v in stream.items() if k not in known},
        "Settings": part(result, "settings"),
    }
    return sections.groups("counters", "Counters", groups)


def environment(result: Mapping[str, Any]) -> str:
    """Return the machines, versions and models, as far as the run recorded them."""
    given = part(result, "environment")
    parts = {k: v for k, v in given.items() if isinstance(v, Mapping)}
    loose = {k: v for k, v in given.items() if k not in parts}
    models = result.get("models")
    if isinstance(models, (list, tuple)):
        models = {f"{i + 1}": model for i, model in enumerate(models)}
    groups = {"": loose, **{str(k).capitalize(): v for k, v in parts.items()}}
    board = part(result, "device_report", "output", "machine")
    groups["Device's board"] = board
    groups["Models"] = models if isinstance(models, Mapping) else {}
    return sections.groups("environment", "Where it ran", groups)
