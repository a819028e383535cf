# SPDX-License-Identifier: BSD-2-Clause
"""`dredge report`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from dredge_device.units import PACKET_SAMPLES
from dredge_host.cli.options import FILE_OUT, json_option
from dredge_host.console import emit, note
from dredge_host.errors import UsageError
from dredge_host.progress import Bar
from dredge_host.sending.audio import Pcm

SCHEMA = "dredge.report/1"
EPILOG = """\b
Examples
  dredge report out/demo/result.json                   the page of a demo once more
  dredge simulate in.wav out.wav --loss harsh --json > run.json
  dredge report run.json -o run.html                   IN and OUT are found by the names in the result
  dredge report run.json --wav original=in.wav --wav dred=out.wav --wav plc=plc.wav
  dredge stream in.wav --to udp://pi:5004 --json > run.json
  dredge report run.json --recording received.wav      what the agent wrote (dredge agent --out received.wav)

\b
Names
  original dred dred_lbrr plc opus clean   have labels; any other name is shown as it is.
  The timeline belongs to the first signal whose name begins with dred or received.
"""


@click.command(epilog=EPILOG)
@click.argument("result", metavar="RESULT.json", type=click.Path(path_type=Path))
@click.option("-o", "--out", type=FILE_OUT, default=Path("report.html"), show_default=True, help="The page.")
@click.option("--wav", "wavs", metavar="NAME=FILE", multiple=True, help="A sound on the page, in this order.")
@click.option("--recording", type=click.Path(path_type=Path), help="The agent's recording; it is aligned first.")
@json_option
def command(result: Path, out: Path, wavs: tuple[str, ...], recording: Path | None, as_json: bool) -> None:
    """Make one HTML page from a saved result of demo, stream or simulate.

    The page is one file that needs no network: players that switch between the signals at the same position, a blind
    test, spectrograms with the gaps marked, buffer delay and CPU over time, percentiles, counters, verdict.
    """
    from dredge_device.pi.output.files import check
    from dredge_host.report import write_page
    from dredge_host.report.document import load

    check(out, apart=[result, *([recording] if recording else [])])
    document = load(result)
    sounds = _sounds(document, result.parent, wavs, recording)
    with Bar("report", len(sounds), "signals") as bar:
        write_page(out, document, sounds, bar.reach)
    size = out.stat().st_size
    emit(
        {"schema": SCHEMA, "input": str(result), "output": str(out), "size_bytes": size, "signals": list(sounds)},
        [f"{out}: {size / 1e6:.1f} MB with {', '.join(sounds) or 'no sound'}"],
        as_json,
        beside=out,
    )


def _sounds(
    document: Mapping[str, Any], folder: Path, wavs: tuple[str, ...], recording: Path | None
) -> dict[str, Pcm]:
    """Return int16[n] at 16 kHz by name: the requested sounds, else those named in the result, as far as they exist."""
    from dredge_host.report.document import sound_files

    named = dict(map(_pair, wavs))
    paths = named or {n: p for n, p in sound_files(document, folder).items() if p.is_file()}
    sounds = {name: _read(path) for name, path in paths.items()}
    if recording is not None:
        sounds["received"] = _aligned(document, _read(recording), sounds)
    if not sounds:
        note("no sound was found; name some with --wav NAME=FILE")
    return sounds


def _pair(text: str) -> tuple[str, Path]:
    name, equals, path = text.partition("=")
    if not (name and equals and path):
        raise UsageError(f"wav is '{text}', expected NAME=FILE, e.g. original=in.wav")
    return name, Path(path)


def _read(path: Path) -> Pcm:
    from dredge_host.sending.audio import read_audio

    audio = read_audio(path)
    for text in audio.notes:
        note(f"{path.name}: {text}")
    return audio.pcm


def _aligned(document: Mapping[str, Any], pcm: Pcm, sounds: Mapping[str, Pcm]) -> Pcm:
    """Return the agent's recording shifted so that its sample i belongs to sample i of the sent speech.

    The recording begins with the first packet that was played. With adaptive playout it is not shifted, because its
    delay varies.
    """
    from dredge_host.cli.live.demo_run import place
    from dredge_host.report.document import adaptive, lookahead
    from dredge_host.report.timeline import timeline_rows

    rows = timeline_rows(document)
    if not rows or adaptive(document):
        return pcm
    start = rows[0].packet * PACKET_SAMPLES - lookahead(document)
    return place(pcm, start, max([start + len(pcm), *map(len, sounds.values())]))
