# SPDX-License-Identifier: BSD-2-Clause
"""`dredge agent`"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from dredge_device.pi.service.options import OPTIONS, Options, from_values
from dredge_host.cli import options as shared
from dredge_host.cli.configuration import configured
from dredge_host.errors import UsageError

EPILOG = """\b
Examples
  dredge agent                                           plays nothing, reports only
  dredge agent --out received.wav --once                 one session into a file
  dredge agent --out - --seconds 60 | aplay -f S16_LE -r 16000
  dredge agent --listen udp://0.0.0.0:5004 --key-file dredge.key --out speaker
  dredge agent --listen serial:///dev/ttyAMA0?baud=921600 --out speaker --realtime
  dredge agent --status http://127.0.0.1:9004 --out speaker
  dredge agent --out speaker --print-config > agent.toml

Then, on the other machine: dredge stream speech.wav --to udp://HOST:5004
"""


def _checked(values: Mapping[str, Any]) -> Options:
    try:
        return from_values(values)
    except ValueError as error:
        raise UsageError(str(error)) from None


@click.command(epilog=EPILOG)
@configured("agent", _checked)
@shared.device_options(*(option.name for option in OPTIONS))
def command(**values: Any) -> int:
    """Run the device side: receive, recover lost speech, play or record it, report.

    Prints "listening URL" when it is ready. A host may change playout and concealment for its
    session. Without --key-file the stream is neither encrypted nor authenticated, and the agent
    listens on this machine only; with it media is SRTP and control is authenticated.
    """
    from dredge_device.pi.service.process import run

    return run(_checked(values))
