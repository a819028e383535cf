# SPDX-License-Identifier: BSD-2-Clause
"""Range coder by exact arithmetic: RFC 6716 sections 4.1 and 5.1 with integers of any size.

There is no carry, no held byte and no buffer: the code word is one number that grows by 8 bits at
every renormalisation. Slow and obvious on purpose; the compiled coder must agree in every state.
"""

from __future__ import annotations

from collections.abc import Sequence

FIRST_BITS = 31  # width of the code word before the first renormalisation


class ReferenceEncoder:
    """The interval [low, low + rng) within code words of 31 + 8 * shifts bits."""

    def __init__(self) -> None:
        self.low, self.rng, self.shifts = 0, 1 << 31, 0

    def _narrow(self, below_top: int, size: int | None) -> None:
        """Keep the part that ends below_top under the top; size None: all down to low."""
        if size is None:
            self.rng -= below_top
        else:
            self.low += self.rng - below_top - size
            self.rng = size
        while self.rng <= 1 << 23:
            self.low, self.rng, self.shifts = self.low << 8, self.rng << 8, self.shifts + 1

    def span(self, first: int, end: int, total: int) -> None:
        unit = self.rng // total
        self._narrow(unit * (total - end), unit * (end - first) if first else None)

    def icdf(self, symbol: int, icdf: Sequence[int]) -> None:
        unit = self.rng >> 15
        size = unit * (icdf[symbol - 1] - icdf[symbol]) if symbol else None
        self._narrow(unit * icdf[symbol], size)

    def tell(self) -> int:
        return 33 + 8 * self.shifts - self.rng.bit_length()

    def finish(self) -> bytes:
        """The shortest number all of whose continuations lie in the interval, as bytes."""
        free = self.rng.bit_length()
        while True:
            word = -(-self.low >> free) << free
            if word + (1 << free) <= self.low + self.rng:
                break
            free -= 1
        width = FIRST_BITS + 8 * self.shifts
        size = -(-(width - free) // 8)
        return (word << 8 * (size + 4) >> width - 8 * size + 8 * (size + 4)).to_bytes(size, "big")


class ReferenceDecoder:
    """The same interval, and the code word read so far."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.low, self.rng, self.shifts = 0, 1 << 31, 0

    def word(self) -> int:
        """The first 31 + 8 * shifts bits of the stream, which ends in zeros."""
        size = 4 + self.shifts
        return int.from_bytes(self.data[:size].ljust(size, b"\0"), "big") >> 1

    def gap(self) -> int:
        return self.rng - 1 - (self.word() - self.low)

    def _narrow(self, below_top: int, size: int | None) -> None:
        if size is None:
            self.rng -= below_top
        else:
            self.low += self.rng - below_top - size
            self.rng = size
        while self.rng <= 1 << 23:
            self.low, self.rng, self.shifts = self.low << 8, self.rng << 8, self.shifts + 1

    def peek(self, total: int) -> int:
        return total - 1 - min(self.gap() // (self.rng // total), total - 1)

    def span(self, first: int, end: int, total: int) -> None:
        unit = self.rng // total
        self._narrow(unit * (total - end), unit * (end - first) if first else None)

    def uniform(self, total: int) -> int:
        value = self.peek(total)
        self.span(value, value + 1, total)
        return value

    def icdf(self, icdf: Sequence[int]) -> int:
        unit = self.rng >> 15
        symbol = next(k for k, below in enumerate(icdf) if self.gap() >= unit * below)
        size = unit * (icdf[symbol - 1] - icdf[symbol]) if symbol else None
        self._narrow(unit * icdf[symbol], size)
        return symbol

    def tell(self) -> int:
        return 33 + 8 * self.shifts - self.rng.bit_length()
