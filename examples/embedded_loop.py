#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A receiver in one loop, without threads: wait for packets until the next 20 ms are due, play them, again.

python examples/embedded_loop.py PORT SECONDS > heard.raw        (16 kHz, mono, int16)
"""

import select
import socket
import sys
import time

from dredge_host import Receiver

PERIOD_S = 0.02


def main(port: int, seconds: float) -> None:
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", port))
    line.setblocking(False)
    print(f"listening {line.getsockname()[1]}", file=sys.stderr, flush=True)
    receiver = Receiver("adaptive")
    due = time.monotonic() + PERIOD_S
    end = due + seconds
    while due < end:
        while (left := due - time.monotonic()) > 0:
            if select.select([line], [], [], left)[0]:
                receiver.push(line.recv(4096))
        sys.stdout.buffer.write(receiver.pull().tobytes())
        due += PERIOD_S
    print(receiver.report()["sources"], file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} PORT SECONDS")
    main(int(sys.argv[1]), float(sys.argv[2]))
