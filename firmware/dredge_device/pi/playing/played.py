# SPDX-License-Identifier: BSD-2-Clause
"""The result of rendering 20 ms: the samples, and the packet periods in them."""

from dataclasses import dataclass, field

from dredge_device.pi.interfaces import Pcm

_DECODED = ("opus", "lbrr")  # the sources that take the decoder alone


@dataclass(slots=True)
class Frame:
    """One packet period.

    packet: its number; source: a name of dredge_device.timeline.SOURCES; reason: why DRED was not used, or "";
    delay_us: time since the arrival that it would have had without jitter, microseconds; cpu_us: CPU time,
    microseconds.
    """

    packet: int
    source: str
    reason: str
    delay_us: int
    cpu_us: int = 0


@dataclass
class Played:
    """20 ms of output.

    pcm: int16[320], or as the receiver's ``form`` says; frames: the packet periods decoded for it: one, or when the
    speech is shortened or lengthened sometimes none or two; of_stream: it belongs to the stream; decoded: the decoder
    alone made it; source, packet, reason, delay_us: of the last frame, without one source is ``silence`` or ``hold``;
    cpu_us: CPU time.
    """

    pcm: Pcm
    source: str
    packet: int | None
    reason: str
    delay_us: int
    cpu_us: int
    frames: list[Frame] = field(default_factory=list)
    of_stream: bool = True
    decoded: bool = False


def played(pcm: Pcm, frames: list[Frame], before: list[Frame], idle: str, cpu_us: int) -> Played:
    """Return 20 ms made of these frames; before: those that were left out; idle: their source if there are none."""
    for frame in frames:
        frame.cpu_us = cpu_us // len(frames)
    every = [*before, *frames]
    if not frames:
        return Played(pcm, idle, None, "", 0, cpu_us, every)
    last = frames[-1]
    decoded = all(frame.source in _DECODED for frame in frames)
    return Played(pcm, last.source, last.packet, last.reason, last.delay_us, cpu_us, every, decoded=decoded)
