# SPDX-License-Identifier: BSD-2-Clause
"""The bit rate of redundancy by length and quantiser, measured on speech."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.evaluation.results.document import Document
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.sender import BitrateMeter, Sender
from dredge_models.dred import DQ, Q0

NAME, SCHEMA = "bitrate", "dredge.figure.bitrate/1"
LENGTHS_S = (0.1, 0.2, 0.5, 1.0)
# (level of the newest latent, its growth): the sender's default, finer and coarser ones.
QUANTISERS = tuple(sorted({(3, 6), (5, 3), (5, 6), (7, 6), (9, 6), (12, 6), (Q0, DQ)}))
SPEECH_BPS = (8000, 12000, 16000, 24000)
PACKETS_PER_S = 50
BUNDLED = "bundled clip"
WARM_UP = 52  # packets until 1 s of history is available
GOAL_BPS, GOAL_TOTAL_BPS, GOAL_PER_SECOND_BPS = 25000, 31000, 500
SPLITS = {
    "opus": {"redundancy_s": 0.0},
    "lbrr": {"redundancy_s": 0.0, "lbrr": True},
    "dred": {"redundancy_s": 1.0},
    "dred_lbrr": {"redundancy_s": 1.0, "lbrr": True},
}


def measure(
    clips: Sequence[Pcm], speech: str = BUNDLED, progress: Callable[[int, int], None] | None = None
) -> Document:
    """Return the rates over clips, int16[n] each at 16 kHz. Raises InputError when no clip is longer than a second.

    speech: where the clips are from, for the record. In the result, rows: per length and quantiser the bytes in a
    packet (extension framing included), b/s, and b/s per second of features: what each second of the history costs in
    the packet that holds it; only packets with full history count. speech: plain Opus by the rate it is set to. split:
    the parts of whole streams with headers.
    """
    clips = [clip for clip in clips if len(clip) > (WARM_UP + 1) * PACKET_SAMPLES]
    if not clips:
        raise InputError("no clip is longer than 1.1 s: there is no second of history to measure")
    total = 3 * len(clips)
    step = progress or (lambda done, of: None)
    sizes, plain, meters = [], [], {name: BitrateMeter() for name in SPLITS}
    for done, clip in enumerate(clips):
        sizes.append(_history_bytes(clip))
        step(3 * done + 1, total)
        plain.append(_speech_bytes(clip))
        step(3 * done + 2, total)
        for name, options in SPLITS.items():
            _meter(meters[name], clip, options)
        step(3 * done + 3, total)
    return {
        "schema": SCHEMA,
        "from": speech,
        "clips": len(clips),
        "seconds": round(sum(len(clip) for clip in clips) / SAMPLE_RATE, 1),
        "default": {"q0": Q0, "dq": DQ},
        "goals_bps": {"redundancy": GOAL_BPS, "per_second": GOAL_PER_SECOND_BPS, "total": GOAL_TOTAL_BPS},
        "rows": _rows(np.concatenate(sizes)),
        "speech": _rates(np.concatenate(plain)),
        "split": [{"method": name, "bitrate_bps": meter.rates()} for name, meter in meters.items()],
    }


def _history_bytes(pcm: Pcm) -> Any:
    """Return the bytes by which every packet grows, int[packets, lengths * quantisers]."""
    from dredge_kernels.extensions import add_extension
    from dredge_kernels.opus import OpusEncoder
    from dredge_models.dred import DRED_EXTENSION_ID, DredEncoder

    opus = OpusEncoder(bitrate=24000, lbrr=False, loss_pct=20)
    history = DredEncoder(opus.lookahead)
    sizes = []
    for index, piece in enumerate(packets(pcm)):
        plain = opus.encode(piece)
        history.push(piece)
        if index >= WARM_UP:
            wanted = (history.payload(length, *quantiser) for length in LENGTHS_S for quantiser in QUANTISERS)
            sizes.append([len(add_extension(plain, DRED_EXTENSION_ID, data)) - len(plain) for data in wanted])
    return np.array(sizes)


def _speech_bytes(pcm: Pcm) -> Any:
    """Return the bytes of plain Opus, int[packets, rates]."""
    from dredge_kernels.opus import OpusEncoder

    encoders = [OpusEncoder(bitrate=rate, lbrr=False, loss_pct=20) for rate in SPEECH_BPS]
    return np.array([[len(encoder.encode(piece)) for encoder in encoders] for piece in packets(pcm)])


def _meter(meter: BitrateMeter, pcm: Pcm, options: Mapping[str, Any]) -> None:
    with Sender(**options) as sender:
        for piece in packets(pcm):
            meter.add(sender.push(piece).split)


def _rows(sizes: Any) -> list[Document]:
    means = sizes.mean(axis=0).reshape(len(LENGTHS_S), len(QUANTISERS))
    return [
        {
            "redundancy_s": length, "q0": q0, "dq": dq,
            "bytes": round(float(mean), 1),
            "dred_bps": round(8 * PACKETS_PER_S * float(mean)),
            "per_second_bps": round(8 * float(mean) / length),
        }
        for length, line in zip(LENGTHS_S, means, strict=True)
        for (q0, dq), mean in zip(QUANTISERS, line, strict=True)
    ]  # fmt: skip


def _rates(sizes: Any) -> list[Document]:
    rates = 8 * PACKETS_PER_S * sizes.mean(axis=0)
    return [{"set_bps": rate, "speech_bps": round(float(got))} for rate, got in zip(SPEECH_BPS, rates, strict=True)]


def totals(document: Document) -> list[Document]:
    """Return the rate of speech + 1 s of redundancy without headers for every rate and quantiser, and whether it meets
    the goal.
    """
    return [
        {**speech, "q0": row["q0"], "dq": row["dq"], "total_bps": total, "held": total <= GOAL_TOTAL_BPS}
        for speech in document["speech"]
        for row in document["rows"]
        if row["redundancy_s"] == 1.0
        for total in [speech["speech_bps"] + row["dred_bps"]]
    ]
