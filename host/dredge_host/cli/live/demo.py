# SPDX-License-Identifier: BSD-2-Clause
"""`dredge demo`"""

from __future__ import annotations

from pathlib import Path

import click

from dredge_device.units import SAMPLE_RATE
from dredge_host.cli import options as shared
from dredge_host.cli.options import AUDIO_IN, json_option
from dredge_host.console import emit, note, table
from dredge_host.errors import CHECK_FAILED, OK
from dredge_host.live.documents import StreamResult

EPILOG = """\b
Examples
  dredge demo
  dredge demo --in my.wav --loss burst:ms=400,every=2s --out out/mine
"""


@click.command(epilog=EPILOG)
@click.option("--in", "source", type=AUDIO_IN, help="Another clip than the bundled one.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("out/demo"),
    show_default=True,
    help="Folder for the results.",
)
@click.option("--loss", default="harsh", show_default=True, help="See dredge simulate --help.")
@click.option("--seed", default=99, show_default=True, help="Seed of the loss model.")
@click.option("--lbrr/--no-lbrr", default=True, show_default=True, help="Also send low-rate copies.")
@click.option("--seconds", type=shared.Number(min=1), help="Use only the beginning.")
@json_option
def command(
    source: Path | None,
    out: Path,
    loss: str,
    seed: int,
    lbrr: bool,
    seconds: float | None,
    as_json: bool,
) -> int:
    """Stream speech to a device agent through harsh loss, in real time over UDP.

    The agent runs as its own process on this machine. Every packet carries 1 s of history and a low-rate copy of
    the packet before.
    Afterwards OUT holds original.wav, dred.wav (what the agent played), plc.wav and opus.wav (the
    same losses without redundancy, concealed by our network and by libopus), result.json and report.html.
    The exit code is the verdict.
    """
    from dredge_host.cli.live.demo_run import Job, demo
    from dredge_host.sending.audio import bundled_clip, read_audio
    from dredge_host.sending.loss import parse_loss
    from dredge_host.settings import Settings

    settings = Settings(loss=loss, seed=seed, lbrr=lbrr, redundancy_s=1.0, playout_ms=1000)
    parse_loss(loss, seed)
    if source is None:
        with bundled_clip() as path:
            audio = read_audio(path)
    else:
        audio = read_audio(source)
    for text in audio.notes:
        note(text)
    if seconds is not None:
        audio.pcm = audio.pcm[: int(seconds * SAMPLE_RATE)]
    result = demo(Job(audio, settings, out), json_lines=as_json)
    missed = result["stream"]["missed_deadlines_pct"]
    if missed is not None and missed > 1:
        note(f"the machine was busy: {missed:g} % of the device's periods ended late by the clock")
    emit(result, summary(result, out), as_json)
    return OK if result["verdict"]["pass"] else CHECK_FAILED


def summary(result: StreamResult, out: Path) -> list[str]:
    """Return the verdict and its reasons, the figures, and last the gain and the file to open."""
    from dredge_host.live.result import lines
    from dredge_host.offline.quality import unmeasured

    verdict = result["verdict"]
    rows = [
        [
            "ok" if check["pass"] else "FAILED",
            check["name"],
            f"{check['value']:g} {check['unit']}",
            f"{'at least' if check['at_least'] else 'at most'} {check['limit']:g} {check['unit']}",
        ]
        for check in verdict["checks"]
    ]
    return [
        "PASS" if verdict["pass"] else "FAIL",
        *table(rows, ["", "check", "measured", "allowed"]),
        *lines(result),
        *unmeasured(result["quality"]),
        "",
        result["gain"],
        f"Open {out / 'report.html'}: it begins at the worst gap; press a and b to compare.",
    ]
