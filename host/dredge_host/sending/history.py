# SPDX-License-Identifier: BSD-2-Clause
"""The DRED history of a stream, as the extension of a packet."""

from __future__ import annotations

from typing import Any, Protocol

from dredge_models.dred import DQ, DRED_EXTENSION_ID, PREFIX_BYTES, Q0
from dredge_models.registry import ModelError


class HistoryEncoder(Protocol):
    """The methods that PacketHistory needs of dredge_models.dred.DredEncoder."""

    def push(self, pcm: Any) -> None: ...

    def payload(self, redundancy_s: float, q0: int = Q0, dq: int = DQ) -> bytes: ...

    def flush(self) -> None: ...


class PacketHistory:
    """The history of a stream, which it puts into packets. extension_id: 126 with a prefix (libopus), or 32 without.
    """

    def __init__(self, encoder: HistoryEncoder, extension_id: int = DRED_EXTENSION_ID) -> None:
        self._encoder = encoder
        self._id = extension_id

    def push(self, pcm: Any) -> None:
        """Take in int16[320], the speech of the next packet."""
        self._encoder.push(pcm)

    def put_into(self, packet: bytes, redundancy_s: float, q0: int, dq: int) -> bytes:
        """Return the Opus packet with this many seconds of history in its padding; unchanged without history."""
        if redundancy_s <= 0:
            return packet
        from dredge_kernels.extensions import add_extension

        data = self._encoder.payload(redundancy_s, q0, dq)
        if self._id != DRED_EXTENSION_ID:
            data = data[PREFIX_BYTES:]  # the id alone identifies the model
        return bytes(add_extension(packet, self._id, data)) if data else packet

    def flush(self) -> None:
        """Forget the speech so far."""
        self._encoder.flush()


def open_encoder(lookahead: int, version: int) -> HistoryEncoder:
    """Return the encoder of this DRED version's model for speech that is `lookahead` samples late once decoded.

    Raises ModelError when the model is not installed.
    """
    from dredge_models import modelset
    from dredge_models.dred import DredEncoder

    model = modelset.find(version)
    if model is None:
        raise ModelError(f"no model for DRED version {version} here: bring libopus' own with `dredge models import`")
    encoder: HistoryEncoder = DredEncoder(lookahead, model)
    return encoder
