# SPDX-License-Identifier: BSD-2-Clause
"""`dredge agent`"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from dredge_device.pi.service.options import OPTIONS, from_values
from dredge_host.cli import options as shared
from dredge_host.errors import UsageError

EPILOG = """\b
Examples
  dredge agent                                           plays nothing, reports only
  dredge agent --out received.wav --once                 one session into a file
  dredge agent --out - --seconds 60 | aplay -f S16_LE -r 16000
  dredge agent --listen udp://0.0.0.0:5004 --key-file dredge.key --out speaker
  dredge agent --listen serial:///dev/ttyAMA0?baud=921600 --out speaker --realtime

Then, on the other machine: dredge stream speech.wav --to udp://HOST:5004
"""



def _decorated(function: Callable[..., int]) -> Callable[..., int]:
    """The command with an option for every row of the device's table."""
    for option in reversed(OPTIONS):
        how: dict[str, Any] = {"help": option.help, "default": option.initial(), "envvar": option.environment}
        if option.kind is bool:
            how["is_flag"] = True
        elif option.choices:
            how["type"] = click.Choice(option.choices)
        elif option.kind is int:
            how["type"] = click.IntRange(option.least, option.most)
        elif option.kind is float:
            how["type"] = shared.Number(option.least, option.most)
        shown = option.kind is not bool and option.initial() is not None
        function = click.option(f"--{option.name}", show_default=shown, **how)(function)
    return function


@click.command(epilog=EPILOG)
@_decorated
def command(**values: Any) -> int:
    """The device side: receive, recover what was lost, play or record it, report.

    Prints "listening URL" when it is ready. A host may change playout and concealment for its
    session. Without --key-file the stream is neither encrypted nor authenticated, and the agent
    listens on this machine only; with it media is SRTP and control is authenticated.
    """
    from dredge_device.pi.service.process import run

    try:
        options = from_values(values)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return run(options)
