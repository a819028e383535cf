# SPDX-License-Identifier: BSD-2-Clause
"""`dredge figures`"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dredge_device.units import SAMPLE_RATE
from dredge_host.cli.options import Number, json_option
from dredge_host.console import emit
from dredge_host.errors import UsageError
from dredge_host.evaluation.results.document import Document

EPILOG = """\b
Examples
  dredge evaluate speech/test --clips 30 --out results.json
  dredge figures quality --from results.json --out figures
  dredge figures bitrate --speech speech/test --clips 16 --out figures
  dredge figures delay --speech speech/valid --clips 6 --seconds 120 --out figures
  dredge figures scenario --out figures --json > scenario.json

Every figure is an SVG file, figure-NAME.svg; tables come as Markdown beside it. --json prints the data of the
figure, and --from draws such data again without measuring. matplotlib is needed: dredge extras add report.
"""

FILE_IN = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER = click.Path(path_type=Path, file_okay=False)

out_option = click.option("--out", type=FOLDER, required=True, help="Folder for the files; made if needed.")
from_option = click.option("--from", "source", type=FILE_IN, help="Draw the data of an earlier --json.")
speech_option = click.option("--speech", type=FOLDER, help="Folder with speech.  [default: the bundled clip]")
clips_option = click.option("--clips", default=16, show_default=True, help="How many of --speech; 0: all.")


@click.group(epilog=EPILOG)
def command() -> None:
    """Draw the figures of the DRED article with this system, one command each.

    \b
    scenario      one burst with regular Opus, LBRR and DRED: packets, their content, the output
    quality       PLCMOS of every method with 95 % intervals, over all losses and by longest burst
    bitrate       bit rate by length and quantiser of the redundancy, and where the bits go
    encoder-cost  CPU of the sender against the length of the redundancy
    delay         playout delay against quality, by policy
    plots, page   all plots, or the page, of a saved evaluation
    bench         CPU by redundancy and by streams, of a saved benchmark
    """


@command.command()
@out_option
@from_option
@click.option("--speech", type=FILE_IN, help="Speech file.  [default: the bundled clip]")
@click.option("--burst", default=240, show_default=True, help="Length of the burst in ms.")
@json_option
def scenario(out: Path, source: Path | None, speech: Path | None, burst: int, as_json: bool) -> None:
    """One burst and a single loss, without redundancy, with LBRR and with 1 s of DRED.

    Every bar is a packet with the speech it describes; vertical lines lead from lost packets to the one that
    recovers them. Below: the source of every period, and the output.
    """
    from dredge_host.figures import scenario as figure
    from dredge_host.figures import scenariodraw
    from dredge_host.sending.audio import read_audio

    def measure() -> Document:
        return figure.measure(read_audio(speech).pcm if speech else _bundled(), burst)

    _make("scenario", figure.SCHEMA, measure, scenariodraw.draw, None, out, source, as_json)


@command.command()
@out_option
@click.option("--from", "source", type=FILE_IN, help="A result of dredge evaluate.")
@click.option("--speech", type=FOLDER, help="Folder with speech to evaluate instead of --from.")
@click.option("--clips", default=30, show_default=True, help="How many of --speech; 0: all.")
@json_option
def quality(out: Path, source: Path | None, speech: Path | None, clips: int, as_json: bool) -> None:
    """PLCMOS of every method with 95 % intervals over clips, over all losses and by longest burst.

    Red marks are the goals: the shares of the way from classic concealment to no loss that listeners granted
    the original system.
    """
    from dredge_host.evaluation.results.document import EVALUATE
    from dredge_host.figures import quality as figure

    if not source and not speech:
        raise UsageError("--from or --speech is needed: a result of dredge evaluate, or a folder with speech")

    def measure() -> Document:
        assert speech is not None
        return _evaluate(speech, clips)

    _make("quality", EVALUATE, measure, figure.draw, None, out, source, as_json)


@command.command()
@out_option
@from_option
@speech_option
@clips_option
@click.option("--seconds", type=Number(), default=12.0, show_default=True, help="Used of each clip; 0: all.")
@json_option
def bitrate(out: Path, source: Path | None, speech: Path | None, clips: int, seconds: float, as_json: bool) -> None:
    """Bit rate by length and quantiser of the redundancy, against the goals; where the bits of a stream go."""
    from dredge_host.figures import bitrate as figure
    from dredge_host.figures import bitratedraw
    from dredge_host.progress import Bar

    def measure() -> Document:
        pieces = _clips(speech, clips, seconds)
        with Bar("bitrate", 3 * len(pieces), "passes") as bar:
            return figure.measure(pieces, speech.name if speech else figure.BUNDLED, bar.reach)

    _make("bitrate", figure.SCHEMA, measure, bitratedraw.draw, bitratedraw.markdown, out, source, as_json)


@command.command("encoder-cost")
@out_option
@from_option
@click.option("--packets", default=400, show_default=True, help="Packets per length of the redundancy.")
@json_option
def encoder_cost(out: Path, source: Path | None, packets: int, as_json: bool) -> None:
    """CPU of the sender per packet with 100 ms to 1 s of redundancy; the encoders take turns packet by packet."""
    from dredge_host.figures import encodercost as figure

    if packets < 1:
        raise UsageError(f"packets is {packets}, expected 1 or more")
    _make("encoder-cost", figure.SCHEMA, lambda: figure.measure(_bundled(), packets), figure.draw, figure.markdown,
          out, source, as_json)  # fmt: skip


@command.command()
@out_option
@from_option
@speech_option
@clips_option
@click.option("--loss", "losses", multiple=True, help="Loss model, several times if wanted.  [default: three paths]")
@click.option("--seed", default=5, show_default=True, help="Seed of the loss models.")
@click.option("--seconds", type=Number(), default=60.0, show_default=True, help="Speech that every policy plays.")
@click.option("--plcmos/--no-plcmos", default=True, show_default=True, help="Judge the output by PLCMOS.")
@json_option
def delay(
    out: Path, source: Path | None, speech: Path | None, clips: int, losses: tuple[str, ...], seed: int,
    seconds: float, plcmos: bool, as_json: bool,
) -> None:  # fmt: skip
    """Mean playout delay against PLCMOS and the share of lost packets recovered, for every playout policy."""
    import numpy as np

    from dredge_host.evaluation.judging.plcmos import Plcmos
    from dredge_host.evaluation.methods.policies import POLICIES
    from dredge_host.figures import delay as figure
    from dredge_host.progress import Bar

    def measure() -> Document:
        score, pieces = Plcmos() if plcmos else None, _clips(speech, clips, 0)
        chosen = losses or figure.LOSSES
        with Bar("delay", len(chosen) * len(POLICIES), "policies") as bar:
            return figure.measure(np.concatenate(pieces), chosen, seed, seconds, bar.reach, score)

    _make("delay", figure.SCHEMA, measure, figure.draw, figure.markdown, out, source, as_json)


@command.command()
@out_option
@click.option("--from", "source", type=FILE_IN, required=True, help="A result of dredge evaluate.")
def plots(out: Path, source: Path) -> None:
    """Every plot of a saved evaluation: quality, gap won back, words, intelligibility, bit rates."""
    from dredge_host.evaluation.results.document import read_document
    from dredge_host.figures.plots import write_plots

    for path in write_plots(out, read_document(source)):
        click.echo(path)


@command.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The page.")
@click.option("--from", "source", type=FILE_IN, required=True, help="A result of dredge evaluate.")
def page(out: Path, source: Path) -> None:
    """One HTML page about a saved evaluation: goals, charts, tables, the worst cells first. Needs no matplotlib."""
    from dredge_host.evaluation.results.document import read_document
    from dredge_host.report.evaluation.page import write_evaluation_report

    click.echo(write_evaluation_report(out, read_document(source)))


@command.command()
@out_option
@click.option("--from", "source", type=FILE_IN, required=True, help="A result of dredge bench --json.")
def bench(out: Path, source: Path) -> None:
    """CPU against the length of the redundancy, and against the number of streams, as dredge bench measured them."""
    from dredge_host.bench.compare import read_result
    from dredge_host.figures.benchmark import DRAWINGS
    from dredge_host.figures.style import check_plotting, write_svg

    check_plotting()
    document = read_result(source)
    for name, draw in DRAWINGS.items():
        if document.get(name):
            out.mkdir(parents=True, exist_ok=True)
            click.echo(write_svg(out / f"bench-{name}.svg", draw, document))


def _make(
    name: str,
    schema: str,
    measure: Callable[[], Document],
    draw: Callable[[Any, Document], None],
    markdown: Callable[[Document], str] | None,
    out: Path,
    source: Path | None,
    as_json: bool,
) -> None:
    """Measure or read a document, draw and write the figure, and print the result."""
    from dredge_device.pi.output.files import write_text
    from dredge_host.evaluation.results.document import read_document
    from dredge_host.figures.style import check_plotting, write_svg

    check_plotting()
    out.mkdir(parents=True, exist_ok=True)
    document = read_document(source, schema) if source else measure()
    lines = [str(write_svg(out / f"figure-{name}.svg", draw, document))]
    if markdown:
        text = markdown(document)
        write_text(out / f"figure-{name}.md", text + "\n")
        lines += [str(out / f"figure-{name}.md"), "", text]
    emit(document, lines, as_json)


def _evaluate(folder: Path, clips: int) -> Document:
    from dredge_host.evaluation.material.material import from_folder
    from dredge_host.evaluation.material.plan import Plan
    from dredge_host.evaluation.running.cache import default_folder
    from dredge_host.evaluation.running.grid import run
    from dredge_host.evaluation.running.workers import cores

    plan = Plan(clips=clips, scores=("plcmos",), recogniser=None)
    return run(from_folder(folder, plan), plan, jobs=cores(), cache=default_folder())


def _bundled() -> Any:
    from dredge_host.sending.audio import bundled_clip, read_audio

    with bundled_clip() as path:
        return read_audio(path).pcm


def _clips(folder: Path | None, count: int, seconds: float) -> list[Any]:
    from dredge_host.evaluation.material.clips import choose_clips
    from dredge_host.sending.audio import read_audio

    if count < 0 or seconds < 0:
        raise UsageError(f"clips is {count} and seconds {seconds:g}, expected 0 (all) or more")
    length = int(SAMPLE_RATE * seconds) or None
    return [read_audio(path).pcm[:length] for path in choose_clips(folder, count)] if folder else [_bundled()]
