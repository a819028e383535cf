# SPDX-License-Identifier: BSD-2-Clause
"""The material of an evaluation: clips, and the losses applied to each of them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.evaluation.material.clips import Clip, read_clips
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.material.traces import Trace, crossed_traces, recorded_trace, trace_for_clip
from dredge_host.evaluation.material.traceset import Item, read_set, read_speech


class Task(NamedTuple):
    """The cells of one clip and one trace that one worker does in a row; number: its place in the grid."""

    number: int
    clip: Clip
    trace: Trace
    methods: tuple[str, ...]

    def name(self, method: str) -> str:
        """Return the name of one of the cells for people."""
        return f"clip {self.clip.name}, {self.trace.stratum} losses, method {method}"


class Material(NamedTuple):
    """name: of the folder; pairs: a clip and the trace applied to it; notes: remarks about them."""

    name: str
    pairs: list[tuple[Clip, Trace]]
    notes: list[str]

    @property
    def clips(self) -> list[Clip]:
        """Every clip once, in order."""
        return list({clip.name: clip for clip, _ in self.pairs}.values())

    @property
    def strata(self) -> list[str]:
        """Every stratum that occurs, in order of appearance."""
        return list(dict.fromkeys(trace.stratum for _, trace in self.pairs))

    def tasks(self, methods: tuple[str, ...]) -> list[Task]:
        """Return the grid: one task for every clip and trace."""
        return [Task(number, clip, trace, methods) for number, (clip, trace) in enumerate(self.pairs)]


def from_folder(folder: Path, plan: Plan) -> Material:
    """Return the speech files with drawn traces: all three strata for every clip, or one in turn if the plan is not
    crossed.

    Raises InputError for a folder without speech.
    """
    clips, notes = read_clips(folder, plan.clips, plan.seconds)
    pairs = [(clip, trace) for index, clip in enumerate(clips) for trace in _drawn(index, clip, plan)]
    return Material(folder.name, pairs, notes)


def _drawn(index: int, clip: Clip, plan: Plan) -> list[Trace]:
    packets = packets_of(clip)
    if plan.crossed:
        return crossed_traces(index, packets, plan.seed)
    return [trace_for_clip(index, packets, plan.seed)]


def packets_of(clip: Clip) -> int:
    """Return how many packets a trace has to cover: those of the clip, and some for the codec's delay."""
    return -(-len(clip.pcm) // PACKET_SAMPLES) + 2


def from_set(folder: Path, plan: Plan) -> Material:
    """Return a trace set on disk (dredge_host.evaluation.material.traceset), in which every clip has its own recorded
    losses.

    Raises InputError for a folder without any clip that has a trace, and for recordings in which the losses are silent
    already.
    """
    items = read_set(folder)
    with_trace = [item for item in items if item.lost is not None]
    if not with_trace:
        raise InputError(f"{folder}: no clip here has a loss trace; expected NAME.wav with NAME_is_lost.txt")
    notes = []
    if len(with_trace) < len(items):
        notes.append(f"{len(items) - len(with_trace)} clips without a loss trace are left out")
    chosen = with_trace[: plan.clips or None]
    return Material(folder.name, [_recorded(item, plan) for item in chosen], notes)


def _recorded(item: Item, plan: Plan) -> tuple[Clip, Trace]:
    clip = Clip(item.name, item.name, read_speech(item)[: int(plan.seconds * SAMPLE_RATE) or None])
    return clip, recorded_trace(item.name, (item.lost or ())[: packets_of(clip)])
