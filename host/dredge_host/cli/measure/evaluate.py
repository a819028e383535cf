# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate`"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dredge_host.cli.options import FILE_OUT, Given, Number, Whole, json_option
from dredge_host.console import emit, note, table, to_json
from dredge_host.errors import UsageError
from dredge_host.evaluation.judging.registry import SCORES, Measurement

if TYPE_CHECKING:
    from dredge_host.evaluation.material.material import Material
    from dredge_host.evaluation.material.plan import Plan
    from dredge_host.evaluation.results.document import (
        CopySynthesisResult,
        EvaluateResult,
        LightLossResult,
        RobustResult,
    )

F = TypeVar("F", bound=Callable[..., Any])
FOLDER_OUT = click.Path(path_type=Path, file_okay=False)
POLICY_LOSS = "gilbert:rate=20%,burst=4,max=16"  # as the medium stratum of the traces

EPILOG = """\b
Examples
  dredge evaluate speech/test --clips 30 --out results.json --html results.html
  dredge evaluate speech/test --clips 200 --seconds 6      (Ctrl-C, then the same again, goes on)
  dredge evaluate speech/test --clips 4 --no-words --method opus --method dred_500 --rotate
  dredge evaluate speech/test --scheduler tcp://10.0.0.2:8786 --csv cells.csv
  dredge evaluate --traces challenge/blind --no-words
  dredge evaluate speech/test --peer opus_demo=opus/opus_demo --pesq
  dredge evaluate speech/test --copy-synthesis
  dredge evaluate speech/test --robustness --pictures out/
  dredge evaluate speech/test --light-loss --clips 16 --seconds 6 --pesq --no-words

\b
Methods
  clean       no loss                      plc         own PLC
  silence     zeros for lost packets       dred_100    DRED of 100 ms (also dred_200, dred_500)
  opus        classic Opus concealment     dred        DRED of 1 s
  lbrr        LBRR and classic concealment dred_lbrr   DRED of 1 s and LBRR
  red         RFC 2198: two earlier payloads in every packet, and classic concealment
  peer_opus, peer_plc, peer_lbrr, peer_dred, peer_dred_lbrr: libopus at equal rate (--peer)

The metrics need packages: dredge extras add metrics. FOLDER defaults to $DREDGE_SPEECH/test. More in
docs/reference/evaluation.md.
"""

_GRID: list[Callable[[Any], Any]] = [
    click.option("--clips", default=30, show_default=True, help="How many, over all speakers; 0: every file once."),
    click.option("--seconds", type=Number(), default=12.0, show_default=True, help="Used of each clip; 0: all."),
    click.option("--seed", default=1, show_default=True, help="Seed of the loss traces."),
    click.option("--bitrate", default=24000, show_default=True, help="Speech alone, in b/s."),
    click.option(
        "--method",
        "--condition",
        "methods",
        multiple=True,
        help="A method of the list below; may be repeated.  [default: all but dred_100, dred_200, dred_500]",
    ),
    click.option("--rotate", is_flag=True, help="One burst stratum per clip in turn instead of all three."),
    click.option("--traces", type=click.Path(path_type=Path), help="A folder of clips with recorded losses instead."),
    click.option("--peer", help="libopus beside us: opus_demo=PATH of a libopus with DRED."),
    click.option("--policies", is_flag=True, help="Also: delay against recovered share and PLCMOS per playout policy."),
]
_METRICS: list[Callable[[Any], Any]] = [
    *(click.option(f"--{name}/--no-{name}", default=m.default, help=m.switch) for name, m in SCORES.items()),
    click.option("--words/--no-words", default=True, help="Count word errors (slow)."),
    click.option("--recogniser", default="pocketsphinx", show_default=True, help="Or vosk, faster-whisper."),
    click.option("--recogniser-model", type=click.Path(), help="Folder of a model for vosk or faster-whisper."),
]
_WORK: list[Callable[[Any], Any]] = [
    click.option("--jobs", type=Whole(min=0), default=0, help="Processes.  [default: one per core]"),
    click.option("--scheduler", help="Let a Dask cluster work: tcp://host:port."),
    click.option("--cache", type=FOLDER_OUT, help="Finished cells.  [default: ~/.cache/dredge/evaluate]"),
    click.option("--no-cache", is_flag=True, help="Compute all cells again and keep none."),
]
_OTHER: list[Callable[[Any], Any]] = [
    click.option("--copy-synthesis", "mode", flag_value="copy", help="No losses: every vocoder from exact features."),
    click.option("--robustness", "mode", flag_value="robust", help="Difficult inputs: is anything too loud?"),
    click.option("--pictures", type=FOLDER_OUT, help="Spectrograms of --robustness."),
    click.option("--light-loss", "mode", flag_value="light", help="What to send where 0 to 20 % is lost, at one rate."),
    click.option("--cap", type=Whole(0), help="That rate in b/s on the wire.  [default: 75000]"),
]
_RESULTS: list[Callable[[Any], Any]] = [
    click.option("--out", type=FILE_OUT, help="Write the JSON here."),
    click.option("--csv", "csv_file", type=FILE_OUT, help="Write one line per cell here."),
    click.option("--plots", type=FOLDER_OUT, help="Draw the result as SVG files into this folder."),
    click.option("--html", type=FILE_OUT, help="Write a report page here."),
]


def _options(function: F) -> F:
    for option in reversed([*_GRID, *_METRICS, *_WORK, *_OTHER, *_RESULTS]):
        function = option(function)
    return function


@click.command(epilog=EPILOG)
@click.argument("folder", required=False, type=click.Path(path_type=Path))
@_options
@json_option
def command(folder: Path | None, mode: str | None, as_json: bool, **given: Any) -> None:
    """Clips x burst losses x methods: PLCMOS, word errors, ESTOI, PESQ, errors of recovered speech, bit rates, CPU.

    Every method of a clip has the same losses. The words are compared with those that the same
    recogniser finds in the original, since there are no transcripts. Finished cells are kept: the same
    command again computes only new ones.

    --copy-synthesis measures the vocoders alone: PLCMOS, pitch, band levels and loudness of speech made from the
    exact features of each clip. --robustness sends difficult inputs through burst loss and exits with 1 when a
    recovered packet is louder or quieter than the speech around it by more than 6 dB. --light-loss sends the clips
    in a row with LBRR alone, DRED alone, both, and --redundancy auto, all at one rate on the wire, and compares them.
    """
    _check(given, mode)
    result: Mapping[str, Any]
    if mode == "copy":
        result, lines = _copy_synthesis(_folder(folder), given)
    elif mode == "robust":
        result, lines = _robustness(_folder(folder), given["seconds"], given["pictures"])
    elif mode == "light":
        result, lines = _light_loss(_folder(folder), given)
    else:
        result, lines = _losses(folder, given)
    _write(result, given)
    emit(result, lines, as_json, beside=given["out"])
    if not result.get("passed", True):
        raise SystemExit(1)


def _check(given: Given, mode: str | None) -> None:
    """Refuse impossible options before hours of work."""
    from dredge_device.pi.output.files import check_each

    if given["pictures"] and mode != "robust":
        raise UsageError("--pictures needs --robustness")
    if given["cap"] is not None and mode != "light":
        raise UsageError("--cap needs --light-loss")
    for option, name in (("csv_file", "--csv"), ("plots", "--plots"), ("html", "--html"), ("traces", "--traces")):
        if given[option] and mode:
            raise UsageError(f"{name} belongs to the evaluation of losses; leave it out here")
    if given["cache"] and given["no_cache"]:
        raise UsageError("--cache and --no-cache contradict each other; give one of them")
    check_each([given[option] for option in ("out", "csv_file", "html")])
    if given["plots"]:
        given["plots"].mkdir(parents=True, exist_ok=True)


def _losses(folder: Path | None, given: Given) -> tuple[EvaluateResult, list[str]]:
    from dredge_host.evaluation.material.material import from_folder, from_set
    from dredge_host.evaluation.running.grid import run
    from dredge_host.evaluation.running.workers import cores

    plan = _plan(given)
    traces = given["traces"]
    if traces and folder:
        raise UsageError("a FOLDER and --traces were given; the clips come from one of them")
    material = from_set(traces, plan) if traces else from_folder(_folder(folder), plan)
    for text in material.notes:
        note(text)
    jobs, scheduler = given["jobs"] or cores(), given["scheduler"]
    result = run(material, plan, jobs=jobs, scheduler=scheduler, cache=_cache(given))
    if given["policies"]:
        result["policies"] = _policies(material, plan)
    return result, _lines(result, plan)


def _cache(given: Given) -> Path | None:
    """Return the folder of finished cells."""
    from dredge_host.evaluation.running.cache import default_folder

    return None if given["no_cache"] else given["cache"] or default_folder()


def _plan(given: Given) -> Plan:
    from dredge_host.evaluation.material.plan import Plan
    from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, PEERS

    peer = _peer(given["peer"])
    return Plan(
        methods=given["methods"] or (*DEFAULT_METHODS, *(PEERS if peer else ())),
        peer=peer,
        clips=given["clips"],
        seconds=given["seconds"],
        seed=given["seed"],
        bitrate=given["bitrate"],
        crossed=not given["rotate"],
        scores=tuple(name for name in SCORES if given[name]),
        recogniser=given["recogniser"] if given["words"] else None,
        recogniser_model=given["recogniser_model"],
    )


def _peer(text: str | None) -> str | None:
    """Return the program that --peer names."""
    from dredge_host.evaluation.running.peer import Peer

    if text is None:
        return None
    kind, _, path = text.partition("=")
    if kind != "opus_demo" or not path:
        raise UsageError(f"peer is '{text}', expected opus_demo=PATH, the opus_demo of a libopus with DRED")
    return str(Peer(path).program)


def _lines(result: EvaluateResult, plan: Plan) -> list[str]:
    from dredge_host.evaluation.methods import policies
    from dredge_host.evaluation.results import strata
    from dredge_host.evaluation.results import table as tables

    lines = table(tables.table_rows(result["summary"]), tables.head(result["summary"]))
    for title, groups in (("longest burst", result["strata"]), ("loss", result["loss_rates"])):
        rows = strata.table_rows(groups)
        lines += ["", *table(rows, strata.head(title, plan.methods))] if rows else []
    if "policies" in result:
        lines += ["", *table(policies.table_rows(result["policies"]), policies.head(result["policies"]))]
    timing = result["timing"]
    fresh = timing["cells"] - timing["cells_cached"]
    return [*lines, "", f"{fresh} cells computed and {timing['cells_cached']} found, {timing['seconds_taken']:.0f} s"]


def _policies(material: Material, plan: Plan) -> list[Measurement]:
    """Return the result of every policy under the same burst losses, on up to a minute of concatenated clips."""
    import numpy as np

    from dredge_device.units import SAMPLE_RATE
    from dredge_host.evaluation.judging.plcmos import Plcmos
    from dredge_host.evaluation.methods.policies import POLICIES, run_policies
    from dredge_host.progress import Bar

    speech = np.concatenate([clip.pcm for clip in material.clips])[: 60 * SAMPLE_RATE]
    score = Plcmos() if "plcmos" in plan.scores else None
    with Bar("policies", len(POLICIES), "policies") as bar:
        return run_policies(speech, POLICY_LOSS, plan.seed, POLICIES, progress=bar.reach, score=score)


def _copy_synthesis(source: Path, given: Given) -> tuple[CopySynthesisResult, list[str]]:
    from dredge_host.evaluation.judging.plcmos import Plcmos
    from dredge_host.evaluation.material.clips import choose_clips
    from dredge_host.evaluation.running import copysynthesis
    from dredge_host.progress import Bar

    chosen = copysynthesis.read_clips(choose_clips(source, given["clips"]), given["seconds"])
    with Bar("evaluate", len(chosen), "clips") as bar:
        score = Plcmos() if given["plcmos"] else None
        result = copysynthesis.run(chosen, score=score, progress=bar.reach)
    return result, table(copysynthesis.table_rows(result["summary"]), copysynthesis.HEAD)


def _robustness(source: Path, seconds: float, pictures: Path | None) -> tuple[RobustResult, list[str]]:
    from dredge_host.evaluation.material.inputs import cases
    from dredge_host.evaluation.running import robust
    from dredge_host.progress import Bar

    if pictures:
        pictures.mkdir(parents=True, exist_ok=True)
    inputs = cases(source, seconds)
    with Bar("evaluate", len(inputs), "inputs") as bar:
        result = robust.run(inputs, pictures=pictures, progress=bar.reach)
    return result, table(robust.table_rows(result["rows"]), robust.HEAD)


def _light_loss(source: Path, given: Given) -> tuple[LightLossResult, list[str]]:
    from dataclasses import replace

    from dredge_host.evaluation.material.clips import read_clips
    from dredge_host.evaluation.running import lightloss
    from dredge_host.evaluation.running.cache import Cache

    clips, notes = read_clips(source, given["clips"], given["seconds"])
    for text in notes:
        note(text)
    plan = replace(_plan(given), recogniser=None)  # concatenated clips have no words to compare
    cap = lightloss.CAP_BPS if given["cap"] is None else given["cap"]
    result = lightloss.run(clips, plan, source.name, cap, store=Cache(_cache(given)))
    return result, table(lightloss.table_rows(result), lightloss.HEAD)


def _write(result: Mapping[str, Any], given: Given) -> None:
    """Write the requested files."""
    from dredge_device.pi.output.files import write_text

    if given["out"]:
        write_text(given["out"], to_json(result) + "\n")
    if given["csv_file"]:
        from dredge_host.evaluation.results.csvfile import write_csv

        write_csv(given["csv_file"], result["records"])
    if given["plots"]:
        from dredge_host.figures.plots import write_plots

        write_plots(given["plots"], result)
    if given["html"]:
        from dredge_host.report.evaluation.page import write_evaluation_report

        write_evaluation_report(given["html"], result)


def _folder(given: Path | None) -> Path:
    if given is not None:
        return given
    speech = os.environ.get("DREDGE_SPEECH")
    if not speech:
        raise UsageError("name a folder with speech files, or set DREDGE_SPEECH")
    return Path(speech) / "test"
