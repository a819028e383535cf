# SPDX-License-Identifier: BSD-2-Clause
# The same pseudo-random bytes everywhere (xorshift, 32 bits).


class ByteSource:
    def __init__(self, seed):
        self._x = seed

    def byte(self):
        x = self._x
        x ^= x << 13 & 0xFFFFFFFF
        x ^= x >> 17
        x ^= x << 5 & 0xFFFFFFFF
        self._x = x
        return x >> 16 & 255

    def below(self, limit):
        return (self.byte() << 8 | self.byte()) % limit

    # Bytes of which one in zeros is a zero (0: as they come).
    def bytes(self, count, zeros=0):
        out = bytearray()
        for _ in range(count):
            out.append(0 if zeros and self.below(zeros) == 0 else self.byte() or 1 if zeros else self.byte())
        return bytes(out)
