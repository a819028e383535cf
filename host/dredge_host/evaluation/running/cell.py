# SPDX-License-Identifier: BSD-2-Clause
"""One cell of the grid: one clip with one loss trace and one method, measured."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean
from typing import Any, NamedTuple

import numpy as np

from dredge_device.units import PACKET_SAMPLES
from dredge_host.console import to_json
from dredge_host.errors import DredgeError, sentence
from dredge_host.evaluation.judging import checks
from dredge_host.evaluation.judging.judges import Judges, load_judges
from dredge_host.evaluation.judging.metrics import mean_errors
from dredge_host.evaluation.judging.recognisers import transcripts
from dredge_host.evaluation.judging.recovered import recovered_errors
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.material import Task
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import AFTER_THE_END, Trace
from dredge_host.evaluation.methods.methods import METHODS, open_receiver, open_sender
from dredge_host.evaluation.running.peer import Peer
from dredge_kernels.arrays import Pcm

DIGITS = 4  # later digits depend on the number of threads of a sum, and on the processor
REMEMBERED = 2  # clips whose shared results a worker keeps


class Failure(NamedTuple):
    """Why a cell has no measurement, as one sentence."""

    text: str


class Shared:
    """The results that all cells of one clip share: words and envelopes of the original, and the clip without loss."""

    def __init__(self) -> None:
        self.envelopes: checks.Envelopes | None = None
        self.words: list[list[str]] | None = None
        self.decoded: Pcm | None = None
        self.clean: Measurement | None = None


class CellRunner:
    """Measures cells in one process; judges are loaded once, the shared results of a clip are computed once."""

    def __init__(self, plan: Plan, judges: Judges | None = None) -> None:
        self._plan = plan
        self._judges = judges or load_judges(plan)
        self._peer = Peer(plan.peer) if plan.peer else None
        self._memory: dict[str, Shared] = {}

    def run(self, task: Task) -> Iterator[tuple[str, Measurement | Failure]]:
        """Yield every method of a task in turn; a failed one is a Failure, and the next one follows."""
        for method in task.methods:
            try:
                yield method, self.measure(task.clip, task.trace, method)
            except Exception as error:  # any failure must not end the other cells
                known = isinstance(error, DredgeError)
                yield method, Failure(sentence(error) if known else f"{type(error).__name__}: {sentence(error)}")

    def measure(self, clip: Clip, trace: Trace, method: str) -> Measurement:
        """Return one cell as JSON values; `seconds` holds how long each part of it took."""
        shared = self._shared(clip)
        if METHODS[method].lossless:
            if shared.clean is not None:
                return {**shared.clean, "seconds": {}}
            shared.clean = self._measure(clip, trace, method, shared)
            return shared.clean
        return self._measure(clip, trace, method, shared)

    def _shared(self, clip: Clip) -> Shared:
        shared = self._memory.pop(clip.digest, None) or Shared()
        self._memory[clip.digest] = shared
        while len(self._memory) > REMEMBERED:
            self._memory.pop(next(iter(self._memory)))
        return shared

    def _measure(self, clip: Clip, trace: Trace, method: str, shared: Shared) -> Measurement:
        watch = Stopwatch()
        with watch("simulate"):
            sent = self._peer.send if self._peer and METHODS[method].transport == "peer" else send
            played, cell = sent(clip.pcm, method, trace, self._plan.bitrate)
        if METHODS[method].lossless:
            shared.decoded = played.pcm
        with watch("checks"):
            if shared.envelopes is None:
                shared.envelopes = checks.band_envelopes(clip.pcm)
            cell |= lags_and_seams(shared.envelopes, played)
        if not METHODS[method].lossless:
            with watch("recovered"):
                cell |= self._recovered(clip, played, shared)
        cell |= self._judge(clip, played.pcm, shared, watch)
        return plain({**cell, "seconds": watch.seconds})

    def _recovered(self, clip: Clip, played: Any, shared: Shared) -> Measurement:
        """Return the errors of the speech in place of lost packets, against the same clip decoded without loss."""
        if shared.decoded is None:
            shared.decoded = send(clip.pcm, "clean", None, self._plan.bitrate)[0].pcm
        look = played.result["alignment"]["opus_lookahead_samples"]
        found = recovered_errors(shared.decoded, played.pcm, np.array(played.trace, bool), look)
        names = {"frames": "recovered_frames"}
        return {names.get(key, key): value for key, value in found.items()}

    def _judge(self, clip: Clip, played: Pcm, shared: Shared, watch: Stopwatch) -> Measurement:
        judges = self._judges
        cell: Measurement = {}
        for name, judge in judges.scores.items():
            with watch(name):
                score = judge(clip.pcm, played)
            cell |= {} if score is None else {name: round(score, DIGITS)}
        if judges.hear and clip.english:
            with watch("words"):
                if shared.words is None:
                    shared.words = transcripts(judges.hear, clip.pcm)
                cell["words"] = mean(len(words) for words in shared.words)
                cell["word_errors"] = mean_errors(shared.words, transcripts(judges.hear, played))
        return cell


class Stopwatch:
    """Wall-clock seconds by part: `with watch("words"): ...`."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, part: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] = round(self.seconds.get(part, 0.0) + time.monotonic() - started, 4)


def send(pcm: Pcm, method: str, trace: Trace | None, bitrate: int) -> tuple[Any, Measurement]:
    """Return one simulation (dredge_host.offline.simulate) and its loss, rates, sources and CPU time.

    The clip is followed by a little silence, whose packets arrive.
    """
    from dredge_host.offline.simulate import simulate

    chosen = METHODS[method]
    settings = chosen.settings(bitrate)
    sender = open_sender(chosen, settings)
    packets = -(-(len(pcm) + sender.lookahead) // PACKET_SAMPLES)
    loss = None if chosen.lossless or trace is None else trace.model(packets)
    played = simulate(
        np.pad(pcm, (0, AFTER_THE_END * PACKET_SAMPLES)),
        settings,
        loss=loss,
        sender=sender,
        receiver_factory=lambda given, clock: open_receiver(chosen, given, clock),
    )
    played.pcm = played.pcm[: len(pcm)]
    rates = sender.rates()
    receive = [row[3] for row in played.timeline]
    return played, {
        "loss_pct": 100.0 * played.result["loss"]["rate"],
        "longest_burst_ms": played.result["loss"]["longest_burst_ms"],
        "bitrate_total_bps": round(sum(rates.values()), 1),
        "bitrate_bps": rates,
        "cpu_us_per_packet": {"send": round(sender.cpu_us(), 1), "receive": round(float(np.mean(receive or [0])), 1)},
        "frames": played.result["frames"],
    }


def plain(cell: Measurement) -> Measurement:
    """Return the same as JSON values, so that a fresh cell equals a kept one; NaN and infinity are left out."""
    finite = {k: v for k, v in cell.items() if not isinstance(v, float) or np.isfinite(v)}
    values: Measurement = json.loads(to_json(finite))
    return values


def sources_of(played: Any) -> list[str]:
    """Return the source of every packet of a simulation, `silence` for one that was never played."""
    sources = ["silence"] * played.result["packets"]
    for number, source, *_ in played.timeline:
        sources[number] = source
    return sources


def lags_and_seams(envelopes: checks.Envelopes, played: Any) -> Measurement:
    """Return the lag over the whole file, evidence for that of recovered speech alone, and the seams.

    envelopes: `checks.band_envelopes` of the original.
    """
    look = played.result["alignment"]["opus_lookahead_samples"]
    sources = sources_of(played)
    found: Measurement = {"seams": checks.click_summary(checks.seams(played.pcm, sources, look))}
    filled = np.repeat([s not in ("opus", "silence") for s in sources], PACKET_SAMPLES)[look : look + len(played.pcm)]
    heard = checks.band_envelopes(played.pcm)
    try:
        found["lag_ms"] = round(checks.peak_ms(checks.envelope_scores(envelopes, heard)), 3)
        scores = checks.envelope_scores(envelopes, heard, filled)
        found["lag_recovered_scores"] = [float(score) for score in scores]
    except ValueError:
        pass  # too short, or without losses: no lag can be measured
    return found
