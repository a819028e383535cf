# SPDX-License-Identifier: BSD-2-Clause
"""`dredge bench`"""

from __future__ import annotations

from pathlib import Path

import click

from dredge_host.cli import options as shared
from dredge_host.cli.options import json_option
from dredge_host.console import emit
from dredge_host.progress import Bar

EPILOG = """\b
Examples
  dredge bench --quick
  dredge bench --json > before.json
  dredge bench --compare before.json --tolerance 10
  DREDGE_SIMD=scalar dredge bench --only stages
"""
SECTION = click.Choice(["stages", "live", "burst", "redundancy", "streams"])


@click.command(epilog=EPILOG)
@click.option("--quick", is_flag=True, help="Fewer repetitions: seconds instead of three minutes.")
@click.option("--only", multiple=True, type=SECTION, help="Only this section; may be repeated.")
@click.option(
    "--compare", "old", type=click.Path(path_type=Path, dir_okay=False), help="An earlier --json to compare with."
)
@click.option("--tolerance", type=shared.Number(), metavar="PCT", help="With --compare: fail if a figure grew by more.")
@json_option
def command(quick: bool, only: tuple[str, ...], old: Path | None, tolerance: float | None, as_json: bool) -> None:
    """Time the pipeline: CPU microseconds.

    \b
    stages      every stage, back to back and paced (one call every 20 ms, caches disturbed)
    live        every frame of a stream with 20 % burst loss, paced
    burst       from the packet that ends a 1 s gap to the first recovered 20 ms
    redundancy  cost against the length of the redundancy
    streams     cost against the number of streams, up to what one core can do
    """
    from dredge_host.bench import compare, table
    from dredge_host.bench.bench import QUICK, SECTIONS, Effort, bench
    from dredge_host.errors import CheckFailed, UsageError
    from dredge_host.sending.audio import bundled_clip, read_audio

    if tolerance is not None and old is None:
        raise UsageError("--tolerance needs --compare OLD.json")
    before = compare.read_result(old) if old else None
    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    with Bar("bench", 0, "measurements") as bar:
        result = bench(pcm, QUICK if quick else Effort(), bar.reach, only or SECTIONS)
    text = table.lines(result)
    if before:
        result["comparison"] = compare.compare(before, result)
        text += ["", *compare.compare_lines(result["comparison"])]
    emit(result, text, as_json)
    if before and tolerance is not None and (grown := compare.slower(result["comparison"], tolerance)):
        raise CheckFailed(f"slower by more than {tolerance:g} %: {', '.join(grown)}")
