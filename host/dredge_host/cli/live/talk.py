# SPDX-License-Identifier: BSD-2-Clause
"""`dredge talk`"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dredge_device.pi.service.options import AUTO
from dredge_host.cli import options as shared
from dredge_host.cli.configuration import configured
from dredge_host.console import emit, note
from dredge_host.talk.options import ECHO, TalkOptions

EPILOG = (
    """\b
Examples, the first two on two machines with the same key (openssl rand -hex 32 > dredge.key)
  dredge talk --listen udp://:5004 --key-file dredge.key             waits for calls
  dredge talk udp://raspberrypi:5004 --key-file dredge.key           calls
  dredge talk udp://192.168.1.7:5004 --listen udp://:5004 --key-file dredge.key     both can call
  dredge talk serial:///dev/ttyUSB0?baud=921600 --half-duplex
  dredge talk udp://127.0.0.1:5006 --listen udp://127.0.0.1:5004 --mic a.wav --speaker b.wav \\
      --loss gilbert:rate=10%,burst=5 --seconds 10 --json

\b
--mic:      a file, mic[:NAME], - (raw or WAV), pipe:COMMAND, a FIFO, null, a board: udp-pcm://:PORT, board://DEV
--speaker:  FILE.wav, speaker[:NAME], - (raw), pipe:COMMAND, null, a board: udp-pcm://ADDR:PORT, board://DEV
Keys: m mutes, space with --ptt key, + and - for the volume. SIGUSR1 mutes, SIGUSR2 ends that.

"""
    + shared.LOSS_HELP
)


@click.command(epilog=EPILOG, context_settings={"default_map": {"playout": "adaptive", "vocoder": AUTO}})
@configured("talk")
@click.argument("to", metavar="[URL]", required=False)
@click.option("--listen", help="Address for calls: udp://[ADDR]:PORT.  [default: any free port]")
@click.option("--mic", default="mic", show_default=True, help="Source of the speech to send.")
@click.option("--speaker", default="speaker", show_default=True, help="Output for the other end's speech.")
@shared.rate_option
@click.option("--seconds", type=shared.Number(min=0.02), help="From the first call on, and longest wait for it.")
@click.option("--once/--no-once", help="Leave when the other end hangs up.")
@click.option("--volume", type=shared.Number(0, 16), default=1.0, show_default=True, help="Factor on the output.")
@click.option("--ptt", metavar="key|gpio:N", help="Push to talk: the space bar, or a button between GPIO N and ground.")
@click.option("--half-duplex/--no-half-duplex", help="Turn the microphone down while the other end speaks.")
@click.option("--echo", type=click.Choice(ECHO), default=ECHO[0], show_default=True, help="Echo canceller to use.")
@shared.device_options("allow-remote", "key-file", "realtime", "core", "lock-memory", "status")
@shared.link_options
@shared.codec_options
@shared.cap_option
@shared.network_options
@shared.sdp_option
@click.option("--json-lines", is_flag=True, help="One JSON object per second on standard error.")
@shared.json_option
def command(as_json: bool, json_lines: bool, save_trace: Path | None, sdp: Path | None, **values: Any) -> None:
    """Talk with another machine, both ways at the same time, over a link that loses packets.

    Both ends run this. One of them calls (URL), the other one may wait (--listen), or both do both. An end that is
    gone is called again until it returns; without --seconds or --once a talk has no end.
    """
    from dredge_device.pi.output.open import is_board, is_card
    from dredge_host.errors import UsageError
    from dredge_host.links.description import write_description
    from dredge_host.live.mute import MuteSwitch
    from dredge_host.talk.display import TalkDisplay
    from dredge_host.talk.result import lines
    from dredge_host.talk.signal.echo import advice, use_canceller
    from dredge_host.talk.talk import Talk

    if save_trace is not None:
        raise UsageError("a talk keeps no trace of its losses; dredge stream does")
    names = ("delay", "jitter", "reorder", "duplicate", "to", "listen", "mic", "speaker", "rate", "seconds", "once",
             "volume", "ptt", "half_duplex", "echo", "allow_remote", "key_file", "realtime", "core",
             "lock_memory", "status")  # fmt: skip
    options = TalkOptions(settings=shared.settings_from(values), auto=shared.is_automatic(values),
                          cap_bps=values["cap"], **{name: values[name] for name in names})  # fmt: skip
    if sdp is not None:
        if options.to is None:
            raise UsageError("--sdp describes what is said to the one who is called: name the other end (udp://HOST:PORT)")
        write_description(sdp, options.to, options.settings, keyed=options.key_file is not None)
    careful = options.half_duplex or options.ptt or options.echo == "speex"
    hears = options.mic.partition(":")[0] == "mic" or is_board(options.mic)
    if hears and (is_card(options.speaker) or is_board(options.speaker)) and not careful:
        note(use_canceller() if options.mic == "mic" and options.speaker == "speaker" else advice())
    talking: list[Talk] = []

    def louder(factor: float) -> None:
        for talk in talking:
            talk.volume = max(talk.volume, 0.05) * factor

    def press() -> None:
        for talk in talking:
            if talk.gate.ptt is not None:
                talk.gate.ptt.toggle()

    keys = {b" ": press, b"+": lambda: louder(1.25), b"-": lambda: louder(0.8)}
    with MuteSwitch(others=keys) as switch, Talk(options, muted=switch) as talk, TalkDisplay(json_lines) as display:
        talking.append(talk)
        for words in (f"listening {talk.address}", *talk.notes()):
            note(words)
        interrupted = False
        try:
            result = talk.run(display.update)
        except KeyboardInterrupt:  # the usual end of a talk without --seconds
            result, interrupted = talk.result(), True
            if not (result["calls"] or result["received"]["sessions"]):
                raise
    emit(result, lines(result), as_json)
    if interrupted:
        raise KeyboardInterrupt
