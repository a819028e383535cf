# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`"""

from __future__ import annotations

from pathlib import Path

import click

from dredge_host.cli_options import json_option
from dredge_host.output import emit, table

EPILOG = """\b
Examples
  dredge evaluate speech/test --clips 4
  dredge evaluate speech/test --only clean --only dred --json > table.json

Needs the packages of `pip install dredge[metrics]`.
"""


@click.command(epilog=EPILOG)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--clips", type=click.IntRange(min=0), default=0, help="How many; 0 means all.")
@click.option("--seconds", type=click.FloatRange(min=0), default=12.0, show_default=True,
              help="Used of each clip; 0 means all.")  # fmt: skip
@click.option("--only", multiple=True, help="Only this condition; may be repeated.")
@click.option("--seed", default=1, show_default=True, help="Seed of the losses.")
@click.option("--bitrate", default=24000, show_default=True, help="Speech alone, in b/s.")
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True,
              help="Processes.")  # fmt: skip
@click.option("--no-words", is_flag=True, help="Skip the recogniser (it is slow).")
@click.option("--no-quality", is_flag=True, help="Skip PLCMOS.")
@json_option
def command(
    folder: Path,
    clips: int,
    seconds: float,
    only: tuple[str, ...],
    seed: int,
    bitrate: int,
    jobs: int,
    no_words: bool,
    no_quality: bool,
    as_json: bool,
) -> None:
    """Send the clips of FOLDER through burst losses and judge every way to conceal them.

    Quality by PLCMOS, content by recognised words, with confidence intervals and bit rates.
    """
    from dredge_host import evaluate
    from dredge_host.evaluate_table import HEAD, table_rows

    result = evaluate.run(
        folder,
        clips=clips,
        conditions=only or evaluate.DEFAULT_CONDITIONS,
        seconds=seconds,
        seed=seed,
        bitrate=bitrate,
        words=not no_words,
        quality=not no_quality,
        jobs=jobs,
    )
    emit(result, table(table_rows(result["summary"]), HEAD), as_json)
