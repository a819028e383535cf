# SPDX-License-Identifier: BSD-2-Clause
"""A serial cable between two real pseudo-terminals, with a baud rate and with faults.

A pty is not a UART: it takes any amount at once and no bit ever flips. So a thread carries the
bytes between the two masters, no faster than the rate allows, and damages some on the way.
"""

import os
import pty
import random
import select
import threading
import time
import tty
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Faults:
    """Shares of all bytes: with one bit flipped, dropped, followed by an inserted random byte."""

    flipped: float = 0.0
    dropped: float = 0.0
    inserted: float = 0.0


class Cable:
    """``ends``: two paths that pyserial can open, stable over ``unplug`` and ``plug``."""

    def __init__(self, folder, baud=0, faults=None, seed=1):
        self.ends = (str(Path(folder) / "tty-a"), str(Path(folder) / "tty-b"))
        self.baud = baud  # 0: as fast as it goes
        self.faults = faults or Faults()
        self.carried = [0, 0]
        self.faulty = 0
        self._dice = random.Random(seed)
        self._masters, self._slaves = [], []
        self._stop = threading.Event()
        self._thread = None
        self.plug()

    def plug(self):
        for end in self.ends:
            master, slave = pty.openpty()
            tty.setraw(slave)
            os.set_blocking(master, False)
            Path(end).unlink(missing_ok=True)
            os.symlink(os.ttyname(slave), end)
            self._masters.append(master)
            self._slaves.append(slave)  # kept open, so that the other side may come and go
        self._stop.clear()
        self._thread = threading.Thread(target=self._carry, name="cable", daemon=True)
        self._thread.start()

    def unplug(self):
        self._stop.set()
        self._thread.join()
        for descriptor in self._slaves + self._masters:
            os.close(descriptor)
        for end in self.ends:
            Path(end).unlink(missing_ok=True)
        self._masters, self._slaves = [], []

    def close(self):
        if self._masters:
            self.unplug()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _carry(self):
        waiting = [b"", b""]  # read from master i, not yet written to the other one
        free_at = [time.monotonic()] * 2
        while not self._stop.is_set():
            wanted = [m for i, m in enumerate(self._masters) if len(waiting[i]) < 4096]
            ready = select.select(wanted, [], [], 0.002 if any(waiting) else 0.05)[0]
            for i in range(2):
                if self._masters[i] in ready:
                    waiting[i] += self._damage(os.read(self._masters[i], 4096))
                waiting[i], free_at[i] = self._pass(1 - i, waiting[i], free_at[i])

    def _pass(self, to, data, free_at):
        now = time.monotonic()
        count = len(data)
        if self.baud:  # ten bits per byte; idle time is not saved up
            free_at = max(free_at, now - 0.02)
            count = min(count, int((now - free_at) * self.baud / 10))
        if not count:
            return data, free_at
        try:
            done = os.write(self._masters[to], data[:count])
        except BlockingIOError:  # nobody reads at the other end: a UART would lose it too
            done = count
        self.carried[to] += done
        return data[done:], free_at + (done * 10 / self.baud if self.baud else 0)

    def _damage(self, data):
        faults = self.faults
        if not (faults.flipped or faults.dropped or faults.inserted):
            return data
        out = bytearray()
        for byte in data:
            luck = self._dice.random()
            if luck < faults.dropped:
                self.faulty += 1
                continue
            if luck < faults.dropped + faults.flipped:
                self.faulty += 1
                byte ^= 1 << self._dice.randrange(8)
            out.append(byte)
            if self._dice.random() < faults.inserted:
                self.faulty += 1
                out.append(self._dice.randrange(256))
        return bytes(out)
