# SPDX-License-Identifier: BSD-2-Clause
"""Ports for a program that must be told one before it opens it."""

import random
import socket

# Below 32768: the system hands out ports above to whoever asks for any, other tests at the same moment among them.
LOWEST, END = 12000, 32000
_given: set[int] = set()


def _is_free(port: int) -> bool:
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """An even port of 127.0.0.1 that is free for UDP and TCP, as is its odd neighbour; each is given once."""
    while True:
        port = random.SystemRandom().randrange(LOWEST, END, 2)
        if port not in _given and _is_free(port) and _is_free(port + 1):
            _given.add(port)
            return port
