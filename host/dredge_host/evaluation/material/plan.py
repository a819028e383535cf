# SPDX-License-Identifier: BSD-2-Clause
"""The settings that all cells of an evaluation share; plain values, so that they can be sent to workers."""

from __future__ import annotations

from dataclasses import dataclass

from dredge_host.errors import UsageError
from dredge_host.evaluation.judging.recognisers import RECOGNISERS
from dredge_host.evaluation.judging.registry import DEFAULT_SCORES, SCORES
from dredge_host.evaluation.methods.methods import DEFAULT_METHODS, METHODS, PEERS, known
from dredge_host.settings import Settings


@dataclass(frozen=True)
class Plan:
    """methods: keys of METHODS; clips: how many, 0 = all files; seconds: used of each, 0 = all; seed: of the loss
    traces; bitrate: speech in b/s; crossed: every clip gets the losses of all three strata, otherwise one in turn;
    scores: keys of judging.registry.SCORES; recogniser: name of the speech recogniser, None = no word errors;
    recogniser_model: path of its model; peer: an opus_demo that plays the methods `peer_…`. Raises UsageError for a
    value outside its limits.
    """

    methods: tuple[str, ...] = DEFAULT_METHODS
    clips: int = 0
    seconds: float = 12.0
    seed: int = 1
    bitrate: int = 24000
    crossed: bool = True
    scores: tuple[str, ...] = DEFAULT_SCORES
    recogniser: str | None = "pocketsphinx"
    recogniser_model: str | None = None
    peer: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "methods", known(self.methods))
        if not self.methods:
            raise UsageError(f"there is no method to evaluate; expected some of {', '.join(METHODS)}")
        if not self.peer and any(name in PEERS for name in self.methods):
            raise UsageError("a method of libopus was asked for; say where its opus_demo is: --peer opus_demo=PATH")
        if self.clips < 0 or not 0 <= self.seconds < 1e6:
            raise UsageError(f"clips is {self.clips} and seconds {self.seconds:g}, expected 0 (all) or more")
        if unknown := set(self.scores) - set(SCORES):
            raise UsageError(f"score is '{min(unknown)}', expected some of {', '.join(SCORES)}")
        if self.recogniser is not None and self.recogniser not in RECOGNISERS:
            raise UsageError(f"recogniser is '{self.recogniser}', expected one of {', '.join(RECOGNISERS)}")
        Settings(bitrate=self.bitrate)

    def metrics(self) -> list[str]:
        """Return the names of the metrics of every cell beyond rates, lags and seams."""
        return [*self.scores, *([f"words by {self.recogniser}"] if self.recogniser else [])]

    def as_dict(self) -> dict[str, object]:
        """Return JSON values for the document."""
        return {
            "seconds": self.seconds,
            "seed": self.seed,
            "bitrate_bps": self.bitrate,
            "methods": list(self.methods),
            "crossed": self.crossed,
            **{name: name in self.scores for name in SCORES},
            "recogniser": self.recogniser,
            "peer": bool(self.peer),
        }
