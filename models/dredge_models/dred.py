# SPDX-License-Identifier: BSD-2-Clause
"""Deep REDundancy (DRED): the payload that a sender adds to every packet, and the features that a receiver takes from
it.
"""

import math
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.decoded import DecodedPayload, PayloadHeader
from dredge_kernels.features import FeatureExtractor
from dredge_kernels.highpass import HighPass
from dredge_kernels.payload import decode_payload, encode_payload
from dredge_kernels.tables import QuantTables
from dredge_models.modelset import SHIPPED, ModelSet, find, imported
from dredge_models.rdovae import FEATURES, FRAMES_PER_LATENT, RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import DRED_EXTENSION_ID, DRED_VERSION, STANDARD_ID, STANDARD_VERSION, ModelError

Array = NDArray[np.float32]

Q0, DQ = 3, 7  # quantiser level of the newest latent and its growth: 1 s in every packet stays under 25 kb/s
MARK = b"D"                  # before the version byte
PREFIX_BYTES = 2
OFFSET = 8                   # ours: the newest frame ends 20 ms after the packet's first sample
LIBOPUS_OFFSET = 10          # the same in libopus' versions, which count to the end of the frame's window (25 ms)
PACKET = 320                 # samples
MAX_LATENTS = 26
RING = 2 * MAX_LATENTS
LATENT_S = 0.04
MAX_BYTES = 1000

# The range of the features of real speech, to which decoded ones are limited, because a payload may be damaged.
_LOW = np.array([-20.0] * 18 + [-1.5, -0.5], np.float32)
_HIGH = np.array([20.0] * 18 + [1.5, 0.5], np.float32)


def carried(ext_id: int, data: bytes) -> bytes | None:
    """Return an extension's DRED data with its two-byte prefix; None for an extension other than DRED."""
    if ext_id == DRED_EXTENSION_ID and data[:1] == MARK and len(data) >= PREFIX_BYTES:
        return bytes(data)
    if ext_id == STANDARD_ID and data:
        return MARK + bytes([STANDARD_VERSION]) + data
    return None


def latents_for(redundancy_s: float) -> int:
    """Return the number of latents that reach `redundancy_s` seconds back from the packet's start, 0 … 26.

    The newest latent also describes the packet's own 20 ms: as the vocoder's context.
    """
    if not redundancy_s >= 0:
        raise ValueError(f"redundancy: expected seconds >= 0, got {redundancy_s}")
    if redundancy_s == 0:
        return 0
    return min(MAX_LATENTS, math.ceil(round((redundancy_s + 0.02) / LATENT_S, 6)))


class DredEncoder:
    """The sender's side of DRED. The cost of `push` does not depend on the redundancy of `payload`."""

    def __init__(self, lookahead: int = 104, model: ModelSet = SHIPPED) -> None:
        """Open the networks of a model.

        lookahead: samples by which the Opus decoder's output is late; the features are aligned to it. model: the model
        of the streams. Raises ModelError when its files are missing or damaged.
        """
        delay = (lookahead - 80) % 160
        self._prefix = MARK + bytes([model.version])
        self._offset = OFFSET if model.version == DRED_VERSION else LIBOPUS_OFFSET
        self._tables = model.tables
        self._delayed = np.zeros(delay, np.int16)
        self._highpass = HighPass()   # Opus removes frequencies below speech, so the features must not describe them
        self._extractor = FeatureExtractor()
        self._encoder = RdoVaeEncoder(model)
        # A packet contains every second latent, so twice as many are kept. The newest is at
        # `_newest`, older ones follow; every row is stored twice, RING apart, so that any stretch
        # of the ring is one slice.
        self._latents = np.zeros((2 * RING, self._encoder.latent_dim), np.float32)
        self._states = np.zeros((RING, self._encoder.state_dim), np.float32)
        self._newest = self._count = 0

    def push(self, pcm: NDArray[np.int16]) -> None:
        """Take in int16 [320], the samples that the Opus encoder gets for this packet. Raises ValueError for anything
        else.
        """
        if pcm.shape != (PACKET,) or pcm.dtype != np.int16:
            raise ValueError(f"pcm: expected int16 [320], got {pcm.dtype} {list(pcm.shape)}")
        joined = np.concatenate([self._delayed, self._highpass.process(pcm)])
        self._delayed = joined[PACKET:]
        latent, state = self._encoder.push(self._extractor.process(joined[:PACKET]))
        self._newest = (self._newest - 1) % RING
        self._latents[self._newest] = self._latents[self._newest + RING] = latent
        self._states[self._newest] = state
        self._count = min(self._count + 1, RING)

    def payload(self, redundancy_s: float, q0: int = Q0, dq: int = DQ,
                max_bytes: int = MAX_BYTES) -> bytes:
        """Return the extension data for the packet just pushed: prefix and payload, b"" without any features.

        redundancy_s: length of the history before the packet's start, at most 1.02 s; q0, dq: quantiser level of the
        newest latent and its slope (docs/reference/bitstream.md). ValueError for bad arguments.
        """
        span = min(2 * latents_for(redundancy_s), self._count)
        if span == 0:
            return b""
        latents = np.ascontiguousarray(self._latents[self._newest : self._newest + span : 2])
        room = min(max_bytes, MAX_BYTES) - PREFIX_BYTES
        coded = self._code(latents, q0, dq, room)
        if coded and self._tables.version != DRED_VERSION:
            # Without a count a decoder takes the last 7 bits for padding and ignores latents in them, so those are left
            # out.
            while heard := len(decode_payload(coded, self._tables).latents):
                if heard >= len(latents):
                    break
                latents = latents[:heard]
                coded = self._code(latents, q0, dq, room)
        return self._prefix + coded if coded else b""

    def _code(self, latents: Array, q0: int, dq: int, room: int) -> bytes:
        return encode_payload(latents, self._states[self._newest], self._tables, q0, dq, offset=self._offset,
                              max_bytes=room)

    def flush(self) -> None:
        """Forget all speech so far (after a mute, no earlier speech may be sent)."""
        self._newest = self._count = 0
        self._latents[:] = 0
        self._states[:] = 0
        self._delayed = np.zeros_like(self._delayed)
        self._highpass.reset()
        self._extractor.reset()
        self._encoder.reset()


@dataclass(eq=False)
class DredPacket:
    """A parsed extension; features are decoded on demand and cached."""

    version: int                      #: DRED version: of the model that made it
    header: PayloadHeader             #: its offset counts from the first sample of the whole packet
    levels: NDArray[np.int32]
    span_frames: int                  #: 10 ms frames it can describe
    _coded: DecodedPayload
    _network: RdoVaeDecoder
    _rows: Array = field(default_factory=lambda: np.empty((0, FEATURES), np.float32))  # decoded so far, oldest first
    _memory: Array | None = None

    @property
    def decoded_frames(self) -> int:
        """Frames decoded so far."""
        return len(self._rows)


class DredDecoder:
    """The receiver's side of DRED: one network per model, shared by all packets."""

    def __init__(self) -> None:
        """Load the shipped network and every imported one, so that nothing is loaded while a period is due.

        Raises ModelError when files of the shipped one are missing or damaged; a damaged imported one counts as
        absent (`dredge models verify` names it).
        """
        self._models: dict[int, tuple[QuantTables, RdoVaeDecoder] | None] = {}
        self._model(DRED_VERSION)
        for model in imported():
            try:
                self._model(model.version)
            except ModelError:
                self._models[model.version] = None

    def parse(self, data: bytes, frame_offset: int = 0) -> DredPacket:
        """Parse extension data and return a DredPacket; its version byte selects the model.

        frame_offset: where the extension's frame begins in a packet of several, 2.5 ms units (Extension.frame times the
        frame's length). ValueError when there is no model for the version, or the data is damaged or cut short.
        """
        if data[:1] != MARK:
            raise ValueError("DRED: the extension does not start with 'D'")
        if len(data) < PREFIX_BYTES:
            raise ValueError("DRED: expected a version byte, got the end of the extension")
        version = data[1]
        model = self._model(version)
        if model is None:
            raise ValueError(f"DRED: no model for version {version} here: see `dredge models import`")
        tables, network = model
        coded = decode_payload(data[PREFIX_BYTES:], tables, MAX_LATENTS)
        header = replace(coded.header, offset=coded.header.offset + frame_offset)
        return DredPacket(version, header, coded.levels, FRAMES_PER_LATENT * len(coded.latents), coded, network)

    def _model(self, version: int) -> tuple[QuantTables, RdoVaeDecoder] | None:
        """Return the tables and network of a version, None where there is no model. A model imported meanwhile is
        loaded now.
        """
        if version not in self._models:
            model = find(version)
            self._models[version] = (model.tables, RdoVaeDecoder(model)) if model else None
        return self._models[version]

    def features(self, packet: DredPacket, frames: int) -> Array:
        """Return the newest `frames` frames, float32 [frames, 20], oldest first.

        Decodes only as far back as needed and continues there next time. ValueError when the packet does not reach that
        far.
        """
        if not 0 <= frames <= packet.span_frames:
            raise ValueError(f"frames: expected 0 to {packet.span_frames}, got {frames}")
        if frames == 0:
            return np.empty((0, FEATURES), np.float32)
        self._decode(packet, -(-frames // FRAMES_PER_LATENT))
        return packet._rows[len(packet._rows) - frames :].copy()

    def _decode(self, packet: DredPacket, latents: int) -> None:
        known = packet.decoded_frames // FRAMES_PER_LATENT
        if known >= latents:
            return
        network = packet._network
        if packet._memory is None:
            network.start(packet._coded.state)
        else:
            network.resume(packet._memory)
        blocks = network.steps(packet._coded.latents[known:latents], packet.levels[known:latents])
        older = np.clip(blocks[::-1].reshape(-1, FEATURES), _LOW, _HIGH)
        packet._rows = np.concatenate((older, packet._rows))
        packet._memory = network.memory
