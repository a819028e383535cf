# SPDX-License-Identifier: BSD-2-Clause
"""Writes portable/dred_vectors.json: Opus packets with redundancy, made by the product itself from made-up speech."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from dredge_kernels.extensions import add_extension
from dredge_kernels.opus import OpusEncoder
from dredge_kernels.payloadheader import parse_header
from dredge_models.dred import DRED_EXTENSION_ID, DredEncoder

FILE = Path(__file__).parent / "portable/dred_vectors.json"


def voice(packets: int) -> np.ndarray:
    """A buzz with a changing pitch: the header does not depend on what is said."""
    time = np.arange(320 * packets) / 16000
    return (4000 * np.sign(np.sin(2 * np.pi * (120 + 30 * np.sin(time)) * time))).astype(np.int16)


def head_of(data: bytes) -> list[Any]:
    header = parse_header(data[2:], data[1])
    return [data[1], header.q0, header.dq, header.offset, header.latents, 40 * header.latents]


def make() -> dict[str, Any]:
    """The document; the encoder's networks decide the payloads behind the headers, so compare only the headers."""
    pcm = voice(60)
    opus, dred = OpusEncoder(), DredEncoder(lookahead=OpusEncoder().lookahead)
    packets, without, short = [], [], (b"", 0)
    for index in range(60):
        block = pcm[320 * index : 320 * index + 320]
        plain = opus.encode(block)
        dred.push(block)
        data = dred.payload(0.12 if index == 59 else min(1.0, 0.04 * (index // 2 + 1)), q0=index % 16, dq=index % 8)
        if index % 6 == 5:
            packet = add_extension(plain, DRED_EXTENSION_ID, data)
            packets.append({"packet": packet.hex(), "head": head_of(data)})
            without.append(plain.hex())
            # The history, back from 20 ms after the packet's first sample, in whole packets of 20 ms.
            short = (packet, int(head_of(data)[5] - 2.5 * head_of(data)[3]) // 20)
    return {"packets": packets, "without": without, "short": short[0].hex(), "short_covers": short[1]}


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=0) + "\n")
