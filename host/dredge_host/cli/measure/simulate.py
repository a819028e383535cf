# SPDX-License-Identifier: BSD-2-Clause
"""`dredge simulate`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dredge_device.pi.output.open import COMMAND, is_card
from dredge_host.cli import options as shared
from dredge_host.console import emit, note
from dredge_host.errors import InputError, UsageError
from dredge_host.offline.documents import RunResult
from dredge_host.offline.quality import Quality
from dredge_host.progress import Bar
from dredge_host.timing import percentiles

if TYPE_CHECKING:
    from dredge_host.capture.packets import Choice
    from dredge_host.offline.player import Simulation
    from dredge_host.settings import Settings
    from dredge_kernels.arrays import Pcm

EPILOG = (
    """\b
Examples
  dredge simulate in.wav out.wav --loss gilbert:rate=20%,burst=5
  dredge simulate in.flac out.wav --loss harsh --conceal plc --json
  dredge simulate in.wav out.wav --loss trace:car.txt --lbrr --playout fixed:300
  dredge simulate call.pcap out.wav --loss 10%                   (a captured stream, ours or libopus')

"""
    + shared.LOSS_HELP
)


@click.command(epilog=EPILOG)
@click.argument("source", metavar="IN", type=shared.AUDIO_IN)
@click.argument("target", metavar="OUT", type=shared.FILE_OUT)
@click.option("--seconds", type=shared.Number(min=0.02), help="Seconds to record from mic[:NAME] or pipe:COMMAND.")
@click.option(
    "--quality/--no-quality",
    default=True,
    show_default=True,
    help="Score the output with PLCMOS and ESTOI, where they are installed (dredge extras add metrics).",
)
@shared.stream_options
@shared.link_options
@shared.codec_options
@shared.json_option
def command(source: Path, target: Path, as_json: bool, **given: Any) -> None:
    """Send IN (WAV, FLAC, OGG) through a lossy link offline and write the output to OUT (by its name
    WAV, FLAC, OGG, OPUS or MP3; WAV into a FIFO, a device or -).

    OUT is as long as IN and aligned with it. The same seed gives the same file.

    IN may also be a captured stream (pcap, pcapng, rtpdump, opus_demo .bit): then its packets are played unchanged,
    and the options of the sender have no effect. IN mic[:NAME] or pipe:COMMAND is recorded first; OUT speaker[:NAME]
    or pipe:COMMAND is played afterwards.
    """
    settings = shared.settings_from(given)
    heard = is_card(str(target)) or str(target).startswith(COMMAND)
    from dredge_device.pi.output import files
    from dredge_host.audio_io.recording import play
    from dredge_host.sending.audio import check_audio_target, write_audio
    from dredge_host.sending.loss import save_trace, trace_file

    if not heard:
        check_audio_target(target)
    files.check_each([None if heard else target, given["save_trace"]], inputs=[source, trace_file(settings.loss)])
    original, run = _run(source, settings, given)
    if heard:
        play(str(target), run.pcm)
    else:
        write_audio(target, run.pcm)
    if given["save_trace"]:
        save_trace(given["save_trace"], run.trace)
    timeline: list[list[int | str | float]] = [
        [packet, name, round(delay_us / 1000, 1), int(cpu)] for packet, name, delay_us, cpu in run.timeline
    ]
    run.result["input"], run.result["output"], run.result["timeline"] = str(source), str(target), timeline
    run.result["delay_ms"] = percentiles([row[2] / 1000 for row in run.timeline if row[1] != "silence"])
    if given["quality"]:
        run.result["quality"] = _quality(None if settings.adaptive else original, run.pcm)
    emit(run.result, summary(run.result), as_json, beside=None if heard else target)


def _run(source: Path, settings: Settings, given: shared.Given) -> tuple[Pcm | None, Simulation]:
    """Return the original (None for a capture) and the simulation of sending or replaying it."""
    from dredge_host.audio_io.recording import recorded, records
    from dredge_host.capture.reader import is_capture
    from dredge_host.offline.simulate import simulate
    from dredge_host.sending.audio import read_audio
    from dredge_host.sending.loss import parse_loss

    ssrc, stream = given["ssrc"], given["stream"]
    loss = parse_loss(settings.loss, settings.seed)
    with Bar("simulate", 0, "packets") as bar:
        if records(str(source)):
            original = recorded(str(source), given["seconds"])
            return original, simulate(original, settings, loss=loss, progress=bar.reach)
        if is_capture(source):
            return None, _replayed(
                source, shared.choice_from(ssrc, stream), settings, loss=loss, progress=bar.reach
            )
        if ssrc or stream:
            raise UsageError(f"{source}: no capture, so it has no streams to choose from")
        audio = read_audio(source)
        for text in audio.notes:
            note(text)
        run = simulate(audio.pcm, settings, loss=loss, progress=bar.reach)
        run.result["notes"] = audio.notes
        return audio.pcm, run


def _quality(original: Pcm | None, heard: Pcm) -> Quality:
    """Return the scores of the output.

    PLCMOS alone judges a captured stream, which has no original, and adaptive playout, whose delay varies
    (original: None).
    """
    from dredge_host.offline.quality import measure

    with Bar("quality", 0, "scores") as bar:
        return measure(original, {"heard": heard}, step=bar.reach)


def _replayed(source: Path, choice: Choice, settings: Settings, **extra: Any) -> Simulation:
    from dredge_host.capture.reader import read_capture
    from dredge_host.offline.replay import replay

    capture = read_capture(source, choice)
    if capture.doubt:
        raise InputError(f"{source}: {capture.doubt}")
    for text in capture.notes:
        note(text)
    return replay(capture, settings, **extra)


def summary(result: RunResult) -> list[str]:
    """Return the result in a few lines of text."""
    from dredge_host.offline.quality import line

    filled = ", ".join(f"{name} {count}" for name, count in result["frames"].items() if count)
    loss = result["loss"]
    bursts = f"{loss['bursts']} bursts, longest {loss['longest_burst_ms']:.0f} ms"
    delay = result.get("delay_ms") or {}
    lines = [
        f"{result['output']}: {result['seconds']:.2f} s of speech in {result['packets']} packets",
        f"loss     {100 * loss['rate']:.1f} % in {bursts} (seed {result['seed']})",
        f"packets  {filled}",
    ]
    if delay:
        lines.append(f"delay    {delay['p50']:.0f} ms, 95 % of the packets at most {delay['p95']:.0f} ms")
    if "quality" in result:
        lines.append(f"quality  {line(result['quality'], 'heard')}")
    if "bitrate_bps" in result:
        parts = ", ".join(f"{name} {rate / 1000:.1f}" for name, rate in result["bitrate_bps"].items() if rate)
        lines += [
            f"bitrate  {result['bitrate_total_bps'] / 1000:.1f} kb/s: {parts}",
            f"speed    {result['cpu']['times_real_time']:.1f} times real time ({result['simd_level']} kernels)",
        ]
    return lines
