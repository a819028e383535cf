# SPDX-License-Identifier: BSD-2-Clause
"""`dredge agent`"""

from __future__ import annotations

import click

from dredge_host.settings import CONCEAL, parse_playout

EPILOG = """\b
Examples
  dredge agent                                           plays nothing, reports only
  dredge agent --out received.wav --once                 one session into a file
  dredge agent --listen udp://0.0.0.0:5004 --allow-remote --out play

Then, on the other machine: dredge stream speech.wav --to udp://HOST:5004
"""


@click.command(epilog=EPILOG)
@click.option(
    "--listen",
    default="udp://127.0.0.1:5004",
    show_default=True,
    help="Address; port 0 lets the system choose one.",
)
@click.option("--out", default="null", show_default=True, help="null, play or FILE.wav")
@click.option("--playout", default="fixed:1000", show_default=True, help="fixed:<ms>")
@click.option(
    "--conceal",
    type=click.Choice(CONCEAL),
    default="dred",
    show_default=True,
    help="The best thing to do about a lost packet.",
)
@click.option("--no-lbrr", is_flag=True, help="Do not use low-rate copies.")
@click.option("--once", is_flag=True, help="Leave after the first session.")
@click.option("--allow-remote", is_flag=True, help="Listen where other machines can reach it.")
def command(listen: str, out: str, playout: str, conceal: str, no_lbrr: bool, once: bool, allow_remote: bool) -> int:
    """The device side: receive, recover what was lost, play or record it, report.

    Prints "listening udp://HOST:PORT" when it is ready. A host may change playout and concealment
    for its session. The stream is neither encrypted nor authenticated: by default the agent
    listens on this machine only.
    """
    delay = parse_playout(playout)
    from dredge_device.pi.process import Options, run

    return run(
        Options(
            listen=listen,
            out=out,
            once=once,
            allow_remote=allow_remote,
            playout_ms=delay,
            conceal=conceal,
            lbrr=not no_lbrr,
        )
    )
