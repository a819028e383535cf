# SPDX-License-Identifier: BSD-2-Clause
"""Whether payloads are Opus or noise, as those of SRTP are to whoever has no key."""

_LOOKED_AT = 25  # packets that are judged together
_KINDS = 15  # of coding among them: a sender uses a few, noise has 24 of 256


class Plausibility:
    """The first byte of an Opus packet says how it is coded (RFC 6716 section 3.1)."""

    def __init__(self) -> None:
        self._firsts: list[int] = []
        self.encrypted = 0  # packets that look like noise; 0 for Opus

    def payload(self, data: bytes) -> None:
        """Looks at a payload of one byte at least."""
        self._firsts.append(data[0])
        if len(self._firsts) == _LOOKED_AT:
            noise = len(set(self._firsts)) >= _KINDS
            self.encrypted = self.encrypted + _LOOKED_AT if noise else 0
            self._firsts = []
