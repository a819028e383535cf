#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""An intercom on a sound card's callback: the card pulls speech, a thread pushes packets, nobody holds a lock.

python examples/sounddevice_callback.py LISTEN_PORT HOST:PORT [SECONDS]
"""

import queue
import socket
import sys
import threading
import time
from typing import Any

import numpy as np
import sounddevice

from dredge_host import Receiver, Sender


def main(port: int, remote: tuple[str, int], seconds: float) -> None:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("0.0.0.0", port))
    line.settimeout(0.1)
    sender, receiver = Sender(), Receiver("adaptive")
    spoken: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    running = True

    def callback(indata: Any, outdata: Any, frames: int, when: Any, status: Any) -> None:
        spoken.put(bytes(indata))
        outdata[:] = receiver.read(frames).tobytes()

    def send() -> None:
        rest = b""
        while running:
            try:
                rest += spoken.get(timeout=0.1)
            except queue.Empty:
                continue
            while len(rest) >= 640:
                packet = sender.push(np.frombuffer(rest[:640], np.int16))
                line.sendto(packet.data, remote)
                rest = rest[640:]

    def receive() -> None:
        while running:
            try:
                receiver.push(line.recv(4096))
            except OSError:
                continue

    threads = [threading.Thread(target=work, daemon=True) for work in (send, receive)]
    with sounddevice.RawStream(16000, 320, None, 1, "int16", "low", callback=callback):
        for thread in threads:
            thread.start()
        time.sleep(seconds)
    running = False
    for thread in threads:
        thread.join()
    report = receiver.report()
    print(f"sent {sender.sent}, heard {report['sources']}, delay {report['delay_ms']['mean']} ms")


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"usage: {sys.argv[0]} LISTEN_PORT HOST:PORT [SECONDS]")
    host, _, there = sys.argv[2].rpartition(":")
    main(int(sys.argv[1]), (host, int(there)), float(sys.argv[3]) if len(sys.argv) == 4 else 1e9)
