# SPDX-License-Identifier: BSD-2-Clause
"""Sets of speech with a loss trace for each clip, on disk, in the layout of the PLC challenge of 2022.

`<id>.wav` and beside it `<id>_is_lost.txt`: one line per packet of 20 ms, 1 = lost (L. Diener et al.,
Interspeech 2022). The speech before the losses lies in another folder under the same names. A trace file
is also what opus_demo of libopus takes as -lossfile; its own files may have any white space.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dredge_device.pi.text import read_text
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError
from dredge_host.evaluation.material.folder import demand_speech, speech_files
from dredge_host.sending.audio import audio_length, read_audio
from dredge_host.sending.loss import read_trace

SUFFIX = "_is_lost.txt"
MANIFEST = "manifest.json"
SCHEMA = "dredge.traces/1"
CLEAN, LOSSY = "clean", "lossy"
UNIT_MS = 10  # a divisor of every duration that retime accepts
TOLERANCE = 1  # packets: an incomplete last packet may be counted or not


class Item(NamedTuple):
    """path: the speech to send; name: its id; lost: True per lost packet of 20 ms, None without a trace;
    lossy: the challenge's own recording with the losses as silence, if there is one."""

    path: Path
    name: str
    lost: tuple[bool, ...] | None
    lossy: Path | None = None


def read_set(folder: str | Path, clean: str | Path | None = None) -> list[Item]:
    """Return the clips of a folder in the order of their names.

    clean: where the speech before the losses is; by default, and if there are traces, the folder `clean` inside or
    beside `folder`; otherwise the files of `folder` itself are the speech. Instead of a folder with traces the one
    above it will do, when they are in its `lossy`. A trace may be one packet shorter or longer than the speech. Raises
    InputError for a folder without speech, a trace without speech, a clip that `clean` lacks, a damaged trace, or
    lengths that do not fit.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder")
    here, traces = _speech(folder), _traces(folder)
    if not here and not traces and (folder / LOSSY).is_dir():
        return read_set(folder / LOSSY, clean)
    originals = _originals(folder, clean) if traces else {}
    names = sorted(here.keys() | (originals.keys() & traces.keys()))
    if not names:
        demand_speech(folder, [])
    for name in sorted(traces.keys() - set(names)):
        raise InputError(f"{traces[name]}: there is no speech file {name}.wav for this trace")
    return [_item(name, here.get(name), traces.get(name), originals) for name in names]


def _item(name: str, here: Path | None, trace: Path | None, originals: dict[str, Path]) -> Item:
    path = originals.get(name) if originals else here
    if path is None:
        raise InputError(f"{here}: the folder with the clean speech has no file {name}.wav")
    lost = tuple(read_matching(trace, path)) if trace else None
    return Item(path, name, lost, here if here != path else None)


def read_speech(item: Item) -> NDArray[np.int16]:
    """Return int16[n] at 16 kHz of a clip. Raises InputError for a recording in which the losses are silent already.
    """
    pcm = read_audio(item.path).pcm
    lost = np.repeat(np.asarray(item.lost or (), np.bool_), PACKET_SAMPLES)[: len(pcm)]
    if lost.any() and pcm.any() and not pcm[: len(lost)][lost].any():
        raise InputError(
            f"{item.path}: what the trace calls lost is silence here already; put the speech before the losses into "
            f"the folder {item.path.parent.parent / CLEAN}"
        )
    return pcm


def read_matching(trace: str | Path, speech: str | Path) -> list[bool]:
    """Return a trace whose length fits the speech; one packet more or less is corrected. Raises InputError."""
    lost, packets = read_trace(trace), count_packets(speech)
    if abs(len(lost) - packets) > TOLERANCE:
        raise InputError(
            f"{trace}: {len(lost)} packets of 20 ms, but {Path(speech).name} has {packets}; expected the same (±1)"
        )
    return (lost + [False] * TOLERANCE)[:packets]


def retime(lost: Sequence[bool], from_ms: int, to_ms: int) -> list[bool]:
    """Return the same losses for packets of another duration (10, 20, 40, 60 ms).

    A packet is lost when any part of it was; a remainder at the end makes one more packet.
    """
    tens = [value for value in lost for _ in range(from_ms // UNIT_MS)]
    step = to_ms // UNIT_MS
    return [any(tens[start : start + step]) for start in range(0, len(tens), step)]


def count_packets(speech: str | Path) -> int:
    """Return how many packets of 20 ms a speech file fills, the last one perhaps in part. Raises InputError."""
    frames, rate = audio_length(speech)
    return -(-frames * SAMPLE_RATE // (rate * PACKET_SAMPLES))


def _originals(folder: Path, clean: str | Path | None) -> dict[str, Path]:
    """Return the clean speech by name, empty when there is none."""
    if clean is not None:
        if not Path(clean).is_dir():
            raise InputError(f"{clean}: there is no such folder with clean speech")
        return _speech(Path(clean))
    for place in (folder / CLEAN, folder.parent / CLEAN):
        if place.is_dir() and place != folder:
            return _speech(place)
    return {}


def _traces(folder: Path) -> dict[str, Path]:
    return {path.name.removesuffix(SUFFIX): path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def _speech(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in speech_files(folder)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a set. Raises InputError when it is no JSON object."""
    try:
        document = json.loads(read_text(folder / MANIFEST))
    except (OSError, ValueError) as error:
        raise InputError(f"{folder / MANIFEST}: not a readable manifest ({error})") from None
    if not isinstance(document, dict):
        raise InputError(f"{folder / MANIFEST}: expected a JSON object, got {type(document).__name__}")
    return document


def read_traces(source: str | Path) -> dict[str, tuple[bool, ...]]:
    """Return the traces by name: of one file, or of a folder with or without its speech.

    Raises InputError for a folder without traces, and what `read_trace` and `read_set` raise.
    """
    source = Path(source)
    if not source.is_dir():
        return {source.name: tuple(read_trace(source))}
    place = source if _traces(source) or not (source / LOSSY).is_dir() else source / LOSSY
    traces = _traces(place)
    if not traces:
        raise InputError(f"{source}: no loss traces in it; expected NAME{SUFFIX}")
    if _speech(place):
        return {item.name: item.lost for item in read_set(place) if item.lost is not None}
    return {name: tuple(read_trace(path)) for name, path in traces.items()}
