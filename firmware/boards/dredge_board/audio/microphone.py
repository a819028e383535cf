# SPDX-License-Identifier: BSD-2-Clause
# Packets from a microphone: pieces of any length in, RTP packets of 20 ms out, in one buffer.
import os

from dredge_board.audio.samples import pack
from dredge_device.telemetry import Counters
from dredge_device.units import PACKET_SAMPLES

try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const

HEADER = const(12)  # bytes of RTP (RFC 3550 section 5.1)
PACKET = const(652)  # bytes of a packet, header included
TYPE = const(96)  # payload type, dynamic: L16 at 16 kHz has no static one
_COUNTERS = ("packets", "unsent", "overruns", "skipped")


# gain: bits that the samples are shifted up, 6 dB each, 0 to 8. MEMS microphones give
# speech some 40 dB below full scale.
class Microphone:
    def __init__(self, gain=4):
        self.packet = bytearray(PACKET)
        self.counters = Counters(_COUNTERS)
        self.peak = 0  # largest amplitude since it was read last
        self._gain = gain
        self._filled = 0  # samples collected for the next packet
        self._number = 0
        self._time_low = 0  # the RTP timestamp in halves: 32 bits are a heap object on a board
        self._time_high = 0
        packet = self.packet
        packet[0] = 0x80
        packet[1] = TYPE
        packet[8:12] = os.urandom(4)  # a new sender after every reset

    # Take samples of 32 bits from raw, the first `done` of `count` of which are used; return how many are used now.
    # If `ready()` is True then, the packet must be sent before the next call.
    def take(self, raw, done, count):
        now = PACKET_SAMPLES - self._filled
        if now > count - done:
            now = count - done
        peak = pack(4 * done, HEADER + 2 * self._filled, now, raw, self.packet, self._gain)
        if peak > self.peak:
            self.peak = peak
        self._filled += now
        return done + now

    # Return True when the packet is complete; its header is written and the next packet begins.
    def ready(self):
        if self._filled < PACKET_SAMPLES:
            return False
        packet = self.packet
        packet[2] = self._number >> 8
        packet[3] = self._number & 255
        packet[4] = self._time_high >> 8
        packet[5] = self._time_high & 255
        packet[6] = self._time_low >> 8
        packet[7] = self._time_low & 255
        self._filled = 0
        self._forward(1)
        self.counters.add("packets")
        return True

    # Skip so many packets in number and timestamp, because their samples were not read in time and are lost.
    def skip(self, packets):
        self.counters.add("overruns")
        self.counters.add("skipped", packets)
        self._forward(packets)

    def _forward(self, packets):
        self._number = (self._number + packets) & 0xFFFF
        ticks = self._time_low + PACKET_SAMPLES * packets
        self._time_low = ticks & 0xFFFF
        self._time_high = (self._time_high + (ticks >> 16)) & 0xFFFF
