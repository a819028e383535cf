# SPDX-License-Identifier: BSD-2-Clause
"""The host side of Dredge: the programs that a user runs.

    sending       speech → Opus + DRED → RTP packets; loss models, network models, audio files
    links         datagrams over UDP, a serial line or within the process
    talk          speech both ways between two ends; audio_io: microphones, pipes and files as sources
    embed         the pipeline inside another program: thread-safe receiver, asyncio (docs/guide/python.md)
    live          a stream to a device in real time: session, display, verdict
    offline       the same pipeline without a clock, deterministic
    capture       packets in files: read, written, explained
    evaluation    quality tables; figures, charts and report draw them
    bench         microbenchmarks; doctor: one page of facts; deploy: installation on a device
    cli           the `dredge` command; errors has the exit codes, settings has the options of a run
    legend        names and colours of the sources of packets; progress: the one bar for long work

Names are imported on first use, so that `dredge --help` is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_WHERE = {
    "Sender": "sending.sender",
    "Packet": "sending.sender",
    "Receiver": "embed.receiver",
    "Duplex": "embed.duplex",
    "Talk": "talk.talk",
    "TalkOptions": "talk.options",
    "Settings": "settings",
    "open_link": "links.open",
    "parse_loss": "sending.loss",
    "read_audio": "sending.audio",
    "write_audio": "sending.audio",
}

if TYPE_CHECKING:
    from dredge_host.embed.duplex import Duplex
    from dredge_host.embed.receiver import Receiver
    from dredge_host.links.open import open_link
    from dredge_host.sending.audio import read_audio, write_audio
    from dredge_host.sending.loss import parse_loss
    from dredge_host.sending.sender import Packet, Sender
    from dredge_host.settings import Settings
    from dredge_host.talk.options import TalkOptions
    from dredge_host.talk.talk import Talk

    __version__: str

__all__ = [
    "Duplex", "Packet", "Receiver", "Sender", "Settings", "Talk", "TalkOptions", "open_link", "parse_loss",
    "read_audio", "write_audio",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return _version()
    if name not in _WHERE:
        raise AttributeError(f"module 'dredge_host' has no attribute '{name}'")
    return getattr(import_module(f"dredge_host.{_WHERE[name]}"), name)


def _version() -> str:
    """Return the installed version. It is read on demand, because that takes longer than all imports of `dredge
    --help`.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dredge-audio")
    except PackageNotFoundError:  # a checkout that is run in place
        return "0+checkout"
