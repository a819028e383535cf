# SPDX-License-Identifier: BSD-2-Clause
"""`dredge stream`"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from dredge_host import cli_options as shared
from dredge_host.errors import UnreachableError
from dredge_host.links import Link
from dredge_host.output import emit, note

EPILOG = (
    """\b
Examples
  dredge stream speech.wav --to udp://raspberrypi:5004 --loss harsh
  dredge stream speech.flac --to loop:// --loss 10% --json     (device in this process)

"""
    + shared.LOSS_HELP
)


@click.command(epilog=EPILOG)
@click.argument("source", metavar="IN", type=shared.AUDIO_IN)
@click.option("--to", "url", required=True, help="udp://host:port or loop://")
@click.option("--seconds", type=click.FloatRange(min=0.02), help="Send only the beginning.")
@shared.link_options
@shared.codec_options
@shared.json_option
def command(
    source: Path,
    url: str,
    seconds: float | None,
    save_trace: Path | None,
    as_json: bool,
    **values: Any,
) -> None:
    """Send IN (WAV, FLAC, OGG) to a device agent in real time, losing packets on the way.

    Losses are made on this side, so that the same seed gives the same losses on any network.
    """
    settings = shared.settings_from(values)
    from dredge_host.audio import RATE, packets, read_audio
    from dredge_host.livesummary import document, lines
    from dredge_host.loss import parse_loss
    from dredge_host.loss import save_trace as write_trace
    from dredge_host.meter import Meter
    from dredge_host.session import Session
    from dredge_host.streamer import stream
    from dredge_models.registry import model_ids

    loss = parse_loss(settings.loss, settings.seed)
    audio = read_audio(source)
    for text in audio.notes:
        note(text)
    pcm = audio.pcm if seconds is None else audio.pcm[: int(seconds * RATE)]
    total = -(-len(pcm) // 320)
    with open_device(url) as link, Meter(total) as meter:
        session = Session(link, update=meter.update)
        models = model_ids() if settings.conceal == "dred" else None
        outcome = stream(packets(pcm), session, settings, loss, models=models, update=meter.update)
    if save_trace:
        write_trace(save_trace, outcome.trace)
    result = document(outcome, settings)
    result["input"] = str(source)
    emit(result, lines(result), as_json)
    if outcome.report is None:
        raise UnreachableError(f"{url}: the device never sent its complete final report")


@contextmanager
def open_device(url: str) -> Iterator[Link]:
    """The link of a URL; `loop://` starts a device in this process."""
    if url == "loop://":
        from dredge_host.loopdevice import LoopDevice

        with LoopDevice() as near:
            yield near
        return
    from dredge_host.links import open_link

    link = open_link(url)
    try:
        yield link
    finally:
        link.close()
