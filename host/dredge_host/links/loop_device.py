# SPDX-License-Identifier: BSD-2-Clause
"""A device inside this process: the agent core and a receiver behind a loop link."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from dredge_device.agent import Agent
from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.schema.documents import Description, SessionRequest
from dredge_device.pi.schema.report import OutputReport
from dredge_device.pi.service.options import SessionOptions
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_host.links.loop import LoopLink, loop_pair

MakeReceiver = Callable[[SessionRequest], Any]
_PEER = "loop"


class _NoOutput:
    """An output that keeps nothing; the host gets the device's report."""

    def write(self, pcm: Pcm, of_stream: bool, at_us: int) -> None:
        """Drop the samples."""

    def close(self) -> OutputReport:
        """Return an empty report."""
        return {}

    def discard(self) -> None:
        """Do nothing, since nothing is open."""


class LoopDevice:
    """A device's agent in a thread, driven as the device process drives its streams; `link` is the host's end.

    make_receiver: by session options, in place of the real one; info: the answer to hello, by default this machine's.
    Close it when done.
    """

    def __init__(
        self,
        make_receiver: MakeReceiver | None = None,
        info: Description | None = None,
        conceal: str = "dred",
    ) -> None:
        self.link, self._far = loop_pair()
        options = SessionOptions(conceal=conceal).for_session()
        agent = Agent(make_receiver or _real_receiver, options, _identity() if info is None else info)
        self._sessions = Sessions(lambda index: StreamSession(agent, _NoOutput()))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop device", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the device's thread."""
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        """End the device and close the host's end."""
        self.stop()
        self.link.close()

    def __enter__(self) -> LoopLink:
        return self.link

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        pacer = Pacer()
        while not self._stop.is_set():
            self._listen(pacer.due_us)
            if pacer.passed():
                for answer, _ in self._sessions.period(monotonic_us()):
                    self._far.send(answer)

    def _listen(self, until_us: int) -> None:
        left_us = 1
        while left_us > 0:
            left_us = until_us - monotonic_us()
            datagram = self._far.recv(max(0, left_us) / 1e6)
            if datagram is not None:
                for answer in self._sessions.handle(datagram, _PEER, monotonic_us()):
                    self._far.send(answer)


def open_loop() -> LoopLink:
    """Return a link to a new device in this process, which ends when the link is closed."""
    device = LoopDevice()
    device.link.on_close = device.stop
    return device.link


def _real_receiver(options: SessionRequest) -> Any:
    from dredge_device.pi.factory import ModelCache
    from dredge_device.pi.service.building import make_receiver

    return make_receiver(options, ModelCache())


def _identity() -> Description:
    from dredge_device.pi.service.capabilities import describe

    return describe()
