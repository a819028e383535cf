# SPDX-License-Identifier: BSD-2-Clause
"""`dredge check`"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from dredge_host.cli import options as shared
from dredge_host.console import emit
from dredge_host.errors import CHECK_FAILED, OK

EPILOG = """\b
Examples
  dredge check                                               this machine, an agent of its own
  dredge check --to udp://raspberrypi:5004 --budget 50%      a device, for the exit code
  dredge check --capacity
  dredge check --to serial:///dev/ttyUSB0?baud=921600 --junit check.xml --json
"""


def _budget(ctx: click.Context, param: click.Parameter, text: str) -> float:
    try:
        value = float(text.removesuffix("%"))
    except ValueError:
        value = 0.0
    if not 0 < value <= 100:
        raise click.BadParameter(f"expected a share of the period such as 50%, got '{text}'")
    return value


@click.command(epilog=EPILOG)
@click.option("--to", "url", help="The device; without it an agent is started on this machine.")
@click.option("--budget", default="50%", show_default=True, callback=_budget, help="Mean CPU time per period.")
@click.option("--seconds", type=shared.Number(2, 3600), default=10.0, show_default=True, help="Per loss pattern.")
@click.option("--playout", default="fixed:1000", show_default=True, help="fixed:<ms> or adaptive[:<longest ms>]")
@click.option("--capacity", is_flag=True, help="Instead: how many streams one core of this machine decodes.")
@click.option("--realtime", is_flag=True, help="Without --to: real-time scheduling for the agent.")
@shared.key_option
@click.option("--junit", "junit_path", type=shared.FILE_OUT, help="Write the verdict as JUnit XML.")
@shared.json_option
def command(
    url: str | None,
    budget: float,
    seconds: float,
    playout: str,
    capacity: bool,
    realtime: bool,
    key_file: str | None,
    junit_path: Path | None,
    as_json: bool,
) -> int:
    """Check whether the device keeps up in real time. Exit code 0 yes, 1 no.

    Streams speech with no loss, 5 %, 20 % in bursts and gaps of one second back to back. The device
    measures itself, per packet and stage, with its thread CPU clock and its monotonic clock. The check fails
    when a period was not ready when it had to be handed out, when less than 95 % of what a packet described was
    recovered, or when the mean CPU time exceeds the budget; the cost of single periods is printed beside. Prints board,
    clock, governor, temperature and throttling as well.
    """
    from dredge_device.pi.output import files
    from dredge_device.pi.service.options import AUTO
    from dredge_host.live.checks.check import check, junit, lines
    from dredge_host.live.screen.display import Display
    from dredge_host.sending.audio import bundled_clip, read_audio
    from dredge_host.settings import Settings, parse_playout
    from dredge_models.registry import model_ids

    if junit_path:
        files.check(junit_path)
    adaptive, milliseconds = parse_playout(playout)
    settings = Settings(playout_ms=milliseconds, adaptive=adaptive, vocoder=AUTO)
    with bundled_clip() as path:
        pcm = read_audio(path).pcm
    if capacity:
        return _capacity(pcm, settings, seconds, as_json)
    with ExitStack() as stack:
        opener = _opener(stack, url, key_file, realtime)
        display = stack.enter_context(Display(0))

        def begin(text: str) -> None:
            _say(text)
            display.restart()

        result = check(pcm, opener, settings, budget, seconds, model_ids(), display.update, begin)
    if junit_path:
        files.write_bytes(junit_path, junit(result))
    emit(result, lines(result), as_json)
    return OK if result["pass"] else CHECK_FAILED


def _capacity(pcm: Any, settings: Any, seconds: float, as_json: bool) -> int:
    from dredge_device.pi.machine import Machine
    from dredge_host.offline.capacity import capacity
    from dredge_host.simd import simd_level

    found = capacity(pcm, replace(settings, loss="gilbert:rate=20%,burst=5"), seconds, say=_say)
    result = {"schema": "dredge.capacity/1", **found, "simd_level": simd_level(), "machine": Machine().facts()}
    text = f"{found['streams']} streams at 20 % burst loss on one core ({result['simd_level']} kernels)"
    emit(result, [text], as_json)
    return OK


def _say(text: str) -> None:
    click.echo(text, err=True)


def _opener(stack: ExitStack, url: str | None, key_file: str | None, realtime: bool) -> Callable[[], Any]:
    from dredge_host.links.agent_process import AgentProcess
    from dredge_host.links.open import open_secured

    if url is None:
        options = ["--vocoder", "auto", *(["--key-file", key_file] if key_file else [])]
        options += ["--realtime"] if realtime else []
        url = stack.enter_context(AgentProcess(options=options)).url
    address = url
    return lambda: open_secured(address, key_file)
