# SPDX-License-Identifier: BSD-2-Clause
# The header of the redundancy (docs/reference/bitstream.md section 2): enough of the range decoder of RFC 6716 section
# 4.1 to read symbols of equal probability. What the latents say needs the networks and is not read here.

OURS = 0xD1
LATENT_MS = 40  # time that one latent describes
_MOST = 26  # latents that versions without a count may hold


class _Decoder:
    def __init__(self, data, start, stop):
        self._data = data
        self._at = start
        self._stop = stop
        self._range = 128
        self._last = self._byte()
        self._gap = 127 - (self._last >> 1)
        self._fill()

    def _byte(self):
        if self._at >= self._stop:
            return 0
        self._at += 1
        return self._data[self._at - 1]

    def _fill(self):
        while self._range <= 1 << 23:
            self._range <<= 8
            byte = self._byte()
            joined = (self._last << 8 | byte) >> 1 & 255
            self._last = byte
            self._gap = (self._gap << 8) + (255 & ~joined) & 0x7FFFFFFF

    # Return which of count equal shares of the interval the code word lies in.
    def peek(self, count):
        return count - min(self._gap // (self._range // count) + 1, count)

    # Narrow the interval to its shares first..end-1.
    def keep(self, first, end, count):
        share = self._range // count
        above = share * (count - end)
        self._gap -= above
        self._range = share * (end - first) if first else self._range - above
        self._fill()

    # Read one of count equally likely values.
    def symbol(self, count):
        value = self.peek(count)
        self.keep(value, value + 1, count)
        return value


# The header of one payload. span_ms: history it describes; None when its version does not code that.
# offset: end of the newest frame after the packet's first sample, 2.5 ms units.
class DredHeader:
    def __init__(self, version, q0, slope, offset, latents):
        self.version = version
        self.q0 = q0
        self.slope = slope
        self.offset = offset
        self.latents = latents
        self.span_ms = None if latents is None else LATENT_MS * latents


# Skip the coarsest level: half of the interval means 15, each other share one level below it.
def _skip_coarsest(decoder, room):
    at = decoder.peek(2 * room)
    if at < room:
        decoder.keep(0, room, 2 * room)
    else:
        decoder.keep(at, at + 1, 2 * room)


# Return the DredHeader of the data of extension 126 in data[start:stop]; ValueError when it is not that.
def read(data, start, stop):
    if stop - start < 3 or data[start] != 0x44:
        raise ValueError("redundancy does not begin with the letter D")
    version = data[start + 1]
    decoder = _Decoder(data, start + 2, stop)
    q0 = decoder.symbol(16)
    slope = decoder.symbol(8)
    extra = decoder.symbol(256) if decoder.symbol(2) else 0
    offset = 16 - decoder.symbol(32) - 32 * extra
    latents = None
    if version == OURS:
        if q0 < 14 and slope:
            _skip_coarsest(decoder, 14 - q0)
        latents = decoder.symbol(32)
        if latents > _MOST:
            raise ValueError("redundancy of %d latents, at most 26 are allowed" % latents)
    return DredHeader(version, q0, slope, offset, latents)
