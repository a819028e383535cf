# SPDX-License-Identifier: BSD-2-Clause
"""A device inside this process: the agent core and a receiver behind a loop link."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from dredge_device.agent import ACTIVE, DRAINING, Agent
from dredge_device.pi.service.options import SessionOptions
from dredge_host.links.loop import LoopLink, loop_pair

MakeReceiver = Callable[[dict[str, Any]], Any]


class LoopDevice:
    """Runs a device agent in a thread; `link` is the host's end. Close it when done."""

    def __init__(
        self,
        make_receiver: MakeReceiver | None = None,
        info: dict[str, Any] | None = None,
        conceal: str = "dred",
    ) -> None:
        self.link, self._far = loop_pair()
        options = SessionOptions(conceal=conceal).for_session()
        self.agent = Agent(make_receiver or _real_receiver, options, _identity() if info is None else info)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="loop device", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends the device's thread."""
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        """Ends the device and closes the host's end."""
        self.stop()
        self.link.close()

    def __enter__(self) -> LoopLink:
        return self.link

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            due += 0.02
            self._listen(due)
            self._period()

    def _listen(self, until: float) -> None:
        while True:
            left = until - time.monotonic()
            datagram = self._far.recv(max(0.0, left))
            if datagram is not None:
                self._reply(self.agent.handle(datagram, "loop", time.monotonic_ns() // 1000))
            if left <= 0:
                return

    def _period(self) -> None:
        if self.agent.state in (ACTIVE, DRAINING):
            played = self.agent.receiver.pull()
            for frame in played.frames:
                self.agent.played(frame.packet, frame.source, frame.delay_us, frame.cpu_us, frame.reason)
        self._reply(self.agent.tick(time.monotonic_ns() // 1000))
        if self.agent.over():
            self.agent.renew()

    def _reply(self, datagrams: list[bytes]) -> None:
        for datagram in datagrams:
            self._far.send(datagram)


def open_loop() -> LoopLink:
    """Return a link to a new device in this process, which ends when the link is closed."""
    device = LoopDevice()
    device.link.on_close = device.stop
    return device.link


def _real_receiver(options: dict[str, Any]) -> Any:
    from dredge_device.pi.factory import ModelCache
    from dredge_device.pi.service.building import make_receiver

    return make_receiver(options, ModelCache())


def _identity() -> dict[str, Any]:
    from dredge_device.pi.service.capabilities import describe

    return describe()
