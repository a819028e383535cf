# SPDX-License-Identifier: BSD-2-Clause
"""The document of a whole capture: the content of every packet, totals, and advice when no packet carries DRED."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from dredge_host.capture.packets import Capture
from dredge_host.inspection.documents import InspectResult, PacketEntry, Toc, Totals
from dredge_host.inspection.packet import Inspector

SCHEMA = "dredge.inspect/1"

NOTHING_SENT = (
    "no packet carries DRED. A libopus sender needs all of: version 1.5 built with DRED, a DRED duration above 0, "
    "an expected packet loss above 0, complexity 7 or more (1.5), and a bitrate that leaves room for it"
)


def inspect(
    capture: Capture, symbols: bool = False, progress: Callable[[int, int], None] | None = None
) -> InspectResult:
    """Return the JSON document of a capture (docs/reference/interop.md); progress(done, total) is called now and then.
    """
    inspector = Inspector(symbols)
    packets: list[PacketEntry] = []
    for index, captured in enumerate(capture.packets):
        entry = inspector.packet(index, captured.data)
        if captured.sequence is not None:
            entry["sequence"] = captured.sequence
        if captured.time_s is not None:
            entry["time_s"] = round(captured.time_s, 6)
        packets.append(entry)
        if progress and index % 64 == 0:
            progress(index, len(capture.packets))
    totals = summarise(packets)
    notes = capture.notes + inspector.notes + ([NOTHING_SENT] if not totals["with_dred"] else [])
    return {
        "schema": SCHEMA,
        "format": capture.format,
        "ssrc": capture.ssrc,
        "packets": packets,
        "totals": {**totals, "lost": capture.lost},
        "notes": notes,
    }


def summarise(packets: list[PacketEntry]) -> Totals:
    """Return counts, rates and means over all entries."""
    seconds = sum(p["toc"]["frames"] * p["toc"]["frame_ms"] for p in packets if p["toc"]) / 1000
    dred = [p["dred"] for p in packets if p["dred"]]
    read = [d for d in dred if d["latents"]]
    latents = sum(d["latents"] or 0 for d in read)
    bits = sum((d["latents"] or 0) * (d["bits_per_latent"] or 0.0) for d in read)
    return {
        "packets": len(packets),
        "seconds": round(seconds, 3),
        "bytes": sum(p["bytes"] for p in packets),
        "bitrate_bps": _rate(sum(p["bytes"] for p in packets), seconds),
        "with_dred": len(dred),
        "with_lbrr": sum(bool(p["lbrr"]) for p in packets),
        "malformed": sum(p["toc"] is None for p in packets),
        "dred_bitrate_bps": _rate(sum(d["bytes"] for d in dred), seconds),
        "versions": _counts(str(d["version"]) for d in dred),
        "latents_mean": round(latents / len(read), 2) if read else None,
        "span_ms_max": max((d["span_ms"] or 0 for d in read), default=None),
        "bits_per_latent_mean": round(bits / latents, 2) if latents else None,
        "modes": _counts(_mode(p["toc"]) for p in packets if p["toc"]),
        "no_dred": _counts(_without_amounts(p["no_dred"]) for p in packets if p["no_dred"]),
        "unread": _counts(_without_amounts(d["reason"]) for d in dred if d["reason"]),
    }


def _mode(toc: Toc) -> str:
    return f"{toc['mode']} {toc['bandwidth']} {toc['frames']} x {toc['frame_ms']:g} ms"


def _without_amounts(reason: str) -> str:
    """Return the reason without the amounts that differ from packet to packet, so that equal faults count as one."""
    kind, colon, rest = reason.partition(": ")
    return kind + colon + re.sub(r"\d+", "…", rest)


def _counts(values: Any) -> dict[str, int]:
    return dict(Counter(values).most_common(20))


def _rate(size: int, seconds: float) -> float | None:
    return round(8 * size / seconds, 1) if seconds else None
