# SPDX-License-Identifier: BSD-2-Clause
"""Live speech for offline verbs: recording as a whole and playing as a whole."""

from __future__ import annotations

import numpy as np

from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.output.open import is_board, open_output
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.audio_io.open import COMMAND, open_source
from dredge_host.audio_io.source import pieces
from dredge_host.errors import InputError, UsageError
from dredge_host.sending.audio import packets


def records(text: str) -> bool:
    """Return whether a source has to be recorded first: a microphone, a command, a board."""
    return text == "mic" or text.startswith(("mic:", COMMAND)) or is_board(text)


def recorded(text: str, seconds: float | None) -> Pcm:
    """Return int16[n] of a source, to its end or for this many seconds. Raises UsageError for a microphone without a
    length.
    """
    if seconds is None and not text.startswith(COMMAND):
        raise UsageError(f"{text}: a microphone has no end; say with --seconds how long it is recorded")
    count = None if seconds is None else -(-round(seconds * SAMPLE_RATE) // PACKET_SAMPLES)
    source = open_source(text)
    try:
        heard = list(pieces(source, count))
    finally:
        source.close()
    if not heard:
        raise InputError(f"{text}: it gave no samples")
    return np.concatenate(heard)


def play(text: str, pcm: Pcm) -> None:
    """Play int16[n] through a loudspeaker or a command, in real time where it has a clock.

    Raises InputError when the command reads no more before the end.
    """
    output = open_output(text)
    try:
        for piece in packets(pcm):
            output.write(piece, True)
    except BrokenPipeError as error:
        raise InputError(f"{text}: {error.strerror}") from None
    finally:
        output.discard()
