# SPDX-License-Identifier: BSD-2-Clause
"""Ports for a program that must be told one before it opens it."""

import random
import socket
import sys

# Below 32768: the system hands out ports above to whoever asks for any, other tests at the same moment among them.
LOWEST, END = 12000, 32000
_given: dict[int, socket.socket | None] = {}


def _reserved(port: int) -> bool:
    """Reserve a port until this process ends, so that no test in another process is given it as well.

    The reservation is the name of a socket in the kernel's own list (unix(7), abstract): nothing is left on the disk.
    """
    if port in _given:
        return False
    _given[port] = None
    if not sys.platform.startswith("linux"):
        return True
    mine = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        mine.bind(f"\0dredge-tests-port-{port}")
    except OSError:
        mine.close()
        return False
    _given[port] = mine
    return True


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
        if _reserved(port) and _is_free(port) and _is_free(port + 1):
            return port
