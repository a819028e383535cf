# SPDX-License-Identifier: BSD-2-Clause
"""`dredge stream`"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.service.options import AUTO
from dredge_device.pi.transport.schemes import RTP, UDP, scheme_of
from dredge_device.rtp import PAYLOAD_TYPE
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.audio_io.source import Source, SourceReport
from dredge_host.cli import options as shared
from dredge_host.console import emit, note
from dredge_host.errors import CheckFailed, UnreachableError, UsageError
from dredge_host.links.link import Link, trouble_of
from dredge_host.links.open import HELP, open_secured, parse_udp
from dredge_host.sending.adaptive_redundancy import Steering
from dredge_host.sending.network import GRAMMAR as NETWORK_GRAMMAR
from dredge_host.settings import Settings

if TYPE_CHECKING:
    from dredge_host.live.session import Session
    from dredge_host.live.stream import StreamOutcome

SHOWN_CHANGES = 5  # changes of the redundancy that are printed; the JSON has all of them
NETWORK_HELP = "\b\nNetwork models\n" + "\n".join(f"  {line}" for line in NETWORK_GRAMMAR.splitlines())
EPILOG = (
    """\b
Examples
  dredge stream speech.wav --to udp://raspberrypi:5004 --loss harsh
  dredge stream speech.wav --to udp://raspberrypi:5004 --key-file dredge.key --cap 64000
  dredge stream speech.wav --to serial:///dev/ttyUSB0?baud=921600 --playout adaptive
  dredge stream speech.wav --to rtp://192.168.1.7:5004 --sdp out.sdp
      (then, there: ffplay -protocol_whitelist file,udp,rtp out.sdp)
  dredge stream speech.wav --to udp://raspberrypi:5004 --jitter 30ms --reorder 5%,by=5 --capture out.pcap
  dredge stream speech.flac --to loop:// --loss 10% --json     (device in this process)
  dredge stream mic --to udp://raspberrypi:5004 --seconds 60
  dredge stream udp-pcm://:5006 --to udp://raspberrypi:5004     (a board's microphone sends to port 5006)
  arecord -t raw -f S16_LE -r 16000 | dredge stream - --to udp://raspberrypi:5004

"""
    + shared.LOSS_HELP
    + "\n\n"
    + NETWORK_HELP
)


@click.command(epilog=EPILOG, context_settings={"default_map": {"vocoder": AUTO}})
@click.argument("source", metavar="IN")
@shared.rate_option
@click.option("--to", "url", required=True, help=HELP)
@click.option("--seconds", type=shared.Number(min=0.02), help="Length to send; a shorter IN is repeated.")
@shared.link_options
@shared.codec_options
@shared.cap_option
@shared.network_options
@shared.key_option
@click.option("--plain", is_flag=True, help="IN goes to any RTP receiver at udp://HOST:PORT (the same as rtp://).")
@click.option("--payload-type", type=shared.Whole(96, 127), help="Payload type of Opus, with rtp://.  [default: 111]")
@shared.sdp_option
@click.option("--capture", type=shared.FILE_OUT, help="Write the link's datagrams as pcap, and an .sdp beside it.")
@click.option("--overwrite", is_flag=True, help="Replace a capture that is there (else: the next free name).")
@click.option("--json-lines", is_flag=True, help="One JSON object per second on standard error.")
@shared.json_option
def command(source: str, url: str, as_json: bool, **given: Any) -> None:
    """Send IN to a device agent in real time, losing packets on the way: a file (WAV, FLAC, OGG), mic[:NAME],
    - (standard input, raw or WAV), pipe:COMMAND, a FIFO, or a MicroPython board: udp-pcm://:PORT, board://DEV.

    Losses are simulated on this side, so that the same seed gives the same losses on any network. A
    device that restarts is greeted again while the stream goes on.

    SIGUSR1 mutes (kill -USR1 PID), SIGUSR2 unmutes; at a terminal the key m toggles. After
    muting, no packet holds earlier speech.
    """
    settings = shared.settings_from(given)
    url, plain = _destination(url, given["plain"])
    if given["payload_type"] is not None and not plain:
        raise UsageError(f"--payload-type is for plain RTP receivers ({RTP.usage}); a device finds it by itself")
    from dredge_host.live.plain import PlainSession
    from dredge_host.live.result import document, lines
    from dredge_host.sending.loss import save_trace

    run = _run(source, url, plain, settings, given)
    if given["save_trace"]:
        save_trace(given["save_trace"], run.outcome.trace)
    result = document(run.outcome, settings)
    result["input"] = source
    told = lines(result)
    if run.source is not None:
        result["source"] = run.source
    if shared.is_automatic(given, reports=not plain):
        result["adaptation"] = run.log
    if isinstance(run.session, PlainSession):  # only the receiver knows the fate of the packets
        result["receiver"] = run.session.receiver
        told = [line for line in told if not line.startswith("packets")] + [run.session.summary()]
    advice = run.source.get("advice") if run.source else None
    emit(result, [*told, *adaptation_lines(run.log), *([f"source   {advice}"] if advice else [])], as_json)
    if run.interrupted:
        raise KeyboardInterrupt
    if run.session.fault:
        raise CheckFailed(f"{url}: {run.session.fault}")
    if run.unanswered is not None:
        raise run.unanswered
    if run.outcome.report is None and not plain:
        raise UnreachableError(f"{url}: {run.trouble or 'the device never sent its complete final report'}")


class _Run(NamedTuple):
    """An ended stream. source: report of a live source; log: changes of the redundancy; trouble: fault of the link;
    unanswered: the device was gone at the end; interrupted: by Ctrl-C, the usual end of a live stream without
    --seconds.
    """

    session: Session
    outcome: StreamOutcome
    source: SourceReport | None
    log: list[Steering]
    trouble: str
    interrupted: bool
    unanswered: UnreachableError | None


def _run(source: str, url: str, plain: bool, settings: Settings, given: shared.Given) -> _Run:
    """Send the source and return the outcome."""
    from dredge_device.pi.output import files
    from dredge_host.live.mute import MuteSwitch
    from dredge_host.live.plain import PlainSession
    from dredge_host.live.screen.display import Display
    from dredge_host.live.session import Session
    from dredge_host.live.stream import StreamInterrupted, StreamUnanswered, stream
    from dredge_host.sending.adaptive_redundancy import AutoRedundancy
    from dredge_host.sending.loss import parse_loss, trace_file
    from dredge_host.sending.network import Network
    from dredge_models.registry import model_ids

    key_file, sdp = given["key_file"], given["sdp"]
    files.check_each(
        [given["capture"], given["save_trace"], sdp], inputs=[source, key_file, trace_file(settings.loss)]
    )
    loss = parse_loss(settings.loss, settings.seed)
    network = Network(given["delay"], given["jitter"], given["reorder"], given["duplicate"], settings.seed)
    log: list[Steering] = []

    def steering(sender: Any) -> AutoRedundancy:
        auto = AutoRedundancy(sender, settings.playout_ms, given["cap"])
        auto.log = log
        return auto

    with ExitStack() as stack:
        live, speech, total = _speech(stack, source, given["seconds"], given["rate"])
        link: Link = stack.enter_context(closing(_opened(url, key_file, sdp, settings, given["payload_type"])))
        link, tap = _captured(stack, link, url, settings, given)
        display = stack.enter_context(Display(total, json_lines=given["json_lines"]))
        if live is not None:
            stack.callback(live.close)
        session = (PlainSession if plain else Session)(link, update=display.update)
        interrupted, unanswered = False, None
        try:
            outcome = stream(
                speech, session, settings, loss, models=model_ids() if settings.conceal == "dred" else None,
                update=display.update, network=network,
                control=steering if shared.is_automatic(given, reports=not plain) else None,
                tap=tap, muted=stack.enter_context(MuteSwitch()), live=live is not None,
            )  # fmt: skip
        except StreamInterrupted as stop:
            outcome, interrupted = stop.outcome, True
        except StreamUnanswered as error:
            outcome, unanswered = error.outcome, error
        trouble = trouble_of(link)
    return _Run(session, outcome, live.report() if live is not None else None, log, trouble, interrupted, unanswered)


def _destination(url: str, plain: bool) -> tuple[str, bool]:
    """Return the URL, and whether it names a plain RTP receiver."""
    if plain and scheme_of(url) is UDP:
        url = "rtp://" + url.removeprefix("udp://")
    if plain and scheme_of(url) is not RTP:
        raise UsageError(f"'{url}': --plain needs {RTP.usage}")
    return url, scheme_of(url) is RTP


def _opened(
    url: str, key_file: str | None, sdp: Path | None, settings: Settings, payload_type: int | None
) -> Link:
    """Return the link, after the stream's description has been written."""
    from dredge_host.links.description import write_description
    from dredge_host.links.open import open_rtp

    if scheme_of(url) is not RTP:
        if sdp is not None:
            write_description(sdp, url, settings, keyed=key_file is not None)
        return open_secured(url, key_file)
    link = open_rtp(url, key_file, payload_type=payload_type or PAYLOAD_TYPE)
    if sdp is not None:
        write_description(sdp, url, settings, key=link.key, payload_type=link.payload_type)
    return link


def adaptation_lines(log: list[Steering]) -> list[str]:
    """Return the last changes of the adaptive redundancy with their reasons."""
    return [
        f"at {e['t_s']:6.1f} s  {e['redundancy_s']:.2f} s of history, level {e['q0']}, speech at "
        f"{e['speech_bps'] / 1000:g} kb/s with{'' if e['lbrr'] else 'out'} LBRR: {e['why']}"
        for e in log[-SHOWN_CHANGES:]
    ]


def _speech(stack: ExitStack, text: str, seconds: float | None, rate: int) -> tuple[Source | None, Iterable[Pcm], int]:
    """Return the live source (None for a file), the pieces to send, and their number (0 if unknown)."""
    from dredge_host.audio_io.open import is_live, open_source
    from dredge_host.audio_io.source import pieces
    from dredge_host.sending.audio import AudioFile, repacked

    wanted = None if seconds is None else int(seconds * SAMPLE_RATE)
    if is_live(text):
        most = None if wanted is None else -(-wanted // PACKET_SAMPLES)
        source = open_source(text, rate)
        return source, pieces(source, most), most or 0
    audio = stack.enter_context(AudioFile(text))
    for words in audio.notes:
        note(words)
    total = wanted or audio.frames * SAMPLE_RATE // audio.rate
    blocks = audio.blocks() if wanted is None else (block for _ in count() for block in audio.blocks())
    return None, repacked(blocks, wanted), -(-total // PACKET_SAMPLES)


def _captured(
    stack: ExitStack, link: Link, url: str, settings: Settings, given: shared.Given
) -> tuple[Link, Callable[[bytes], None] | None]:
    """Return the link with its traffic written to a file, if one is wanted.

    With a key only the media is written, in the clear, since the encrypted datagrams could not be played.
    """
    if given["capture"] is None:
        return link, None
    from dredge_host.capture.writer import Capture, TappedLink

    try:
        far = parse_udp(url)
    except UsageError:
        far = ("127.0.0.1", 5004)
    history_ms = settings.standard_history_ms
    capture = Capture(given["capture"], far, overwrite=given["overwrite"], history_ms=history_ms)
    stack.enter_context(capture)
    return (link, capture.sent) if given["key_file"] else (TappedLink(link, capture), None)
