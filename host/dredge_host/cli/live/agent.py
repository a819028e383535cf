# SPDX-License-Identifier: BSD-2-Clause
"""`dredge agent`"""

from __future__ import annotations

import click

from dredge_host.cli import options as shared
from dredge_host.errors import UsageError
from dredge_host.settings import CONCEAL, VOCODERS, parse_playout

EPILOG = """\b
Examples
  dredge agent                                           plays nothing, reports only
  dredge agent --out received.wav --once                 one session into a file
  dredge agent --out - --seconds 60 | aplay -f S16_LE -r 16000
  dredge agent --listen udp://0.0.0.0:5004 --key-file dredge.key --out speaker
  dredge agent --listen serial:///dev/ttyAMA0?baud=921600 --out speaker --realtime

Then, on the other machine: dredge stream speech.wav --to udp://HOST:5004
"""


@click.command(epilog=EPILOG)
@click.option(
    "--listen",
    default="udp://127.0.0.1:5004",
    show_default=True,
    help="udp://HOST:PORT (port 0: any) or serial://DEV?baud=N, serial://auto, socket://…, rfc2217://…",
)
@click.option(
    "--out",
    default="null",
    show_default=True,
    help="null, FILE.wav, speaker[:NAME], - or pipe:COMMAND (raw mono int16, 16 kHz), a FIFO or device (WAV)",
)
@click.option("--overwrite", is_flag=True, help="Replace recordings that are there (else: FILE-2.wav and so on).")
@click.option("--file-mode", default="600", show_default=True, help="Permissions of recordings.")
@click.option("--playout", default="fixed:1000", show_default=True, help="fixed:<ms> or adaptive[:<longest ms>]")
@click.option(
    "--conceal",
    type=click.Choice(CONCEAL),
    default="dred",
    show_default=True,
    help="The best thing to do about a lost packet.",
)
@click.option("--vocoder", type=click.Choice(VOCODERS), default="standard", show_default=True, help=shared.VOCODER_HELP)
@click.option("--no-lbrr", is_flag=True, help="Do not use low-rate copies.")
@click.option("--once", is_flag=True, help="Leave after the first session.")
@click.option("--seconds", type=click.FloatRange(min=0.02), help="Leave after so long.")
@click.option("--allow-remote", is_flag=True, help="Listen where other machines can reach it, without a key.")
@shared.key_option
@click.option("--streams", type=click.IntRange(1, 64), default=1, show_default=True, help="Hosts at the same time.")
@click.option("--realtime", is_flag=True, help="Real-time scheduling for the decoding thread (needs permission).")
@click.option("--core", type=click.IntRange(0), help="Decode on this core.")
@click.option("--lock-memory", is_flag=True, help="Keep everything in memory (needs permission).")
def command(
    listen: str,
    out: str,
    overwrite: bool,
    file_mode: str,
    playout: str,
    conceal: str,
    vocoder: str,
    no_lbrr: bool,
    once: bool,
    seconds: float | None,
    allow_remote: bool,
    key_file: str | None,
    streams: int,
    realtime: bool,
    core: int | None,
    lock_memory: bool,
) -> int:
    """The device side: receive, recover what was lost, play or record it, report.

    Prints "listening URL" when it is ready. A host may change playout and concealment for its
    session. Without --key-file the stream is neither encrypted nor authenticated, and the agent
    listens on this machine only; with it media is SRTP and control is authenticated.
    """
    adaptive, delay = parse_playout(playout)
    from dredge_device.pi.output.files import parse_mode
    from dredge_device.pi.service.process import Options, run

    try:
        permissions = parse_mode(file_mode)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return run(
        Options(
            listen=listen,
            out=out,
            overwrite=overwrite,
            file_mode=permissions,
            once=once,
            seconds=seconds,
            allow_remote=allow_remote,
            key_file=key_file,
            streams=streams,
            realtime=realtime,
            core=core,
            lock_memory=lock_memory,
            playout_ms=delay,
            adaptive=adaptive,
            conceal=conceal,
            lbrr=not no_lbrr,
            vocoder=vocoder,
        )
    )
