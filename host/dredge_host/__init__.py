# SPDX-License-Identifier: BSD-2-Clause
"""The host side of Dredge: everything that a person runs.

    sending       speech → Opus + DRED → RTP packets; loss models, network models, audio files
    links         datagrams over UDP, a serial line or within the process
    live          a stream to a device in real time: session, display, verdict
    offline       the same pipeline without a clock, deterministic
    capture       packets in files: read, written, explained
    evaluation    quality tables; figures, charts and report draw them
    bench         microbenchmarks; doctor: one page of facts; deploy: installation on a device
    cli           the `dredge` command; errors has the exit codes

Names are imported on first use, so that `dredge --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("dredge-audio")
except PackageNotFoundError:  # a checkout that is run in place
    __version__ = "0+checkout"

_WHERE = {
    "Sender": "sending.sender",
    "Packet": "sending.sender",
    "parse_loss": "sending.loss",
    "read_audio": "sending.audio",
    "write_audio": "sending.audio",
    "open_link": "links.open",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'dredge_host' has no attribute '{name}'")
    return getattr(import_module(f"dredge_host.{_WHERE[name]}"), name)
