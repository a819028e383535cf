# SPDX-License-Identifier: BSD-2-Clause
"""The options of a talk."""

from __future__ import annotations

from dataclasses import dataclass, field

from dredge_device.pi.transport.schemes import BYTE_STREAMS, scheme_of
from dredge_device.units import SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.links.open import parse_udp
from dredge_host.settings import Settings

ECHO = ("system", "speex")  # echo cancellers: the sound server's, if it has one, or this program's


def _settings() -> Settings:
    return Settings(adaptive=True)


@dataclass(frozen=True)
class TalkOptions:
    """One end of a talk.

    to: the end to call (udp://HOST:PORT or a serial URL), None waits for a call; listen: the address for calls, None is
    any free port; mic, speaker: dredge_host.audio_io.open.GRAMMAR and dredge_device.pi.output.open.GRAMMAR; rate: of
    raw samples; settings: as for a stream, the loss model included; delay, jitter, reorder, duplicate: network models
    (dredge_host.sending.network); auto: the other end's reports control the redundancy, cap_bps: within this many b/s
    on the wire (dredge_host.sending.adaptive_redundancy); key_file: the same at both ends;
    allow_remote: listen on addresses that others can reach without a key; seconds: from the first call on, and the
    longest wait for one; once: leave when the other end hangs up; ptt: key or gpio:N; half_duplex: the microphone is
    turned down while the other end speaks; echo: speex cancels it here (libspeexdsp); volume: gain of the output;
    realtime, core, lock_memory, status: as for an agent. Raises UsageError.
    """

    to: str | None = None
    listen: str | None = None
    mic: str = "mic"
    speaker: str = "speaker"
    rate: int = SAMPLE_RATE
    settings: Settings = field(default_factory=_settings)
    delay: str = ""
    jitter: str = ""
    reorder: str = ""
    duplicate: str = ""
    auto: bool = False
    cap_bps: int | None = None
    key_file: str | None = None
    allow_remote: bool = False
    seconds: float | None = None
    once: bool = False
    ptt: str | None = None
    half_duplex: bool = False
    echo: str = "system"
    volume: float = 1.0
    realtime: bool = False
    core: int | None = None
    lock_memory: bool = False
    status: str | None = None

    def __post_init__(self) -> None:
        if self.to is None and self.listen is None:
            raise UsageError("nobody to talk to: name the other end (udp://HOST:PORT), or --listen udp://:5004 to wait")
        if self.to is not None and scheme_of(self.to) not in BYTE_STREAMS:
            parse_udp(self.to)
        if self.echo not in ECHO:
            raise UsageError(f"echo is '{self.echo}', expected one of {', '.join(ECHO)}")
        if not 0 <= self.volume <= 16:
            raise UsageError(f"volume is {self.volume:g}, expected 0 to 16")
        if self.ptt is not None and self.ptt != "key" and not self.ptt.removeprefix("gpio:").isdigit():
            raise UsageError(f"ptt is '{self.ptt}', expected key or gpio:N")
