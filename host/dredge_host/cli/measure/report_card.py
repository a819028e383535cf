# SPDX-License-Identifier: BSD-2-Clause
"""`dredge report-card`"""

from __future__ import annotations

from pathlib import Path

import click

from dredge_host.cli.options import AUDIO_IN, Number, json_option
from dredge_host.console import emit
from dredge_host.progress import Bar

EPILOG = """\b
Examples
  dredge report-card                                  on the board itself: costs and gains on one screen
  dredge report-card --loss burst:ms=500,every=3s --json
  dredge report-card --audio speech.wav --seconds 20
"""


@click.command(epilog=EPILOG)
@click.option("--audio", type=AUDIO_IN, help="Speech to use.  [default: the bundled clip]")
@click.option("--seconds", type=Number(2, 600), default=12.0, show_default=True, help="At most so much.")
@click.option("--loss", default="harsh", show_default=True, help="As in `dredge simulate`.")
@click.option("--playout", default="fixed:1000", show_default=True, help="fixed:<ms>")
@json_option
def command(audio: Path | None, seconds: float, loss: str, playout: str, as_json: bool) -> None:
    """Measure the cost of DRED on this machine, and the share of losses that it recovers.

    CPU, memory, kb/s and delay of the sender and of the receiver with either vocoder; the share of the losses
    recovered, and PLCMOS and ESTOI where their packages are installed (`dredge extras add metrics`).
    """
    from dredge_device.units import SAMPLE_RATE
    from dredge_host.errors import UsageError
    from dredge_host.offline.report_card import lines, report_card
    from dredge_host.sending.audio import bundled_clip, read_audio
    from dredge_host.settings import parse_playout

    adaptive, milliseconds = parse_playout(playout)
    if adaptive:
        raise UsageError(f"playout is '{playout}', expected fixed:<ms>: the card compares receivers at one delay")
    if audio is None:
        with bundled_clip() as path:
            pcm = read_audio(path).pcm
    else:
        pcm = read_audio(audio).pcm
    with Bar("report card", 0, "receivers") as bar:
        speech = pcm[: round(seconds * SAMPLE_RATE)]
        card = report_card(speech, loss, milliseconds, say=lambda what, done, total: bar.reach(done, total))
    emit(card, lines(card), as_json)
