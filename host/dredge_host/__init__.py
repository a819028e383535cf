# SPDX-License-Identifier: BSD-2-Clause
"""The host side of Dredge: everything that a person runs.

    audio, loss, lossstats     files, loss models and what they did
    sender                     speech → Opus + DRED → RTP packets
    links, session             datagrams and a live stream to a device agent
    simulate                   the same pipeline offline and deterministic
    demo, bench, doctor        the main job, microbenchmarks, one page of facts
    evaluate, report, meter    quality tables, HTML report, live display
    cli                        the `dredge` command; errors has the exit codes

Names are imported on first use, so that `dredge --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

try:
    __version__ = version("dredge")
except PackageNotFoundError:  # a checkout that is run in place
    __version__ = "0+checkout"

_WHERE = {
    "Sender": "sender",
    "Packet": "sender",
    "parse_loss": "loss",
    "read_audio": "audio",
    "write_wav": "audio",
    "open_link": "links",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'dredge_host' has no attribute '{name}'")
    return getattr(import_module(f"dredge_host.{_WHERE[name]}"), name)
