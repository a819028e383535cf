# SPDX-License-Identifier: BSD-2-Clause
"""A test whether payloads are Opus or look random, as those of SRTP do without the key."""

_LOOKED_AT = 25  # packets that are judged together
_KINDS = 15  # kinds of coding among them: a sender uses a few, random bytes have 24


class Plausibility:
    """The test by the first byte of Opus packets, which says how they are coded (RFC 6716 section 3.1)."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self.encrypted = 0  # packets that look like noise; 0 for Opus

    def payload(self, data: bytes) -> None:
        """Look at a payload of one byte at least."""
        self._firsts.append(data[0])
        if len(self._firsts) == _LOOKED_AT:
            noise = len(set(self._firsts)) >= _KINDS
            self.encrypted = self.encrypted + _LOOKED_AT if noise else 0
            self._firsts = []
