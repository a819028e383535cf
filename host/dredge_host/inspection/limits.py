# SPDX-License-Identifier: BSD-2-Clause
"""The limits of libopus' conformance test for the distance between another decoder of DRED and its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Limits:
    """The most that each figure of a comparison may be (dredge_host.inspection.comparison.Comparison)."""

    err4: float
    err16: float
    pitch: float

    def exceeded(self, found: Mapping[str, float]) -> list[str]:
        """Return the figures above their limits, in words; empty for a pass."""
        return [
            f"{name} is {found[name]:.3f}, expected at most {most:g}"
            for name, most in asdict(self).items()
            if found[name] > most
        ]


#: vocoder: two vocoders fed with the same features; decoder: whole decoders, with the same packets and losses.
LIMITS = {"vocoder": Limits(0.25, 1.0, 0.15), "decoder": Limits(1.0, 3.0, 0.25)}
