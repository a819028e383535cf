# SPDX-License-Identifier: BSD-2-Clause
"""The contents of a decoded DRED payload."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class PayloadHeader:
    """Fields at the start of a payload (docs/reference/bitstream.md)."""

    q0: int  #: quantiser level of the newest latent, 0 (finest) to 15
    dq: int  #: index of the slope by which the level rises with age, 0 to 7
    qmax: int  #: no latent is coded more coarsely than at this level
    offset: int  #: -8175 to 16, 2.5 ms units: where the newest 10 ms frame ends
    latents: int | None  #: number of latents; None where the format does not code it
    bits_used: int  #: bits of the header


@dataclass(frozen=True, slots=True, eq=False)
class DecodedPayload:
    """A decoded payload: n latents, newest first, each covering 40 ms."""

    header: PayloadHeader
    state: npt.NDArray[np.float32]  #: [S], dequantised initial state of the decoder
    latents: npt.NDArray[np.float32]  #: [n, L], dequantised, newest first
    levels: npt.NDArray[np.int32]  #: [n], quantiser level of each latent
    state_symbols: npt.NDArray[np.int32]  #: [S], as coded
    latent_symbols: npt.NDArray[np.int32]  #: [n, L], as coded
    tells: npt.NDArray[np.int32]  #: [n + 1], bits used after the state and after each latent

    @property
    def q0(self) -> int:
        """Quantiser level of the newest latent."""
        return self.header.q0

    @property
    def dq(self) -> int:
        """Slope index of the levels."""
        return self.header.dq

    @property
    def qmax(self) -> int:
        """Coarsest level."""
        return self.header.qmax

    @property
    def offset(self) -> int:
        """Where the newest feature frame ends, in 2.5 ms units (docs/reference/bitstream.md)."""
        return self.header.offset

    @property
    def bits_used(self) -> int:
        """Bits used by header, state and the latents decoded."""
        return int(self.tells[-1])
