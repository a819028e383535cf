# SPDX-License-Identifier: BSD-2-Clause
"""`dredge traces make|show|convert`"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dredge_device.units import PACKET_SECONDS
from dredge_host.cli import options as shared
from dredge_host.cli.options import json_option
from dredge_host.console import emit, note, table
from dredge_host.errors import CheckFailed, InputError
from dredge_host.sending.loss_statistics import LossPart

if TYPE_CHECKING:
    from dredge_host.sending.loss_statistics import LossStats

WIDTH = 40  # characters of the longest bar
DURATIONS = click.Choice(["10", "20", "40", "60"])
FOLDER = click.Path(path_type=Path, file_okay=False)

MAKE_EPILOG = """\b
Examples
  dredge traces make set/ --speech speech/test --clips 30 --seconds 10
  dredge traces make set/ --speech speech/test --stratum long --lossy --seed 7
  dredge evaluate --traces set/

\b
Strata, by longest burst, as in the PLC challenge of 2022
  short   up to 120 ms, about 13 % loss
  medium  120 to 320 ms, about 20 % loss
  long    320 to 1000 ms, about 27 % loss
"""

SHOW_EPILOG = """\b
Examples
  dredge traces show car.txt
  dredge traces show plc_challenge/lossy_signals --json
"""

CONVERT_EPILOG = """\b
Examples
  dredge traces convert opus.txt 0001_is_lost.txt --from-ms 60
  dredge traces convert 0001_is_lost.txt opus.txt --to-ms 10      (opus_demo -framesize 10 -lossfile opus.txt)
"""


@click.group()
def command() -> None:
    """Loss traces: text of 0 and 1, one per packet, 1 = lost.

    A set is a folder with <id>.wav and <id>_is_lost.txt for each clip, the layout of the PLC challenge of 2022. One
    trace is played with --loss trace:FILE, a set with `dredge evaluate --traces`.
    """


@command.command(epilog=MAKE_EPILOG)
@click.argument("folder", type=FOLDER)
@click.option("--speech", required=True, type=FOLDER, help="Folder with WAV, FLAC or OGG files.")
@click.option("--clips", default=30, show_default=True, type=shared.Whole(1), help="Number, over all speakers.")
@click.option("--seconds", default=10.0, show_default=True, type=shared.Number(1.0), help="Length of each clip.")
@click.option("--seed", default=1, show_default=True, type=shared.Whole(0), help="Seed of the traces.")
@click.option(
    "--stratum",
    default="all",
    show_default=True,
    type=click.Choice(["short", "medium", "long", "all"]),
    help="Length of the longest burst; all: in turn.",
)
@click.option("--lossy", is_flag=True, help="Also write each clip with silence in its lost packets.")
@click.option("--force", is_flag=True, help="Replace an existing set.")
@json_option
def make(
    folder: Path,
    speech: Path,
    clips: int,
    seconds: float,
    seed: int,
    stratum: str,
    lossy: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Make a set of clips and loss traces in FOLDER.

    The same speech, options and seed give the same bytes on every machine; manifest.json lists seeds, strata, loss
    and the SHA-256 of every file. With --lossy the parts lie apart: clean/ has the speech, lossy/ what is left of it
    and the traces.
    """
    from dredge_host.evaluation.material.clips import read_clips
    from dredge_host.evaluation.material.tracewriter import check_new, checksum, draw_clips, write_set
    from dredge_host.progress import Bar

    check_new(folder, force)
    chosen, notes = read_clips(speech, clips, seconds)
    for text in notes:
        note(text)
    with Bar("traces", len(chosen), "clips") as bar:
        drawn = draw_clips(chosen, seed, stratum)
        result = write_set(folder, drawn, seed=seed, lossy=lossy, force=force, progress=bar.reach)
    digest = checksum(folder / "manifest.json")
    counts = Counter(clip["stratum"] for clip in result["clips"])
    packets = sum(clip["packets"] for clip in result["clips"])
    lost = sum(clip["loss_pct"] * clip["packets"] for clip in result["clips"]) / packets
    lines = [
        f"{folder}: {len(chosen)} clips, {packets * PACKET_SECONDS:.0f} s, {lost:.1f} % of the packets lost",
        "strata    " + ", ".join(f"{name} {count}" for name, count in counts.items()),
        f"manifest  sha256 {digest}",
    ]
    emit({**result, "folder": str(folder), "manifest_sha256": digest}, lines, as_json)


@command.command(epilog=SHOW_EPILOG)
@click.argument("source", metavar="FILE|FOLDER", type=click.Path(path_type=Path))
@json_option
def show(source: Path, as_json: bool) -> None:
    """Loss, bursts and stratum of a trace, or of every clip of a set.

    The files of a set that has a manifest are compared with it; exit code 1 if one differs.
    """
    from dredge_host.evaluation.material.traceset import read_traces
    from dredge_host.evaluation.material.tracewriter import changed_files
    from dredge_host.sending.loss_statistics import measure_loss

    traces = read_traces(source)
    rows = [_facts(name, lost) for name, lost in traces.items()]
    whole = sum((measure_loss(lost) for lost in traces.values()), start=measure_loss([]))
    problems = changed_files(source)
    result = {"schema": "dredge.traces.show/1", "source": str(source), "traces": rows, **whole.as_dict(),
              "strata": dict(Counter(row["stratum"] for row in rows)), "problems": problems}  # fmt: skip
    emit(result, _show_lines(rows, whole, problems), as_json)
    if problems:
        raise CheckFailed(f"{source}: {len(problems)} file(s) are not as in the manifest; make the set again")


@command.command(epilog=CONVERT_EPILOG)
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--from-ms", default="20", show_default=True, type=DURATIONS, help="Duration of a packet in FILE.")
@click.option("--to-ms", default="20", show_default=True, type=DURATIONS, help="Duration of a packet in OUT.")
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@json_option
def convert(source: Path, target: Path, from_ms: str, to_ms: str, force: bool, as_json: bool) -> None:
    """Write a trace as one 0 or 1 per line, for packets of another duration if asked.

    The result is what `trace:FILE`, the PLC challenge and opus_demo -lossfile read. A longer packet is lost when any
    part of it was, so the loss rises; both rates are printed.
    """
    from dredge_device.pi.output.files import check, is_stream
    from dredge_host.evaluation.material.traceset import retime
    from dredge_host.sending.loss import read_trace, save_trace
    from dredge_host.sending.loss_statistics import measure_loss

    check(target, apart=[source])
    if target.exists() and not force and not is_stream(target):
        raise InputError(f"{target}: exists already; choose another name, or --force to overwrite it")
    before = read_trace(source)
    after = retime(before, int(from_ms), int(to_ms))
    save_trace(target, after)
    rates = [measure_loss(trace) for trace in (before, after)]
    result = {"schema": "dredge.traces.convert/1", "source": str(source), "target": str(target),
              "from_ms": int(from_ms), "to_ms": int(to_ms), "packets": len(after),
              "rate_before": round(rates[0].rate, 6), "rate": round(rates[1].rate, 6)}  # fmt: skip
    line = (
        f"{target}: {len(after)} packets of {to_ms} ms from {len(before)} of {from_ms} ms, "
        f"{100 * rates[1].rate:.1f} % lost (before: {100 * rates[0].rate:.1f} %)"
    )
    emit(result, [line], as_json, beside=target)


class TraceFacts(LossPart):
    """One trace and its losses."""

    name: str
    stratum: str


def _facts(name: str, lost: Sequence[bool]) -> TraceFacts:
    from dredge_host.evaluation.material.traces import recorded_trace
    from dredge_host.sending.loss_statistics import measure_loss

    return {"name": name, "stratum": recorded_trace(name, lost).stratum, **measure_loss(lost).as_dict()}


def _show_lines(rows: Sequence[TraceFacts], whole: LossStats, problems: Sequence[str]) -> list[str]:
    cells = [
        [row["name"], row["stratum"], str(row["packets"]), f"{100 * row['rate']:.1f} %", str(row["bursts"]),
         f"{row['longest_burst_ms']:.0f} ms"] for row in rows
    ]  # fmt: skip
    lines = table(cells, ("trace", "stratum", "packets", "lost", "bursts", "longest"))
    return [*lines, "", whole.sentence(), *_histogram(whole), *problems]


def _histogram(stats: LossStats) -> list[str]:
    """Return one bar for every burst length that occurs."""
    if not stats.histogram:
        return []
    most = max(stats.histogram.values())
    rows = [
        [f"{length * 20} ms", str(count), "#" * max(1, round(WIDTH * count / most))]
        for length, count in sorted(stats.histogram.items())
    ]
    return ["", *table(rows, ("burst", "times", ""))]
