# SPDX-License-Identifier: BSD-2-Clause
# Plays RTP packets of plain samples at the board's own clock. It differs from the sender's clock, so that the queue
# would fill or run empty in time; a sample is inserted or removed per packet to keep its length.
from array import array

from dredge_board.audio.microphone import HEADER, PACKET
from dredge_board.audio.samples import FULL, fade_in, mirror, slip, unpack
from dredge_device.telemetry import Counters
from dredge_device.units import PACKET_MS, PACKET_SAMPLES

try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const

SLOTS = const(16)  # packets that can wait, 320 ms; the last one is the one that is being played
HELD = const(2)  # packets that I2S holds itself (HELD * 640 bytes of ibuf)
_WINDOW = const(50)  # packets between two corrections of the queue: 1 s
_NEAR = const(40)  # samples (2.5 ms) of deviation that are not corrected
_FAR = const(640)  # samples; a larger surplus is dropped in whole packets
_RISE = const(6)  # log2 of the fade-in after silence: 64 samples
_FALL = const(8)  # log2 of the fade-out into a gap: 256 samples
_EMPTY = const(-1)
_COUNTERS = (
    "packets", "garbage", "late", "repeated", "missed", "dry", "skipped", "longer", "shorter"
)


# reserve_ms: length of the queue against jitter, beside what I2S holds.
class Loudspeaker:
    def __init__(self, reserve_ms=60, volume=FULL):
        self.counters = Counters(_COUNTERS)
        self._reserve = max(1, min(SLOTS - 6, (reserve_ms + PACKET_MS - 1) // PACKET_MS))
        self._volume = volume
        self._slots = [bytearray(2 * PACKET_SAMPLES + 2) for _ in range(SLOTS)]  # little-endian samples
        self._zeros = bytearray(2 * PACKET_SAMPLES)
        self._numbers = array("i", [_EMPTY] * SLOTS)  # sequence number in each slot
        self._source = bytearray(4)  # SSRC of the sender
        self._block = self._zeros  # the packet that is being played
        self._size = 0  # its size in bytes
        self._sent = 0  # bytes of it that I2S has taken
        self._restart(0)

    def _restart(self, number):
        for index in range(SLOTS):
            self._numbers[index] = _EMPTY
        self._playing = False
        self._next = number  # sequence number of the next packet to play
        self._newest = (number - 1) & 0xFFFF
        self._lowest = 1 << 20  # fewest waiting samples since the last correction
        self._looked = 0  # packets since the last correction
        self._slips = 0  # samples still to be added (above 0) or left out
        self._silent = True  # what was played last was silence

    # Take in one datagram; anything else than one of our packets is counted.
    def take(self, datagram, size):
        if size != PACKET or datagram[0] != 0x80:
            self.counters.add("garbage")
            return
        number = datagram[2] << 8 | datagram[3]
        if not self._knows(datagram):
            self._restart(number)
        self.counters.add("packets")
        ahead = (number - self._next) & 0xFFFF
        if ahead >= 0x8000:
            self.counters.add("late")
            return
        if ahead >= SLOTS - 1:  # a burst after a pause, or a jump: go on near its end
            self._leap((number - self._reserve - HELD + 1) & 0xFFFF)
        slot = number % SLOTS
        if self._numbers[slot] == number:
            self.counters.add("repeated")
            return
        self._numbers[slot] = number
        unpack(HEADER, 0, PACKET_SAMPLES, datagram, self._slots[slot], self._volume)
        if (number - self._newest) & 0xFFFF < 0x8000:
            self._newest = number
        if self._playing:
            self._look()
        elif (self._newest - self._next) & 0xFFFF >= self._reserve + HELD - 1:
            self._playing = True
            self._looked = 0

    def _knows(self, datagram):
        source = self._source
        same = True
        for index in range(4):
            if source[index] != datagram[8 + index]:
                source[index] = datagram[8 + index]
                same = False
        return same

    # Continue with packet `first`; those before it are left out.
    def _leap(self, first):
        self.counters.add("skipped", (first - self._next) & 0xFFFF)
        self._next = first
        for index in range(SLOTS):
            held = self._numbers[index]
            if held != _EMPTY and (held - first) & 0xFFFF >= SLOTS:
                self._numbers[index] = _EMPTY
        if (self._newest - first) & 0xFFFF >= 0x8000:
            self._newest = (first - 1) & 0xFFFF

    # Return the samples that wait in the block and in the queue, gaps included.
    def waiting(self):
        queued = (self._newest - self._next + 1) & 0xFFFF
        return PACKET_SAMPLES * queued + (self._size - self._sent) // 2

    # Once per packet, note the shortest queue; once per second, decide how many samples to insert or to remove.
    def _look(self):
        waiting = self.waiting()
        if waiting < self._lowest:
            self._lowest = waiting
        self._looked += 1
        if self._looked < _WINDOW:
            return
        off = self._lowest - PACKET_SAMPLES * self._reserve
        self._slips = 0
        if off > _FAR:  # a burst after a pause: whole packets are dropped, and the concealment of a gap covers the jump
            self._leap((self._next + off // PACKET_SAMPLES) & 0xFFFF)
            self._numbers[self._next % SLOTS] = _EMPTY
        elif off > _NEAR or off < -_NEAR:
            self._slips = -(off // 4)
        self._lowest = 1 << 20
        self._looked = 0

    # Return True while I2S has not taken the whole block.
    def pending(self):
        return self._sent < self._size or self._advance()

    # Write to I2S as much as it takes.
    def play(self, i2s):
        while self.pending():
            taken = i2s.write(self._block, self._sent, self._size - self._sent)
            if not taken:
                return
            self._sent += taken

    def _advance(self):
        if not self._playing:
            return False
        if self._newest == (self._next - 1) & 0xFFFF:
            self.counters.add("dry")
            self._playing = False
            self._silent = True
            return False
        number = self._next
        slot = number % SLOTS
        self._next = (number + 1) & 0xFFFF
        self._size = 2 * PACKET_SAMPLES
        self._sent = 0
        if self._numbers[slot] == number:
            self._numbers[slot] = _EMPTY
            self._block = self._slots[slot]
            if self._silent:
                fade_in(0, 0, _RISE, self._block)
            self._silent = False
            self._slip()
        else:
            self.counters.add("missed")
            self._conceal()
        return True

    # Conceal a gap: the last samples reversed and faded out, then silence.
    def _conceal(self):
        if self._silent:
            self._block = self._zeros
        else:
            mirror(0, 0, PACKET_SAMPLES, self._block, _FALL)
        self._silent = True

    def _slip(self):
        if self._slips:
            by = 1 if self._slips > 0 else -1
            self._size = 2 * slip(0, 0, 0, self._block, PACKET_SAMPLES, by)
            self._slips -= by
            self.counters.add("longer" if by > 0 else "shorter")
