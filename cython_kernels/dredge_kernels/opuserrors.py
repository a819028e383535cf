# SPDX-License-Identifier: BSD-2-Clause
"""The exceptions that stand for libopus' error codes."""

from __future__ import annotations

SENTENCES = {
    -1: "an argument is out of range",
    -2: "the buffer is too small",
    -3: "libopus found itself in an impossible state",
    -4: "the packet is corrupted",
    -5: "this build of libopus does not know the request",
    -6: "the encoder or decoder is closed or damaged",
    -7: "out of memory",
}

#: Error codes that mean invalid arguments.
ARGUMENT_CODES = frozenset({-1, -2, -4})
OUT_OF_MEMORY = -7


class OpusError(RuntimeError):
    """libopus refused a call; .code is its (negative) error code."""

    def __init__(self, code: int, what: str) -> None:
        self.code = code
        super().__init__(f"{what}: {SENTENCES.get(code, 'unknown libopus error')} ({code})")


class OpusValueError(OpusError, ValueError):
    """libopus refused an argument or a packet."""


class OpusMemoryError(OpusError, MemoryError):
    """libopus found no memory for its state."""


def opus_error(code: int, what: str) -> OpusError:
    """Return the exception for an error code; `what` names the call."""
    if code == OUT_OF_MEMORY:
        return OpusMemoryError(code, what)
    return (OpusValueError if code in ARGUMENT_CODES else OpusError)(code, what)
