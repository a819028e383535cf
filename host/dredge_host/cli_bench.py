# SPDX-License-Identifier: BSD-2-Clause
"""`dredge bench`"""

from __future__ import annotations

import click

from dredge_host.cli_options import json_option
from dredge_host.output import Progress, emit

EPILOG = """\b
Examples
  dredge bench --quick
  DREDGE_SIMD=scalar dredge bench --json > scalar.json
"""


@click.command(epilog=EPILOG)
@click.option("--quick", is_flag=True, help="Fewer repetitions: seconds instead of a minute.")
@json_option
def command(quick: bool, as_json: bool) -> None:
    """Time every stage of the pipeline: CPU microseconds per call.

    Twice: back to back, and paced (one call every 20 ms), which is what a stream really sees.
    """
    from dredge_host.audio import bundled_clip, read_audio
    from dredge_host.bench import QUICK, Effort, bench, lines

    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    progress = Progress("measuring", 1)

    def step(done: int, total: int) -> None:
        progress.total = total
        progress.step(done)

    try:
        result = bench(pcm, QUICK if quick else Effort(), step)
    finally:
        progress.close()
    emit(result, lines(result), as_json)
