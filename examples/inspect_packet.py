#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes one packet from the end of a speech file and shows what it says about the second before.

python examples/inspect_packet.py in.wav
"""

import sys

from dredge_device import rtp
from dredge_host.sending.audio import packets, read_audio
from dredge_host.sending.sender import Sender
from dredge_kernels.extensions import read_extensions
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder


def main(source: str) -> None:
    sender = Sender(bitrate=24000, redundancy_s=1.0)
    for piece in packets(read_audio(source).pcm):
        packet = sender.push(piece)
    print(f"packet {packet.index}: {packet.split}")

    opus = rtp.parse(packet.data).payload
    data = next(e.data for e in read_extensions(opus) if e.id == DRED_EXTENSION_ID)
    decoder = DredDecoder()
    past = decoder.parse(data)
    print(f"its {len(data)} bytes of redundancy describe the last {10 * past.span_frames} ms")

    features = decoder.features(past, past.span_frames)  # float32[frames, 20], oldest first
    for number, frame in enumerate(features[::10]):
        age = 10 * (past.span_frames - 10 * number)
        pitch = 16000 * 2 ** (frame[18] + 1.5) / 256
        voiced = "voiced" if frame[19] > 0 else "unvoiced"
        print(f"  {age:5d} ms ago: loudness {frame[0]:6.2f}, pitch {pitch:4.0f} Hz, {voiced}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} IN.wav")
    main(sys.argv[1])
