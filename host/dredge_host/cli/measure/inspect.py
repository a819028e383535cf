# SPDX-License-Identifier: BSD-2-Clause
"""`dredge inspect`"""

from __future__ import annotations

from pathlib import Path

import click

from dredge_host.cli import options as shared
from dredge_host.console import emit, note, table
from dredge_host.errors import CHECK_FAILED, OK, UsageError
from dredge_host.inspection.documents import CompareResult, InspectResult, PacketEntry
from dredge_host.inspection.limits import LIMITS
from dredge_host.progress import Bar

EPILOG = """\b
Examples
  dredge inspect call.pcap                      one line per packet, then totals
  dredge inspect call.pcapng --ssrc 0x44524447   one of several RTP streams
  dredge inspect received.opus --summary        totals only
  dredge inspect packets.bit --symbols --json   everything, for programs
  dredge inspect --compare reference.wav out.wav     is out.wav what a conforming decoder says?

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
@click.option("--compare", metavar="REF", help="FILE is decoded speech: measure it against the reference decoder's.")
@click.option("--limits", type=click.Choice(tuple(LIMITS)), help="With --compare: limits to meet.  [default: decoder]")
@click.option("--skip", type=int, help="With --compare: samples by which FILE is late (early: negative).  [default: 0]")
@shared.json_option
def command(
    file: Path,
    ssrc: str | None,
    stream: int | None,
    symbols: bool,
    summary: bool,
    compare: str | None,
    limits: str | None,
    skip: int | None,
    as_json: bool,
) -> int:
    """Show what every Opus packet of FILE carries, and why there is no redundancy where there is none.

    FILE is pcap, pcapng, rtpdump (all may be packed by gzip), Ogg Opus, an opus_demo .bit file, or WebM, Matroska or
    MP4 (which need `dredge extras add containers`); its content tells which. Redundancy of libopus senders is read if
    its model is imported: see `dredge models import`.

    With --compare, FILE and REF are speech (WAV, FLAC, or raw .s16 as opus_demo writes it; 16 kHz mono) that two
    decoders gave for the same packets and losses; the figures and limits are those of libopus' conformance test.
    """
    if compare is not None:
        if symbols or summary or ssrc is not None or stream is not None:
            raise UsageError("--compare takes decoded speech; --symbols, --summary, --ssrc, --stream are for packets")
        from dredge_host.inspection.comparison import document

        compared = document(compare, str(file), skip or 0, limits or "decoder")
        emit(compared, comparison_lines(compared), as_json)
        return OK if compared["pass"] else CHECK_FAILED
    if limits is not None or skip is not None:
        raise UsageError("--limits and --skip belong to --compare REF")
    from dredge_host.capture.reader import read_capture
    from dredge_host.inspection.document import inspect

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
    return OK


def comparison_lines(result: CompareResult) -> list[str]:
    """Return the comparison as lines of text."""
    limits = result["limits"]
    rows = [
        ["err4", f"{result['err4']:.4f}", f"{limits['err4']:g}"],
        ["err16", f"{result['err16']:.4f}", f"{limits['err16']:g}"],
        ["pitch", f"{result['pitch']:.4f}", f"{limits['pitch']:g}"],
    ]
    verdict = "pass" if result["pass"] else "fail: " + "; ".join(result["exceeded"])
    seen = f"{result['seconds']:g} s, {result['frames']} frames, {result['voiced']} voiced"
    return [*table(rows, ["", "found", f"limit ({limits['name']})"]), f"{seen}: {verdict}"]


def packet_lines(packets: list[PacketEntry]) -> list[str]:
    """Return one line of text per packet."""
    head = ["packet", "bytes", "mode", "LBRR", "DRED", "q0/dQ/max", "offset", "latents", "from", "to", "bytes", "bits"]
    rows, remarks = [], []
    for packet in packets:
        rows.append(_row(packet))
        dred = packet["dred"]
        remarks.append(packet["no_dred"] or (dred["reason"] if dred else "") or "")
        if dred and "state_symbols" in dred:
            remarks[-1] += f"\n    state_symbols: {dred['state_symbols']}"
            remarks[-1] += f"\n    latent_symbols: {dred['latent_symbols']}"
    lines = table(rows, head)
    return [lines[0], *(f"{line}  {text}".rstrip() for line, text in zip(lines[1:], remarks, strict=True))]


def _row(packet: PacketEntry) -> list[str]:
    toc, dred = packet["toc"], packet["dred"]
    mode = f"{toc['mode']} {toc['bandwidth']} {toc['frames']}x{toc['frame_ms']:g}" if toc else "–"
    levels = f"{dred['q0']}/{dred['dq']}/{dred['qmax']}" if dred and dred["q0"] is not None else "–"
    cells: list[float | None] = [None] * 6
    if dred:
        times = dred["begins_ms"], dred["ends_ms"]
        cells = [dred["offset"], dred["latents"], *times, dred["bytes"], dred["bits_per_latent"]]
    number = packet.get("sequence", packet["index"])
    return [
        str(number), str(packet["bytes"]), mode, "yes" if packet["lbrr"] else "–",
        str(dred["version"]) if dred else "–", levels, *("–" if c is None else f"{c:g}" for c in cells),
    ]  # fmt: skip


def total_lines(result: InspectResult) -> list[str]:
    """Return the totals as lines of text."""
    totals = result["totals"]
    lines = [
        "",
        f"{totals['packets']} packets, {totals['seconds']:g} s, {totals['bytes']} bytes"
        + (f", {totals['bitrate_bps'] / 1000:.1f} kb/s" if totals["bitrate_bps"] else "")
        + (f", {totals['lost']} lost" if totals["lost"] else ""),
        "modes: " + ", ".join(f"{name} ({count})" for name, count in totals["modes"].items()),
        f"LBRR in {totals['with_lbrr']}, DRED in {totals['with_dred']}"
        + "".join(f", version {name}: {count}" for name, count in totals["versions"].items())
        + (f", {totals['dred_bitrate_bps'] / 1000:.1f} kb/s" if totals["dred_bitrate_bps"] else ""),
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
