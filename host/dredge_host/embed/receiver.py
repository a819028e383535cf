# SPDX-License-Identifier: BSD-2-Clause
"""A receiver for other programs' threads."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType

import numpy as np

from dredge_device.pi.clock import microseconds
from dredge_device.pi.interfaces import Pcm
from dredge_device.pi.playing.played import Played
from dredge_device.pi.receiver import Receiver as Pipeline
from dredge_device.pi.schema.report import DeviceReport
from dredge_host.errors import UsageError
from dredge_host.settings import parse_playout
from dredge_models import vocoders

_CAPACITY = 4096  # datagrams that wait for the next pull: 80 s
_MOST_READ = 960_000  # most samples at once: a minute


class Receiver:
    """A receiver that other threads may feed: RTP packets in, speech out; lost speech is recovered from redundancy or
    concealed.

    `push` may be called from any thread, `pull` or `read` from one other (a sound card's callback): callers need not
    hold a lock, and `push` never waits.

    playout: ``fixed:<ms>`` or ``adaptive[:<longest ms>]``; conceal: dred, plc or opus; vocoder: a name of
    `dredge_models.vocoders`; opus_complexity: of libopus' decoder (6 and 7 enhance speech, where libopus 1.5 or later
    was built for it, else CapabilityError); clock: returns seconds; pipeline: replaces the receiver made from these
    options.

    Raises UsageError for a malformed playout, ValueError for an unknown mode or vocoder, ModelError for missing
    weights.
    """

    def __init__(
        self,
        playout: str = "adaptive",
        conceal: str = "dred",
        vocoder: str = vocoders.DEFAULT,
        *,
        opus_complexity: int = 0,
        clock: Callable[[], float] = time.monotonic,
        pipeline: Pipeline | None = None,
    ) -> None:
        adaptive, milliseconds = parse_playout(playout)
        self._clock = clock
        # With another clock the receiver is deterministic.
        own = None if clock is time.monotonic else lambda: microseconds(clock())
        self._pipeline = pipeline or Pipeline(
            milliseconds, conceal, clock_us=own, adaptive=adaptive, vocoder=vocoder, opus_complexity=opus_complexity
        )
        self._arrived: deque[tuple[bytes, int]] = deque(maxlen=_CAPACITY)
        self._busy = threading.Lock()
        self._rest = np.zeros(0, np.int16)
        self.last: Played | None = None

    def push(self, datagram: bytes, now: float | None = None) -> None:
        """Take in a datagram that arrived at `now` (seconds of the clock, None for this moment). It never raises,
        whatever the datagram holds.
        """
        self._arrived.append((bytes(datagram), microseconds(self._clock() if now is None else now)))

    def pull(self) -> Pcm:
        """Return int16[320], the next 20 ms at 16 kHz; call it once per 20 ms. `last` has their source."""
        with self._busy:
            self._take()
            self.last = self._pipeline.pull()
            return self.last.pcm

    def read(self, samples: int) -> Pcm:
        """Return int16[samples], for a caller that needs other lengths than 20 ms; one minute at most.

        Raises UsageError for another number of samples.
        """
        if not 0 <= samples <= _MOST_READ:
            raise UsageError(f"samples is {samples}, expected 0 to {_MOST_READ}")
        while len(self._rest) < samples:
            self._rest = np.concatenate([self._rest, self.pull()])
        out, self._rest = self._rest[:samples], self._rest[samples:]
        return out

    def finish(self, sequence_number: int, timestamp: int | None = None) -> None:
        """Note the sender's last packet; after it there is silence."""
        with self._busy:
            self._take()
            self._pipeline.finish(sequence_number, timestamp)

    @property
    def ended(self) -> bool:
        """True once a finished stream has been played to its end."""
        with self._busy:
            return self._pipeline.ended

    def report(self) -> DeviceReport:
        """Return all counts so far as JSON values (docs/reference/protocol.md, "Reports")."""
        with self._busy:
            return self._pipeline.report()

    def close(self) -> None:
        """Forget the waiting datagrams and samples."""
        self._arrived.clear()

    def __enter__(self) -> Receiver:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> None:
        while self._arrived:
            self._pipeline.push(*self._arrived.popleft())
