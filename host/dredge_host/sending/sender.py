# SPDX-License-Identifier: BSD-2-Clause
"""The sender: it encodes speech to RTP packets with Opus and deep redundancy."""

from __future__ import annotations

import secrets
from collections import deque
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from dredge_device.units import PACKET_SAMPLES, PACKET_SECONDS, RTP_TICKS_PER_PACKET
from dredge_host.errors import UsageError
from dredge_host.sending.history import HistoryEncoder, PacketHistory, open_encoder
from dredge_host.settings import Settings
from dredge_models.dred import DQ, DRED_EXTENSION_ID, Q0
from dredge_models.registry import DRED_VERSION

DTX_BYTES = 2
SSRC = 0x44524447  # "DRDG"
PARTS = ("speech", "lbrr", "dred", "headers")
HEADER_BYTES = 12 + 8 + 20  # RTP, UDP, IPv4

# With LBRR the low-rate copy takes part of the encoder's bit rate, which is therefore higher (by 12 kb/s at 24). The
# more loss libopus expects, the finer and larger it makes the copy: with 2 % it leaves more to the speech. With 1.5 and
# 2 % DRED + LBRR scores what it does with 1.7 and 5 %, or more, at 5 kb/s less (docs/notes/results.md).
LBRR_RATE_FACTOR = 1.5
LBRR_LOSS_PCT = 2


@dataclass(frozen=True)
class Split:
    """The bytes of one packet by their use.

    `dred` is the growth of the packet by the extension, framing and padding length included. `lbrr` cannot
    be read from a packet, so it is estimated against a twin encoder that gets the same speech at the same bit rate
    without LBRR: the size of the real packet minus that of the twin's. The twin runs only when LBRR is on.
    """

    speech: int
    lbrr: int
    dred: int
    headers: int

    @property
    def total(self) -> int:
        return self.speech + self.lbrr + self.dred + self.headers


@dataclass(frozen=True)
class Packet:
    """One RTP datagram; index counts periods from 0, split is in bytes on the wire.

    data is empty in a period in which DTX sends nothing.
    """

    data: bytes
    split: Split
    index: int


class SpeechEncoder(Protocol):
    """The methods that Sender needs of dredge_kernels.opus.OpusEncoder."""

    @property
    def lookahead(self) -> int: ...

    def encode(self, pcm: Any) -> bytes: ...

    def reset(self) -> None: ...

    def set_bitrate(self, value: int) -> None: ...

    def set_lbrr(self, value: bool) -> None: ...

    def set_loss_pct(self, value: int) -> None: ...


class Sender:
    """A sender of Opus (RFC 7587) with DRED in the padding, one 20 ms packet per push.

    bitrate: speech in b/s; LBRR and DRED come on top (`steer` changes that between packets). redundancy_s: history
    in every packet, 0 sends none. q0, dq: quantiser level of the newest latent and how fast it grows with age; all
    three may change between packets. dtx: in a pause one short packet announces it (and repeats the history, so that
    a loss before the pause can be recovered), then nothing is sent until Opus renews the background noise or speech
    resumes (RFC 7587 section 3.1.3). dred_version: the model of the history; ModelError when it is not imported.
    dred_id: the extension that carries it, 126 with a prefix (libopus) or 32 without (draft-ietf-mlcodec-opus-dred).
    Raises UsageError for a value outside the limits of `Settings`.
    """

    def __init__(
        self,
        bitrate: int = 24000,
        redundancy_s: float = 1.0,
        lbrr: bool = False,
        loss_pct: int = 20,
        q0: int = Q0,
        dq: int = DQ,
        *,
        dtx: bool = False,
        dred_version: int = DRED_VERSION,
        dred_id: int = DRED_EXTENSION_ID,
        ssrc: int = SSRC,
        first_sequence: int = 0,
        first_timestamp: int = 0,
        encoder: SpeechEncoder | None = None,
        twin: SpeechEncoder | None = None,
        history: HistoryEncoder | None = None,
    ) -> None:
        Settings(bitrate=bitrate, redundancy_s=redundancy_s, loss_pct=loss_pct,
                 dred_version=dred_version, dred_id=dred_id)  # fmt: skip
        self.redundancy_s, self.lbrr, self.q0, self.dq = redundancy_s, lbrr, q0, dq
        self.ssrc, self.first_sequence, self.first_timestamp = ssrc, first_sequence, first_timestamp
        self.muted, self.index = False, 0
        self.sent = 0  # packets sent, the distance to the next sequence number
        self._resting = False
        self.bitrate, self._loss_pct = bitrate, loss_pct
        self._encoder = encoder or _opus(_with_lbrr(bitrate, lbrr), lbrr, loss_pct, dtx)
        self._twin = (twin or _opus(bitrate, False, loss_pct)) if lbrr else None
        if redundancy_s > 0 and history is None:
            history = open_encoder(self._encoder.lookahead, dred_version)
        self._history = None if history is None else PacketHistory(history, dred_id)

    @classmethod
    def from_settings(cls, settings: Settings, live: bool = False) -> Sender:
        """Return the sender of these settings.

        live: SSRC, first sequence number and timestamp are random (RFC 3550 section 5.1), so that nobody off the path
        can guess them; otherwise every run is the same.
        """
        sender = cls(
            settings.bitrate,
            settings.redundancy_s,
            settings.lbrr,
            settings.loss_pct,
            dtx=settings.dtx,
            dred_version=settings.dred_version,
            dred_id=settings.dred_id,
        )
        if live:
            sender.ssrc, sender.first_timestamp = secrets.randbits(32), secrets.randbits(32)
            sender.first_sequence = secrets.randbits(16)
        return sender

    @property
    def lookahead(self) -> int:
        """Samples by which decoded speech is later than the input (16 kHz)."""
        return self._encoder.lookahead

    def close(self) -> None:
        """Free the encoders; the sender cannot be used afterwards."""
        for encoder in (self._encoder, self._twin):
            release = getattr(encoder, "close", None)
            if release is not None:
                release()

    def __enter__(self) -> Sender:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def steer(self, bitrate: int, lbrr: bool) -> None:
        """Set the b/s of speech from the next packet on, with LBRR (if the sender was made with it) or without."""
        lbrr = lbrr and self._twin is not None
        self._encoder.set_bitrate(_with_lbrr(bitrate, lbrr))
        if self._twin is not None:
            self._twin.set_bitrate(bitrate)
            self._encoder.set_lbrr(lbrr)
            self._encoder.set_loss_pct(_expected(self._loss_pct, lbrr))
        self.bitrate, self.lbrr = bitrate, lbrr

    def mute(self, on: bool = True) -> None:
        """Send silence, or speech again; no later packet holds speech from before or during the mute (`flush`)."""
        if on and not self.muted:
            self.flush()
        self.muted = on

    def flush(self) -> None:
        """Forget all speech so far, so that no later packet holds it: on mute, and before packets under new keys.

        Not only the history is cleared: the next packet's low-rate copy (LBRR) repeats the last 20 ms, its own
        samples begin with the look-ahead of earlier speech, and the coder predicts from that.
        """
        for part in (self._encoder, self._twin):
            if part is not None:
                part.reset()
        if self._history is not None:
            self._history.flush()

    def push(self, pcm: NDArray[np.int16]) -> Packet:
        """Encode int16[320] (20 ms at 16 kHz). Raises UsageError for another shape or type."""
        from dredge_device import rtp

        pcm = _checked(pcm)
        if self.muted:
            pcm = np.zeros_like(pcm)
        plain = self._encoder.encode(pcm)
        resting = len(plain) <= DTX_BYTES
        payload = plain
        if self._history is not None:
            self._history.push(pcm)
            if not self.muted:
                payload = self._history.put_into(plain, self.redundancy_s, self.q0, self.dq)
        if resting and self._resting:
            packet = Packet(b"", Split(0, 0, 0, 0), self.index)
        else:
            marker = self.index == 0 or (self._resting and not resting)
            data = rtp.build(self.next_sequence, self._timestamp(self.index), self.ssrc, payload, marker=marker)
            twin = self._twin.encode(pcm) if self._twin is not None and self.lbrr else None
            packet = Packet(data, _split(plain, payload, twin), self.index)
            self.sent += 1
        self._resting = resting
        self.index += 1
        return packet

    @property
    def next_sequence(self) -> int:
        """The running sequence number of the next packet, whose lower 16 bits are sent."""
        return self.first_sequence + self.sent

    @property
    def last_timestamp(self) -> int:
        """The RTP timestamp of the last period."""
        return self._timestamp(self.index - 1) & 0xFFFFFFFF

    def _timestamp(self, index: int) -> int:
        return self.first_timestamp + index * RTP_TICKS_PER_PACKET


class BitrateMeter:
    """The bit rates of a stream, over the whole of it and over its last second."""

    def __init__(self) -> None:
        self.packets = 0
        self._bytes = dict.fromkeys(PARTS, 0)
        self._recent: deque[Split] = deque(maxlen=50)

    def add(self, split: Split) -> None:
        self.packets += 1
        self._recent.append(split)
        for name in PARTS:
            self._bytes[name] += getattr(split, name)

    def rates(self) -> dict[str, float]:
        """Return the mean b/s of each part over all packets added."""
        seconds = max(1, self.packets) * PACKET_SECONDS
        return {name: round(8 * count / seconds, 1) for name, count in self._bytes.items()}

    def total(self) -> float:
        return round(sum(self.rates().values()), 1)

    def recent(self) -> dict[str, float]:
        """Return the b/s of each part over the last second."""
        seconds = max(1, len(self._recent)) * PACKET_SECONDS
        return {name: round(8 * sum(getattr(s, name) for s in self._recent) / seconds, 1) for name in PARTS}

    def recent_total(self) -> float:
        return round(sum(self.recent().values()), 1)


def _split(plain: bytes, payload: bytes, twin: bytes | None) -> Split:
    """Return the split. plain, payload: the packet without and with DRED; twin: the packet without LBRR, None without a
    twin.
    """
    speech = len(plain) if twin is None else min(len(plain), len(twin))
    return Split(speech, len(plain) - speech, len(payload) - len(plain), HEADER_BYTES)


def _with_lbrr(bitrate: int, lbrr: bool) -> int:
    """Return the encoder's rate with which the speech keeps `bitrate` beside its low-rate copy."""
    return round(bitrate * LBRR_RATE_FACTOR) if lbrr else bitrate


def _checked(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
    if not isinstance(pcm, np.ndarray) or pcm.dtype != np.int16 or pcm.shape != (PACKET_SAMPLES,):
        got = f"{getattr(pcm, 'dtype', type(pcm).__name__)}{list(np.shape(pcm))}"
        raise UsageError(f"a packet is int16[{PACKET_SAMPLES}], got {got}")
    return np.ascontiguousarray(pcm)


def _opus(bitrate: int, lbrr: bool, loss_pct: int, dtx: bool = False) -> SpeechEncoder:
    from dredge_kernels.opus import OpusEncoder

    return OpusEncoder(bitrate=bitrate, lbrr=lbrr, loss_pct=_expected(loss_pct, lbrr), dtx=dtx)


def _expected(loss_pct: int, lbrr: bool) -> int:
    """Return the expected loss to set in the Opus encoder."""
    return min(loss_pct, LBRR_LOSS_PCT) if lbrr else loss_pct
