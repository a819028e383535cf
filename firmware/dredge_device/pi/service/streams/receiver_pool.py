# SPDX-License-Identifier: BSD-2-Clause
"""A pool of receivers, built in a separate thread so that decoding never waits for it."""

import json
import threading
from collections.abc import Callable
from typing import Any

from dredge_device.pi.schema.documents import SessionRequest

_WAITING = 64  # most builds requested at once; usually one per stream


class ReceiverPool:
    """Builds receivers ahead and on demand. ``build(options)`` runs in the thread; the first receiver is built by the
    constructor, so that missing models or a missing libopus raise an error at the start."""

    def __init__(self, build: Callable[[SessionRequest], Any], usual: SessionRequest) -> None:
        self._build = build
        self._usual = _key(usual)
        self._changed = threading.Condition()
        self._ready: dict[str, list[Any]] = {self._usual: [build(usual)]}
        self._wanted: list[str] = []
        self._failed: dict[str, str] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="build", daemon=True)
        self._thread.start()

    def make(self, options: SessionRequest) -> Any:
        """Return an unused receiver with these options, or None while it is being built; then call again.

        Raises RuntimeError with a sentence when it could not be built.
        """
        key = _key(options)
        with self._changed:
            if key in self._failed:
                raise RuntimeError(self._failed.pop(key))
            ready = self._ready.get(key, [])
            made = ready.pop() if ready else None
            if not ready and key != self._usual:
                self._ready.pop(key, None)
            if made is None:
                self._want(key)
            elif key == self._usual and not ready:
                self._want(key)  # build the next one ahead of its request
            return made

    def close(self) -> None:
        """End the thread after the build in progress."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _want(self, key: str) -> None:
        if key not in self._wanted and len(self._wanted) < _WAITING:
            self._wanted.append(key)
            self._changed.notify()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._wanted and not self._closing:
                    self._changed.wait()
                if self._closing:
                    return
                key = self._wanted[0]
            try:
                made, error = self._build(json.loads(key)), ""
            except Exception as failure:  # any failure is reported to the session that asked
                made, error = None, str(failure) or type(failure).__name__
            with self._changed:
                self._wanted.remove(key)
                if made is None:
                    self._failed[key] = error
                else:
                    self._ready.setdefault(key, []).append(made)
                self._forget()

    def _forget(self) -> None:
        """Drop receivers that were requested and not fetched (the session ended), so that they do not accumulate."""
        unusual = [key for key in self._ready if key != self._usual]
        for key in unusual[: max(0, len(unusual) - 4)]:
            del self._ready[key]
        for key in list(self._failed)[: max(0, len(self._failed) - 16)]:
            del self._failed[key]


def _key(options: SessionRequest) -> str:
    return json.dumps(options, sort_keys=True)
