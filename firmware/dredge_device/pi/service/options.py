# SPDX-License-Identifier: BSD-2-Clause
"""Options of the device: those that a host may set for its session, and those of the process.

A new option of the process is a field of `Options` and a row of `OPTIONS`; both command lines follow from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, NamedTuple

from dredge_device.pi.input.opus_abilities import COMPLEXITY_HELP, MOST
from dredge_device.pi.output.files import PRIVATE, parse_mode
from dredge_device.pi.schema.documents import SessionRequest
from dredge_device.pi.status import urls
from dredge_device.playout import MAX_PLAYOUT_MS, parse_playout
from dredge_device.units import CONCEAL_MODES, SAMPLE_RATE
from dredge_models import vocoders

AUTO = "auto"  # the vocoder that the device has chosen


@dataclass(frozen=True)
class SessionOptions:
    """The options that a host may set for its session; those of the device's process are the defaults.

    playout_ms: constant delay, or the longest one if adaptive; conceal: the best source for a lost packet; lbrr:
    low-rate copies are used; vocoder: a name of dredge_models.vocoders, or AUTO; opus_complexity: of libopus' decoder,
    0 as in older versions. Raises ValueError, one sentence, for a value of another type or outside its limits.
    """

    playout_ms: int = 1000
    adaptive: bool = False
    conceal: str = "dred"
    lbrr: bool = True
    vocoder: str = vocoders.DEFAULT
    opus_complexity: int = 0

    def __post_init__(self) -> None:
        for field in fields(SessionOptions):
            value, wanted = getattr(self, field.name), type(field.default)
            if type(value) is not wanted:
                raise ValueError(f"{field.name} is {value!r}, expected {_KINDS[wanted]}")
        if not 0 <= self.playout_ms <= MAX_PLAYOUT_MS:
            raise ValueError(f"playout is {self.playout_ms} ms, expected 0 to {MAX_PLAYOUT_MS} ms")
        if self.conceal not in CONCEAL_MODES:
            raise ValueError(f"conceal is '{self.conceal}', expected one of {', '.join(CONCEAL_MODES)}")
        if self.vocoder != AUTO:
            vocoders.checked(self.vocoder)
        if not 0 <= self.opus_complexity <= MOST:
            raise ValueError(f"libopus' complexity is {self.opus_complexity}, expected 0 to {MOST}")

    @staticmethod
    def checked(document: Mapping[str, Any]) -> SessionOptions:
        """Return the options of a configure request; other names in it are ignored."""
        known = [field.name for field in fields(SessionOptions)]
        return SessionOptions(**{name: document[name] for name in known if name in document})

    def for_session(self) -> SessionRequest:
        """Return the session's part of these options as JSON values, as a configure request has them."""
        return {
            "playout_ms": self.playout_ms, "adaptive": self.adaptive, "conceal": self.conceal, "lbrr": self.lbrr,
            "vocoder": self.vocoder, "opus_complexity": self.opus_complexity,
        }  # fmt: skip

    def known_vocoder(self, chosen: str = vocoders.DEFAULT) -> str:
        """Return the vocoder; chosen: the device's choice for AUTO."""
        return chosen if self.vocoder == AUTO else self.vocoder

    def as_dict(self) -> dict[str, Any]:
        """Return all options as JSON values."""
        return asdict(self)


_KINDS: dict[type, str] = {int: "an integer", bool: "true or false", str: "a string"}


@dataclass(frozen=True)
class Options(SessionOptions):
    """Settings of the process."""

    listen: str = "udp://127.0.0.1:5004"
    out: str = "null"
    rate: int = SAMPLE_RATE
    channels: int = 1
    overwrite: bool = False
    file_mode: int = PRIVATE
    once: bool = False
    seconds: float | None = None
    allow_remote: bool = False
    key_file: str | None = None
    payload_type: int | None = None
    sdp: str | None = None
    streams: int = 1
    realtime: bool = False
    core: int | None = None
    lock_memory: bool = False
    quiet: bool = False
    status: str | None = None


class Option(NamedTuple):
    """One option of the command line; its name in Options has underscores.

    kind: bool for a switch, which --no-NAME turns off; choices: of a str; least, most: of a number; parse: text to
    value, ValueError with a sentence for the user; environment: variable that `dredge agent` reads it from.
    """

    name: str
    help: str
    kind: type = str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    parse: Callable[[str], Any] | None = None
    environment: str | None = None
    default: Any = None

    @property
    def field(self) -> str:
        """The name of its field in Options."""
        return self.name.replace("-", "_")

    def initial(self) -> Any:
        """Return the value where the command line gives none."""
        return getattr(Options, self.field, None) if self.default is None else self.default


OPTIONS = (
    Option("listen", "udp://HOST:PORT (port 0: any) or serial://DEV?baud=N, serial://auto, socket://…, rfc2217://…"),
    Option(
        "out", "null, FILE.wav, speaker[:NAME], - or pipe:COMMAND (raw int16), a FIFO or device (WAV), a board: "
        "udp-pcm://ADDR:PORT, board://DEV",
    ),
    Option(
        "rate", "Sample rate of the output; at 48000 received speech keeps its whole bandwidth.",
        choices=("16000", "48000"), parse=int, default=str(SAMPLE_RATE),
    ),
    Option("channels", "2: stereo streams are played in stereo.", choices=("1", "2"), parse=int, default="1"),
    Option("overwrite", "Replace existing recordings (else: FILE-2.wav and so on).", bool),
    Option("file-mode", "Permissions of recordings.", parse=parse_mode, default="600"),
    Option("playout", "fixed:<ms> or adaptive[:<longest ms>]", parse=parse_playout, default="fixed:1000"),
    Option("conceal", "The best means to use for a lost packet.", choices=CONCEAL_MODES),
    Option(
        "vocoder",
        f"{vocoders.HELP} {AUTO}: the best one for this machine, by a measurement of two seconds.",
        choices=(*vocoders.VOCODERS, AUTO),
    ),
    Option("opus-complexity", COMPLEXITY_HELP, int, least=0, most=MOST),
    Option("lbrr", "Use low-rate copies of lost packets.", bool),
    Option("once", "Leave after the first session.", bool),
    Option("seconds", "Leave after this many seconds.", float, least=0.02),
    Option("allow-remote", "Listen where other machines can reach it, without a key.", bool),
    Option(
        "key-file",
        "Pre-shared key (openssl rand -hex 32): SRTP and authenticated control.",
        environment="DREDGE_KEY_FILE",
    ),
    Option("payload-type", "RTP payload type of Opus (else: recognised by the packets).", int, least=0, most=127),
    Option("sdp", "Session description of the stream: payload types, and the key of SRTP (a=crypto)."),
    Option("streams", "Hosts at the same time.", int, least=1, most=64),
    Option("realtime", "Real-time scheduling for the decoding thread (needs permission).", bool),
    Option("core", "Decode on this core.", int, least=0),
    Option("lock-memory", "Keep everything in memory (needs permission).", bool),
    Option("quiet", "Write only warnings and errors to standard error.", bool),
    Option("status", f"Publish sessions, losses, delay and load: {urls.HELP}"),
)


def from_values(values: Mapping[str, Any]) -> Options:
    """Return the options made of the values of a command line, by the field names of `OPTIONS`.

    Raises ValueError with a sentence for the user.
    """
    found = {o.field: o.parse(values[o.field]) if o.parse else values[o.field] for o in OPTIONS}
    policy, found["playout_ms"] = found.pop("playout")
    if found["status"] is not None:
        urls.check_status(found["status"], found["allow_remote"])
    found["adaptive"] = policy == "adaptive"
    return Options(**found)
