# SPDX-License-Identifier: BSD-2-Clause
# Conversion of samples between formats, in place or from buffer to buffer, without allocation. I2S has them in
# little-endian order, packets in network order.
try:
    from micropython import const
except ImportError:
    from dredge_board.viper import const, micropython, ptr8

FULL = const(256)  # volume: factor 1


# Turns count samples of 32 bits (a microphone's, little-endian, from raw[at]) into 16 bits, big-endian, from
# out[to]; the upper 24 bits are made 2**gain times as large, and limited. Returns the largest amplitude, 0 to 32768.
@micropython.viper
def pack(at: int, to: int, count: int, raw: ptr8, out: ptr8, gain: int) -> int:
    peak = 0
    down = 8 - gain
    while count:
        value = int(raw[at + 1]) | int(raw[at + 2]) << 8 | int(raw[at + 3]) << 16
        if value & 0x800000:
            value -= 0x1000000
        value >>= down
        if value > 32767:
            value = 32767
        elif value < -32768:
            value = -32768
        out[to] = value >> 8 & 255
        out[to + 1] = value & 255
        if value < 0:
            value = 0 - value
        if value > peak:
            peak = value
        at += 4
        to += 2
        count -= 1
    return peak


# Turns count samples of 16 bits, big-endian, from data[at], into little-endian ones from out[to], volume/256 times as
# loud, and limited.
@micropython.viper
def unpack(at: int, to: int, count: int, data: ptr8, out: ptr8, volume: int):
    while count:
        value = int(data[at]) << 8 | int(data[at + 1])
        if value & 0x8000:
            value -= 0x10000
        value = value * volume >> 8
        if value > 32767:
            value = 32767
        elif value < -32768:
            value = -32768
        out[to] = value & 255
        out[to + 1] = value >> 8 & 255
        at += 2
        to += 2
        count -= 1


# Fade little-endian samples in data in from silence over 2**length of them.
@micropython.viper
def fade_in(at: int, step: int, length: int, data: ptr8):
    step = 0
    while step < 1 << length:
        value = int(data[at]) | int(data[at + 1]) << 8
        if value & 0x8000:
            value -= 0x10000
        value = value * step >> length
        data[at] = value & 255
        data[at + 1] = value >> 8 & 255
        at += 2
        step += 1


# Reverse count little-endian samples in data, so that they continue from their end without a step, and fade them out to
# silence over 2**length of them.
@micropython.viper
def mirror(at: int, to: int, count: int, data: ptr8, length: int):
    to = 2 * count - 2
    at = 0
    while at < to:
        low = int(data[at])
        high = int(data[at + 1])
        data[at] = int(data[to])
        data[at + 1] = int(data[to + 1])
        data[to] = low
        data[to + 1] = high
        at += 2
        to -= 2
    at = 0
    to = 1 << length
    while at < 2 * count:
        value = 0
        if to:
            to -= 1
            value = int(data[at]) | int(data[at + 1]) << 8
            if value & 0x8000:
                value -= 0x10000
            value = value * to >> length
        data[at] = value & 255
        data[at + 1] = value >> 8 & 255
        at += 2


# Remove one of count little-endian samples (by -1) or insert one (by 1), where two neighbours differ least, so that it
# is inaudible. data has room for one more. Returns the new count.
@micropython.viper
def slip(at: int, best: int, least: int, data: ptr8, count: int, by: int) -> int:
    at = 2
    best = 2
    least = 0x20000
    before = int(data[0]) | int(data[1]) << 8
    if before & 0x8000:
        before -= 0x10000
    while at < 2 * count:
        value = int(data[at]) | int(data[at + 1]) << 8
        if value & 0x8000:
            value -= 0x10000
        before -= value
        if before < 0:
            before = 0 - before
        if before < least:
            least = before
            best = at
        before = value
        at += 2
    if by < 0:  # remove the later one of the two
        at = best
        while at < 2 * count - 2:
            data[at] = data[at + 2]
            data[at + 1] = data[at + 3]
            at += 2
        return count - 1
    at = 2 * count
    while at > best:  # repeat the later one of the two
        data[at] = data[at - 2]
        data[at + 1] = data[at - 1]
        at -= 2
    return count + 1
