#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Any transport will do: packets are bytes in and bytes out. Here they cross a pipe with a length before each.

python examples/own_transport.py in.wav out.wav
"""

import os
import struct
import sys
from typing import BinaryIO

import numpy as np

from dredge_host import Receiver, Sender, parse_loss, read_audio, write_audio


def put(pipe: BinaryIO, packet: bytes) -> None:
    pipe.write(struct.pack(">H", len(packet)) + packet)


def get(pipe: BinaryIO) -> bytes:
    head = pipe.read(2)
    return pipe.read(struct.unpack(">H", head)[0]) if len(head) == 2 else b""


def main(source: str, target: str) -> None:
    there, here = os.pipe()
    pcm = read_audio(source).pcm
    loss = parse_loss("gilbert:rate=10%,burst=3")
    now = 0.0  # the receiver's clock; a real one would be time.monotonic
    sender, receiver = Sender(redundancy_s=0.5), Receiver("fixed:300", clock=lambda: now)
    heard = []
    with os.fdopen(there, "rb") as out, os.fdopen(here, "wb", buffering=0) as into:
        for start in range(0, len(pcm) - 319, 320):
            packet = sender.push(pcm[start : start + 320])
            put(into, b"" if loss.lost() else packet.data)
            if datagram := get(out):
                receiver.push(datagram, now)
            heard.append(receiver.pull())
            now += 0.02
    write_audio(target, np.concatenate(heard))
    print({name: count for name, count in receiver.report()["sources"].items() if count})


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} IN.wav OUT.wav")
    main(*sys.argv[1:])
