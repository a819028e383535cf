# SPDX-License-Identifier: BSD-2-Clause
"""The settings of a run with their limits, shared by all verbs."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real

from dredge_device import playout
from dredge_device.pi.service.options import SessionOptions
from dredge_host.errors import UsageError
from dredge_models.registry import DRED_EXTENSION_ID, DRED_VERSION, LIBOPUS_VERSIONS, STANDARD_ID, STANDARD_VERSION

DRED_VERSIONS = (DRED_VERSION, *LIBOPUS_VERSIONS)
DRED_IDS = (DRED_EXTENSION_ID, STANDARD_ID)
MAX_REDUNDANCY_S = 1.02  # 26 latents of 40 ms, less the 20 ms of the packet itself


@dataclass(frozen=True)
class Settings(SessionOptions):
    """One run of the pipeline: the device's session options, and the sender's options.

    bitrate: speech in b/s, redundancy comes on top; redundancy_s: DRED history in every packet;
    lbrr: low-rate copy of the previous packet; loss: see dredge_host.sending.loss.GRAMMAR; seed: of the
    loss model; dtx: nothing is sent in pauses of speech; loss_pct: the expected loss set in the Opus encoder
    (which controls LBRR); dred_version: the model of the redundancy, ours (209) or an imported one (10: libopus 1.5,
    12: libopus 1.6); dred_id: the extension that carries it, 126 as libopus does or 32 as the IETF draft says.
    Raises UsageError for a value outside its limits.
    """

    bitrate: int = 24000
    redundancy_s: float = 1.0
    lbrr: bool = False
    loss: str = "none"
    seed: int = 1
    loss_pct: int = 20
    dtx: bool = False
    dred_version: int = DRED_VERSION
    dred_id: int = DRED_EXTENSION_ID

    @property
    def standard_history_ms(self) -> int:
        """The length of the history in the IETF draft's extension 32, in ms; 0 without it."""
        return round(1000 * self.redundancy_s) if self.dred_id == STANDARD_ID else 0

    def __post_init__(self) -> None:
        try:
            super().__post_init__()
        except ValueError as error:
            raise UsageError(str(error)) from None
        _between("bitrate", self.bitrate, 6000, 256000, "b/s")
        _between("redundancy", self.redundancy_s, 0, MAX_REDUNDANCY_S, "s")
        _between("expected loss", self.loss_pct, 0, 100, "%")
        if not isinstance(self.loss, str):
            raise UsageError(f"loss is {self.loss!r}, expected a loss model as text, such as 10%")
        if self.dred_version not in DRED_VERSIONS:
            known = ", ".join(map(str, DRED_VERSIONS))
            raise UsageError(f"DRED version is {self.dred_version}, expected one of {known}")
        if self.dred_id not in DRED_IDS:
            raise UsageError(f"DRED extension id is {self.dred_id}, expected one of {', '.join(map(str, DRED_IDS))}")
        if self.dred_id == STANDARD_ID and self.dred_version != STANDARD_VERSION:
            raise UsageError(
                f"DRED extension id {STANDARD_ID} says that the history is of version {STANDARD_VERSION}, "
                f"got version {self.dred_version}; add --dred-version {STANDARD_VERSION}"
            )


def parse_playout(text: str) -> tuple[bool, int]:
    """Return (adaptive, delay in ms) from `fixed:<ms>`, `adaptive` or `adaptive:<longest ms>`. Raises UsageError."""
    try:
        policy, milliseconds = playout.parse_playout(str(text))
    except ValueError as error:
        raise UsageError(str(error)) from None
    return policy == "adaptive", milliseconds


def _between(name: str, value: float, low: float, high: float, unit: str) -> None:
    if not isinstance(value, Real):
        raise UsageError(f"{name} is {value!r}, expected a number from {low:g} to {high:g} ({unit})")
    if not low <= value <= high:
        raise UsageError(f"{name} is {value:g} {unit}, expected {low:g} to {high:g} {unit}")
