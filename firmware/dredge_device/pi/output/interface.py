# SPDX-License-Identifier: BSD-2-Clause
"""The interface of an output for played speech."""

from typing import NamedTuple, Protocol

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.report import OutputReport
from dredge_device.units import SAMPLE_RATE


class Format(NamedTuple):
    """The format of an output's samples: int16[n] for one channel, int16[n, 2] for two; rate in Hz."""

    rate: int = SAMPLE_RATE
    channels: int = 1


SPEECH = Format()  # the default format of a receiver


class CapabilityError(RuntimeError):
    """The requested capability is missing on this machine."""


class Output(Protocol):
    """An output that takes 20 ms at a time; ``close`` ends a session and returns its report, ``discard`` ends the
    output.
    """

    def write(self, pcm: Pcm, of_stream: bool) -> None: ...
    def close(self) -> OutputReport: ...
    def discard(self) -> None: ...


class TimedOutput(Protocol):
    """The same interface for periods that are ready before their time."""

    def write(self, pcm: Pcm, of_stream: bool, at_us: int) -> None: ...
    def close(self) -> OutputReport: ...
    def discard(self) -> None: ...
