# SPDX-License-Identifier: BSD-2-Clause
"""`dredge inspect`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dredge_host.cli import options as shared
from dredge_host.console import emit, note, table
from dredge_host.progress import Bar

EPILOG = """\b
Examples
  dredge inspect call.pcap                      one line per packet, then totals
  dredge inspect call.pcapng --ssrc 0x44524447  one of several RTP streams
  dredge inspect received.opus --summary        totals only
  dredge inspect packets.bit --symbols --json   everything, for programs

\b
Columns
  from, to   what the redundancy covers, in ms from the packet's first sample
  q0/dQ/max  quantiser level of the newest latent, its slope, its limit
  offset     in 2.5 ms; negative: the sender left out recent silence
"""


@click.command(epilog=EPILOG)
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@shared.stream_options
@click.option("--symbols", is_flag=True, help="Print the quantised integers too; needs the model of the stream.")
@click.option("--summary", is_flag=True, help="Totals only.")
@shared.json_option
def command(file: Path, ssrc: str | None, stream: int | None, symbols: bool, summary: bool, as_json: bool) -> None:
    """Show what every Opus packet of FILE carries, and why there is no redundancy where there is none.

    FILE is pcap, pcapng, rtpdump (all may be packed by gzip), Ogg Opus or an opus_demo .bit file; its content tells
    which. Redundancy of
    libopus senders is read as far as a model is there: see `dredge models import`.
    """
    from dredge_host.capture.inspect import inspect
    from dredge_host.capture.reader import read_capture

    capture = read_capture(file, shared.choice_from(ssrc, stream))
    with Bar("inspect", len(capture.packets), "packets") as bar:
        result = inspect(capture, symbols, bar.reach)
    result["input"] = str(file)
    for text in result["notes"]:
        note(text)
    lines = [] if summary else packet_lines(result["packets"])
    if summary:
        result["packets"] = []
    emit(result, lines + total_lines(result), as_json)


def packet_lines(packets: list[dict[str, Any]]) -> list[str]:
    """One line per packet for people."""
    head = ["packet", "bytes", "mode", "LBRR", "DRED", "q0/dQ/max", "offset", "latents", "from", "to", "bytes", "bits"]
    rows, remarks = [], []
    for packet in packets:
        rows.append(_row(packet))
        dred = packet["dred"] or {}
        remarks.append(packet["no_dred"] or dred.get("reason") or "")
        for name in ("state_symbols", "latent_symbols"):
            if name in dred:
                remarks[-1] += f"\n    {name}: {dred[name]}"
    lines = table(rows, head)
    return [lines[0], *(f"{line}  {text}".rstrip() for line, text in zip(lines[1:], remarks, strict=True))]


def _row(packet: dict[str, Any]) -> list[str]:
    toc, dred = packet["toc"], packet["dred"] or {}
    mode = f"{toc['mode']} {toc['bandwidth']} {toc['frames']}x{toc['frame_ms']:g}" if toc else "–"
    levels = f"{dred['q0']}/{dred['dq']}/{dred['qmax']}" if dred.get("q0") is not None else "–"
    cells = [dred.get(name) for name in ("offset", "latents", "begins_ms", "ends_ms", "bytes", "bits_per_latent")]
    number = packet.get("sequence", packet["index"])
    return [
        str(number), str(packet["bytes"]), mode, "yes" if packet["lbrr"] else "–",
        str(dred["version"]) if dred else "–", levels, *("–" if c is None else f"{c:g}" for c in cells),
    ]  # fmt: skip


def total_lines(result: dict[str, Any]) -> list[str]:
    """The totals for people."""
    totals = result["totals"]
    lines = [
        "",
        f"{totals['packets']} packets, {totals['seconds']:g} s, {totals['bytes']} bytes"
        + (f", {totals['bitrate_bps'] / 1000:.1f} kb/s" if totals["bitrate_bps"] else "")
        + (f", {totals['lost']} lost" if totals["lost"] else ""),
        "modes: " + ", ".join(f"{name} ({count})" for name, count in totals["modes"].items()),
        f"LBRR in {totals['with_lbrr']}, DRED in {totals['with_dred']}"
        + "".join(f", version {name}: {count}" for name, count in totals["versions"].items())
        + (f", {totals['dred_bitrate_bps'] / 1000:.1f} kb/s" if totals["with_dred"] else ""),
    ]
    if totals["latents_mean"]:
        lines.append(
            f"{totals['latents_mean']:g} latents per packet, at most {totals['span_ms_max']} ms, "
            f"{totals['bits_per_latent_mean']:g} bits per latent"
        )
    for title in ("no_dred", "unread"):
        for reason, count in totals[title].items():
            lines.append(f"{'no DRED' if title == 'no_dred' else 'DRED not read'} in {count}: {reason}")
    return lines
