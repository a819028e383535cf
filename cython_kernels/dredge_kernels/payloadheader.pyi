# SPDX-License-Identifier: BSD-2-Clause
from .decoded import PayloadHeader

MIN_OFFSET: int
MAX_OFFSET: int
MAX_LATENTS: int
MAX_PAYLOAD: int

def check_fields(q0: int, dq: int, qmax: int, offset: int) -> int:
    """Check header fields; ValueError naming field, expected, got. Returns the qmax in effect."""

def parse_header(payload: bytes, version: int) -> PayloadHeader:
    """Header of a payload (the bytes behind the version byte).

    ValueError for an unknown version, an empty payload, a header cut short or an impossible count.
    """
