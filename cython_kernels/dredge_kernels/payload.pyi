# SPDX-License-Identifier: BSD-2-Clause
import numpy as np
import numpy.typing as npt

from .decoded import DecodedPayload as DecodedPayload
from .payloadheader import parse_header as parse_header
from .tables import QuantTables

MAX_BYTES: int
MAX_LATENTS: int

def encode_payload(
    latents: npt.NDArray[np.float32],
    state: npt.NDArray[np.float32],
    tables: QuantTables,
    q0: int,
    dq: int,
    qmax: int = 15,
    offset: int = 8,
    max_bytes: int = 1000,
) -> bytes:
    """DRED payload of latents float32 [n, L], n <= 26, newest first, and the state float32 [S].

    q0, dq, qmax give the quantiser levels, offset the time of the newest frame in 2.5 ms units
    (docs/reference/bitstream.md). Latents that would exceed max_bytes (1 to 1000) are left out, oldest
    first; b"" when not even one fits, or none is given. Values are clipped to 32767 steps.
    ValueError for wrong shapes, dtypes, fields or values that are not finite.
    """

def encode_symbols(
    latent_symbols: npt.NDArray[np.int32],
    state_symbols: npt.NDArray[np.int32],
    tables: QuantTables,
    q0: int,
    dq: int,
    qmax: int = 15,
    offset: int = 8,
    max_bytes: int = 1000,
) -> bytes:
    """Encode the same from quantised values, int32 [n, L] and [S]. Raises ValueError if the tables forbid one."""

def decode_payload(
    payload: bytes, tables: QuantTables, max_latents: int = 26
) -> DecodedPayload:
    """Decode a payload, at most max_latents (0 to 26) of its latents, newest first.

    Versions 10 and 12 end where 7 bits or fewer are left; our own after the latents it announces.
    ValueError for a payload cut short, an impossible header, or a wrong max_latents.
    """
