# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from dredge_host.cli_options import json_option
from dredge_host.errors import UsageError
from dredge_host.output import emit, table, to_json

EPILOG = """\b
Examples
  dredge evaluate speech/test --clips 30 --out results.json
  dredge evaluate speech/test --clips 4 --no-words --condition plc --condition dred
  dredge evaluate speech/test --copy-synthesis
  dredge evaluate speech/test --robustness --pictures out/

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
@click.option("--copy-synthesis", "mode", flag_value="copy", help="No losses: every vocoder from exact features.")
@click.option("--robustness", "mode", flag_value="robust", help="Difficult inputs: is anything too loud?")
@click.option("--pictures", type=click.Path(path_type=Path, file_okay=False), help="Spectrograms of --robustness.")
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
    mode: str | None,
    pictures: Path | None,
    jobs: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Clips x burst losses x ways to conceal: PLCMOS, word errors, bit rates, lag and clicks.

    Every condition of a clip meets the same losses. The words are compared with what the same
    recogniser hears in the original, since there are no transcripts.

    --copy-synthesis measures the vocoders alone: PLCMOS, pitch, band levels and loudness of speech made from the
    exact features of each clip. --robustness lets difficult inputs through burst loss and exits with 1 when a
    recovered packet is louder or quieter than the speech around it by more than 6 dB.
    """
    from dredge_host.audio import atomic, check_target

    if pictures and mode != "robust":
        raise UsageError("--pictures needs --robustness")
    if out:
        check_target(out)
    source = _folder(folder)
    if mode == "copy":
        result, lines = _copy_synthesis(source, clips, seconds, quality)
    elif mode == "robust":
        result, lines = _robustness(source, seconds, pictures)
    else:
        options = {"clips": clips, "seconds": seconds, "seed": seed, "bitrate": bitrate, "words": words}
        result, lines = _losses(source, conditions, quality=quality, jobs=jobs, **options)
    if out:
        with atomic(out) as temporary:
            temporary.write_text(to_json(result) + "\n", encoding="utf-8")
    emit(result, lines, as_json)
    if not result.get("passed", True):
        raise SystemExit(1)


def _losses(source: Path, conditions: tuple[str, ...], **options: Any) -> tuple[dict[str, Any], list[str]]:
    from dredge_host.evaluation import strata as strata_table
    from dredge_host.evaluation.grid import DEFAULT_CONDITIONS, run
    from dredge_host.evaluation.table import HEAD, table_rows

    chosen = conditions or DEFAULT_CONDITIONS
    result = run(source, conditions=chosen, **options)
    lines = table(table_rows(result["summary"]), HEAD)
    strata = strata_table.table_rows(result["strata"])
    if strata:
        lines += ["", *table(strata, strata_table.head(chosen))]
    return result, lines


def _copy_synthesis(source: Path, clips: int, seconds: float, quality: bool) -> tuple[dict[str, Any], list[str]]:
    from dredge_host.evaluation import copysynthesis
    from dredge_host.evaluation.grid import choose_clips, tell
    from dredge_host.evaluation.metrics import Plcmos

    chosen = copysynthesis.read_clips(choose_clips(source, clips), seconds)
    result = copysynthesis.run(chosen, score=Plcmos() if quality else None, progress=tell)
    return result, table(copysynthesis.table_rows(result["summary"]), copysynthesis.HEAD)


def _robustness(source: Path, seconds: float, pictures: Path | None) -> tuple[dict[str, Any], list[str]]:
    from dredge_host.evaluation import robust
    from dredge_host.evaluation.grid import tell
    from dredge_host.evaluation.inputs import cases

    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    result = robust.run(cases(source, seconds), pictures=pictures, progress=tell)
    return result, table(robust.table_rows(result["rows"]), robust.HEAD)


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    speech = os.environ.get("DREDGE_SPEECH")
    if not speech:
        raise UsageError("name a folder with speech files, or set DREDGE_SPEECH")
    return Path(speech) / "test"
