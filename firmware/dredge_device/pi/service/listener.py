# SPDX-License-Identifier: BSD-2-Clause
"""The thread that reads datagrams from the link as they arrive; it never waits for a decoder."""

import os
import threading
from collections.abc import Collection
from typing import Any

from dredge_device.pi.service import scheduling
from dredge_device.pi.service.streams.admission import Inbox
from dredge_device.pi.transport.endpoint import Endpoint


class Listener:
    """Fills the inbox from the endpoint, on its maker's cores. ``stopping`` is set when the thread dies of an
    error, because a process that receives nothing must end and be restarted."""

    def __init__(self, endpoint: Endpoint, inbox: Inbox, stopping: threading.Event) -> None:
        self._endpoint = endpoint
        self._inbox = inbox
        self._stopping = stopping
        self._finished = threading.Event()
        self._cores = os.sched_getaffinity(0)  # ``start`` may be called by a thread that is pinned to one core
        self._thread = threading.Thread(target=self._listen, name="listen", daemon=True)
        self.dead = False

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and wait for its end."""
        self._finished.set()
        self._thread.join()

    def _listen(self) -> None:
        scheduling.run_on(self._cores)
        try:
            served: Collection[Any] = ()
            while not self._finished.is_set():
                if self._inbox.running is not served:
                    served = self._inbox.running
                    self._endpoint.serve(served)
                arrived = self._endpoint.recv(0.1)
                if arrived is not None:
                    self._inbox.put(*arrived)
        except BaseException:
            self.dead = True
            self._stopping.set()
            raise
