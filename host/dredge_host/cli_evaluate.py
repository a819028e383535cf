# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`"""

from __future__ import annotations

import os
from pathlib import Path

import click

from dredge_host.cli_options import json_option
from dredge_host.errors import UsageError
from dredge_host.output import emit, table, to_json

EPILOG = """\b
Examples
  dredge evaluate speech/test --clips 30 --out results.json
  dredge evaluate speech/test --clips 4 --no-words --condition plc --condition dred

PLCMOS needs the package speechmos, the words need pocketsphinx: pip install 'dredge[metrics]'.
FOLDER defaults to $DREDGE_SPEECH/test.
"""


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@click.option("--clips", default=30, show_default=True, help="How many, over all speakers; 0: all.")
@click.option("--seconds", default=12.0, show_default=True, help="Used of each clip; 0: all.")
@click.option("--seed", default=1, show_default=True, help="Seed of the loss traces.")
@click.option("--bitrate", default=24000, show_default=True, help="Speech alone, in b/s.")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    help="clean, opus, plc, lbrr, dred, dred_lbrr; may be repeated.  [default: all but lbrr]",
)
@click.option("--words/--no-words", default=True, help="Also count word errors (slow).")
@click.option("--plcmos/--no-plcmos", "quality", default=True, help="Also score with PLCMOS.")
@click.option("--jobs", default=1, show_default=True, help="Processes.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON here.")
@json_option
def command(
    folder: Path | None,
    clips: int,
    seconds: float,
    seed: int,
    bitrate: int,
    conditions: tuple[str, ...],
    words: bool,
    quality: bool,
    jobs: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Clips x burst losses x ways to conceal: PLCMOS, word errors, bit rates, lag and clicks.

    Every condition of a clip meets the same losses. The words are compared with what the same
    recogniser hears in the original, since there are no transcripts.
    """
    from dredge_host.audio import atomic, check_target
    from dredge_host.evaluate import DEFAULT_CONDITIONS, run
    from dredge_host.evaluate_table import HEAD, table_rows

    if out:
        check_target(out)
    result = run(
        _folder(folder),
        clips=clips,
        conditions=conditions or DEFAULT_CONDITIONS,
        seconds=seconds,
        seed=seed,
        bitrate=bitrate,
        words=words,
        quality=quality,
        jobs=jobs,
    )
    if out:
        with atomic(out) as temporary:
            temporary.write_text(to_json(result) + "\n", encoding="utf-8")
    emit(result, table(table_rows(result["summary"]), HEAD), as_json)


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    speech = os.environ.get("DREDGE_SPEECH")
    if not speech:
        raise UsageError("name a folder with speech files, or set DREDGE_SPEECH")
    return Path(speech) / "test"
