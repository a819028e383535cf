# SPDX-License-Identifier: BSD-2-Clause
"""Streams whose periods are counted: the bundled speech with gaps of several kinds."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from virtual_pi.stream import Speech
from virtual_pi.table import BURSTS

from dredge_device.pi.quality import CLASSIC, FULL
from dredge_device.units import PACKET_SECONDS

WARM_UP = 110  # periods: a second until the first is played, and some more
SECOND = 50  # packets
_BURSTS, _SHORT = 240, 100  # periods that are counted
_SECONDS = 2  # gaps of a second
_SEED = 3
CASES = ("dred", "second", "plc", "classic")


@dataclass(frozen=True)
class Case:
    """A stream. wanted: the source of its lost periods; conceal, quality: of the receiver."""

    name: str
    wanted: str
    conceal: str
    quality: int
    data: list[bytes]
    lost: list[bool]
    warm_up: int = WARM_UP


def _bursts(speech: Speech, periods: int) -> tuple[list[bytes], list[bool]]:
    stream = speech.stream((WARM_UP + periods) * PACKET_SECONDS, BURSTS, _SEED)
    return stream.data, [False] * WARM_UP + stream.lost[WARM_UP:]


def _seconds(speech: Speech) -> tuple[list[bytes], list[bool]]:
    lost = [False] * WARM_UP + ([True] * SECOND + [False] * 10) * _SECONDS + [False] * SECOND
    return speech.stream(len(lost) * PACKET_SECONDS, "0%", _SEED).data, lost


def _made(name: str, speech: Speech) -> Case:
    """Return the cases: 20 % in bursts and gaps of a second from DRED; the same bursts from the predictor alone and
    from libopus.
    """
    if name == "dred":
        return Case(name, "dred", "dred", FULL, *_bursts(speech, _BURSTS))
    if name == "second":
        return Case(name, "dred", "dred", FULL, *_seconds(speech))
    if name == "plc":
        return Case(name, "plc", "plc", FULL, *_bursts(speech, _SHORT))
    return Case(name, "conceal", "dred", CLASSIC, *_bursts(speech, _SHORT))


def cases_of(names: Sequence[str]) -> list[Case]:
    """Return the cases of these names of CASES."""
    speech = Speech()
    return [_made(name, speech) for name in names]


def pickled(models: Sequence[str], cases: Sequence[Case]) -> bytes:
    """Return the input of the program on the emulated processor."""
    return pickle.dumps({"models": list(models), "cases": [asdict(case) for case in cases]}, protocol=4)
