# SPDX-License-Identifier: BSD-2-Clause
"""The test whether a period can be rendered before its time, because no later packet would change it."""

from dredge_device.jitter import JitterBuffer
from dredge_device.pi.concealment.concealer import Concealer
from dredge_device.pi.input.periods import is_whole
from dredge_device.playout import Period
from dredge_device.units import PACKET_US

MARGIN_US = 2 * PACKET_US  # margin above the lateness of recent packets, after which a missing packet is taken for lost
_LATEST = 999  # permille of the packets


class SettledPeriods:
    """The test by the jitter buffer of one stream."""

    def __init__(self, buffer: JitterBuffer, concealer: Concealer) -> None:
        self._buffer = buffer
        self._concealer = concealer

    def settled(self, period: Period, now_us: int) -> bool:
        """Return whether this period would be rendered the same at its own time.

        A packet that has arrived is decoded, unless half of its period may still arrive. A lost one is settled when a
        later packet describes it and every packet between the two has either arrived or is later than packets on this
        path are.
        """
        buffer = self._buffer
        if period.packet is not None:
            return is_whole(period.packet)
        holder = self._concealer.described_by(period)
        if holder is None:
            return False
        oldest_wait = buffer.delay_us(holder - 1, now_us)
        return bool(oldest_wait >= buffer.delays.spread_us(_LATEST) + MARGIN_US)
