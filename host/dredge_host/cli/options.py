# SPDX-License-Identifier: BSD-2-Clause
"""Options that several verbs share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from dredge_device.pi.input.opus_abilities import COMPLEXITY_HELP, MOST
from dredge_device.pi.service.options import AUTO, OPTIONS
from dredge_device.units import CONCEAL_MODES, SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.sending.loss import GRAMMAR
from dredge_host.settings import DRED_IDS, DRED_VERSIONS, Settings, parse_playout
from dredge_models import vocoders

if TYPE_CHECKING:
    from dredge_host.capture.packets import Choice

class Number(click.FloatRange):
    """A real number within limits: `nan` and `inf` are refused."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"'{value}' is not a number.", param, ctx)
        return number

    def _describe_range(self) -> str:
        """Return the limits as --help shows them, none without limits."""
        return "" if self.min is None and self.max is None else super()._describe_range()


class Whole(click.IntRange):
    """A whole number within limits."""

    name = "integer"


Given = dict[str, Any]  # the values of a verb's options by their names, as click passes them


F = TypeVar("F", bound=Callable[..., Any])
Decorator = Callable[[Any], Any]

AUDIO_IN = click.Path(path_type=Path)
FILE_OUT = click.Path(path_type=Path, dir_okay=False)

LOSS_HELP = "\b\nLoss models\n" + "\n".join(f"  {line}" for line in GRAMMAR.splitlines())

def device_options(*names: str, unset: bool = False) -> Decorator:
    """Return a decorator with the options of these names as the device's own table declares them; unset: None without a
    value.
    """

    def decorate(function: F) -> F:
        for option in reversed([one for one in OPTIONS if one.name in names]):
            initial = None if unset else option.initial()
            how: Given = {"help": option.help, "default": initial, "envvar": option.environment}
            if option.choices:
                how["type"] = click.Choice(option.choices)
            elif option.kind is int:
                how["type"] = Whole(option.least, option.most)
            elif option.kind is float:
                how["type"] = Number(option.least, option.most)
            switch = f"--{option.name}/--no-{option.name}" if option.kind is bool else f"--{option.name}"
            shown = option.kind is not bool and initial is not None
            function = click.option(switch, show_default=shown, **how)(function)
        return function

    return decorate


key_option = device_options("key-file")

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")

rate_option = click.option(
    "--rate", type=Whole(1000, 768000), default=SAMPLE_RATE, show_default=True, help="Rate of raw samples, Hz."
)

_LINK: list[Decorator] = [
    click.option("--loss", default="none", show_default=True, help="Loss model, see below."),
    click.option("--seed", default=1, show_default=True, help="Seed of the loss model."),
    click.option("--save-trace", type=FILE_OUT, help="Write the losses as 0/1 lines."),
]
_NETWORK: list[Decorator] = [
    click.option("--delay", default="", help="Delay of every packet, e.g. 40ms."),
    click.option("--jitter", default="", help="Additional random delay, e.g. 20ms or pareto:10ms."),
    click.option("--reorder", default="", help="Reordered packets, e.g. 5%,by=5."),
    click.option("--duplicate", default="", help="Duplicated packets, e.g. 1%."),
]
_CODEC: list[Decorator] = [
    click.option(
        "--redundancy",
        help="Seconds of history in every packet; auto: by the receiver's reports, speech and LBRR too.  "
        "[default: auto where it reports (stream, talk, gateway), else 1.0; 0 unless --conceal dred]",
    ),
    click.option("--bitrate", default=24000, show_default=True, help="Speech alone, in b/s."),
    click.option(
        "--lbrr/--no-lbrr",
        default=None,
        help="Add a low-rate copy of the packet before.  [default: with --conceal dred, unless --redundancy is 0]",
    ),
    click.option("--expect-loss", default=20, show_default=True, help="Loss in % the Opus encoder expects."),
    click.option(
        "--conceal",
        type=click.Choice(CONCEAL_MODES),
        default="dred",
        show_default=True,
        help="The best means that the receiver may use for a lost packet.",
    ),
    click.option(
        "--vocoder",
        type=click.Choice((*vocoders.VOCODERS, AUTO)),
        default=vocoders.DEFAULT,
        show_default=True,
        help=f"{vocoders.HELP} {AUTO}: the device's choice.",
    ),
    click.option(
        "--dred-version",
        type=click.Choice([str(version) for version in DRED_VERSIONS]),
        default=str(DRED_VERSIONS[0]),
        show_default=True,
        help="Model of the history: 209 is ours, 10 libopus 1.5, 12 libopus 1.6 (see `dredge models import`).",
    ),
    click.option(
        "--dred-id",
        type=click.Choice([str(number) for number in DRED_IDS]),
        default=str(DRED_IDS[0]),
        show_default=True,
        help="Extension that carries the history: 126 as libopus, 32 as the IETF draft (with --dred-version 12).",
    ),
    click.option(
        "--opus-complexity", type=Whole(0, MOST), default=0, show_default=True, help=COMPLEXITY_HELP
    ),
    click.option("--dtx/--no-dtx", help="Send nothing in pauses of speech."),
    click.option(
        "--playout",
        default="fixed:1000",
        show_default=True,
        help="fixed:<ms>, or adaptive[:<longest ms>]: short delay that grows in a gap and shrinks again.",
    ),
]


cap_option = click.option(
    "--cap",
    type=Whole(0),
    help="With --redundancy auto: b/s on the wire at most, 0 for no limit.  [default: the rate of 1.0]",
)

sdp_option = click.option("--sdp", type=FILE_OUT, help="Write the session description of the stream (RTP over UDP).")

_STREAM: list[Decorator] = [
    click.option("--ssrc", metavar="NUMBER", help="Of a capture: the RTP stream.  [default: the longest one of Opus]"),
    click.option("--stream", type=Whole(1), help="Of a capture: the stream's number in the notes."),
]


def stream_options(function: F) -> F:
    """Add --ssrc and --stream."""
    return _apply(_STREAM, function)


def choice_from(ssrc: str | None, stream: int | None) -> Choice:
    """Return the choice of a stream in a capture. Raises UsageError."""
    from dredge_host.capture.packets import Choice

    if ssrc is None:
        return Choice(None, stream)
    try:
        value = int(ssrc, 0)
    except ValueError:
        value = -1
    if not 0 <= value < 1 << 32:
        raise UsageError(f"SSRC is '{ssrc}', expected a number of 32 bits such as 0x44524447")
    return Choice(value, stream)


def link_options(function: F) -> F:
    """Add --loss, --seed and --save-trace."""
    return _apply(_LINK, function)


def codec_options(function: F) -> F:
    """Add --redundancy, --bitrate, --lbrr, --expect-loss, --conceal, --vocoder, --dred-version, --dred-id,
    --opus-complexity, --dtx and --playout.
    """
    return _apply(_CODEC, function)


def network_options(function: F) -> F:
    """Add --delay, --jitter, --reorder and --duplicate."""
    return _apply(_NETWORK, function)


def settings_from(values: Given) -> Settings:
    """Return the settings from the options above."""
    redundancy = values["redundancy"]
    if redundancy is None:
        redundancy = 1.0 if values["conceal"] == "dred" else 0.0
    elif redundancy == "auto" and "jitter" in values:
        redundancy = 1.0  # the initial value
    else:
        redundancy = _seconds(redundancy)
    lbrr = values["lbrr"]
    if lbrr is None:  # the copy is best for a single lost packet, the history for longer gaps
        lbrr = redundancy > 0
    adaptive, milliseconds = parse_playout(values["playout"])
    return Settings(
        bitrate=values["bitrate"],
        redundancy_s=redundancy,
        lbrr=lbrr,
        loss=values["loss"],
        seed=values["seed"],
        conceal=values["conceal"],
        playout_ms=milliseconds,
        adaptive=adaptive,
        dtx=values["dtx"],
        vocoder=values["vocoder"],
        opus_complexity=values["opus_complexity"],
        dred_version=int(values["dred_version"]),
        dred_id=int(values["dred_id"]),
        loss_pct=values["expect_loss"],
    )


def is_automatic(values: Given, reports: bool = True) -> bool:
    """Return whether the receiver's reports control the redundancy: by default if it sends reports, and if requested
    explicitly.
    """
    redundancy = values["redundancy"]
    return redundancy == "auto" or (redundancy is None and reports and values["conceal"] == "dred")


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"redundancy is '{text}', expected seconds, e.g. 0.5; auto: stream, talk, gateway") from None


def _apply(options: list[Decorator], function: F) -> F:
    for option in reversed(options):
        function = option(function)
    return function
