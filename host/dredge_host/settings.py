# SPDX-License-Identifier: BSD-2-Clause
"""What a run can be told: one set of values with its limits, shared by every verb."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dredge_device import playout
from dredge_host.errors import UsageError

CONCEAL = ("dred", "plc", "opus")
VOCODERS = ("standard", "small", "lpcnet", "fargan")
DRED_VERSIONS = (0xD1, 10)
MAX_REDUNDANCY_S = 1.02  # 26 latents of 40 ms, less the 20 ms of the packet itself
MAX_PLAYOUT_MS = 5000


@dataclass(frozen=True)
class Settings:
    """One run of the pipeline.

    bitrate: speech in b/s, redundancy comes on top; redundancy_s: DRED history in every packet;
    lbrr: low-rate copy of the previous packet; loss: see dredge_host.sending.loss.GRAMMAR; seed: of the
    loss model; conceal: the best source that the receiver may use for a lost packet
    (dred > plc > opus); playout_ms: constant playout delay, or the longest one if adaptive; dtx:
    nothing is sent while nobody speaks; loss_pct: the loss that the Opus
    encoder is told to expect (it steers LBRR); vocoder: standard, small, or fargan if imported; dred_version:
    whose model makes the redundancy, ours (209) or an imported one (10: libopus 1.5). Raises
    UsageError for a value outside its limits.
    """

    bitrate: int = 24000
    redundancy_s: float = 1.0
    lbrr: bool = False
    loss: str = "none"
    seed: int = 1
    conceal: str = "dred"
    playout_ms: int = 1000
    loss_pct: int = 20
    adaptive: bool = False
    dtx: bool = False
    vocoder: str = "standard"
    dred_version: int = 0xD1

    def __post_init__(self) -> None:
        _between("bitrate", self.bitrate, 6000, 256000, "b/s")
        _between("redundancy", self.redundancy_s, 0, MAX_REDUNDANCY_S, "s")
        _between("playout", self.playout_ms, 0, MAX_PLAYOUT_MS, "ms")
        _between("expected loss", self.loss_pct, 0, 100, "%")
        if self.conceal not in CONCEAL:
            raise UsageError(f"conceal is '{self.conceal}', expected one of {', '.join(CONCEAL)}")
        if self.vocoder not in VOCODERS:
            raise UsageError(f"vocoder is '{self.vocoder}', expected one of {', '.join(VOCODERS)}")
        if self.dred_version not in DRED_VERSIONS:
            known = ", ".join(map(str, DRED_VERSIONS))
            raise UsageError(f"DRED version is {self.dred_version}, expected one of {known}")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def parse_playout(text: str) -> tuple[bool, int]:
    """(adaptive, delay in ms) from `fixed:<ms>`, `adaptive` or `adaptive:<longest ms>`. Raises UsageError."""
    try:
        policy, milliseconds = playout.parse_playout(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return policy == "adaptive", milliseconds


def _between(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise UsageError(f"{name} is {value:g} {unit}, expected {low:g} to {high:g} {unit}")
