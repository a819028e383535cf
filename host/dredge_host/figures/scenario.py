# SPDX-License-Identifier: BSD-2-Clause
"""The loss scenario: one burst and a single loss, met without redundancy, with LBRR and with DRED.

Packets, their content and the receiver's sources come from runs of the real sender and receiver over bundled or
given speech.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dredge_device.units import PACKET_MS, PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.errors import InputError, UsageError
from dredge_host.evaluation.results.document import Document
from dredge_host.inspection.packet import Inspector
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.loss import LossModel
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings

NAME, SCHEMA = "scenario", "dredge.figure.scenario/1"
BEFORE, AFTER = 52, 14  # packets shown around the burst: a whole second of history before it
LEAD_IN = 20  # packets of speech before those shown
SINGLE = 6  # packets after the burst one more is lost
SPOKEN = 5  # packets before the burst that should hold speech too
WAYS = {
    "opus": ("Regular Opus", {"conceal": "opus", "redundancy_s": 0.0}),
    "lbrr": ("LBRR", {"conceal": "opus", "redundancy_s": 0.0, "lbrr": True}),
    "dred": ("DRED, 1 s in every packet", {"conceal": "dred", "redundancy_s": 1.0}),
}


def measure(pcm: Pcm, burst_ms: int = 240) -> Document:
    """Run the scenario on the loudest place of int16[n] (16 kHz) and return the data of the picture.

    Packets count from the first one shown. Raises UsageError for a burst outside 20 ms to 1 s, InputError for
    speech too short to have a second before the burst.
    """
    if not PACKET_MS <= burst_ms <= 1000:
        raise UsageError(f"burst is {burst_ms} ms, expected 20 to 1000 ms")
    burst = round(burst_ms / PACKET_MS)
    piece = _loudest(pcm, burst)
    first = LEAD_IN + BEFORE
    lost = [first <= n < first + burst or n == first + burst + SINGLE for n in range(len(piece) // PACKET_SAMPLES)]
    shown = slice(LEAD_IN, LEAD_IN + BEFORE + burst + AFTER)
    return {
        "schema": SCHEMA,
        "packet_ms": PACKET_MS,
        "burst_ms": burst * PACKET_MS,
        "lost": lost[shown],
        "original_s16_base64": _samples(piece, shown),
        "ways": [
            {"method": key, "text": text, **_way(piece, lost, shown, settings)}
            for key, (text, settings) in WAYS.items()
        ],
    }


def _loudest(pcm: Pcm, burst: int) -> Pcm:
    """Return the stretch in which the gap and the 100 ms before it hold the most speech, since the loss of a pause
    shows nothing.
    """
    count = len(pcm) // PACKET_SAMPLES
    need = LEAD_IN + BEFORE + burst + AFTER
    if count < need:
        seconds = need * PACKET_SAMPLES / SAMPLE_RATE
        raise InputError(f"the speech is {len(pcm) / SAMPLE_RATE:.1f} s long, the scenario needs {seconds:.1f} s")
    energy = (pcm[: count * PACKET_SAMPLES].reshape(count, PACKET_SAMPLES).astype(np.float64) ** 2).sum(axis=1)
    # The logarithm keeps one loud packet from outweighing a pause.
    spoken = np.convolve(np.log1p(energy), np.ones(SPOKEN + burst), "valid")
    first = LEAD_IN + BEFORE - SPOKEN
    start = int(np.argmax(spoken[first : first + count - need + 1]))
    return pcm[start * PACKET_SAMPLES : (start + need) * PACKET_SAMPLES]


def _way(pcm: Pcm, lost: Sequence[bool], shown: slice, options: Mapping[str, Any]) -> Document:
    settings = Settings(**options)
    run = simulate(pcm, settings, loss=LossModel("scenario", 0.0, iter([*lost, False, False])))
    sources = {packet: source for packet, source, *_ in run.timeline}
    return {
        "sources": [sources.get(n, "silence") for n in range(shown.start, shown.stop)],
        "carries_ms": _carried(pcm, settings)[shown],
        "bitrate_total_bps": run.result["bitrate_total_bps"],
        "played_s16_base64": _samples(run.pcm, shown),
    }


def _carried(pcm: Pcm, settings: Settings) -> list[float]:
    """Return how far the redundancy of every packet reaches back from its own first sample, read from the packet."""
    from dredge_device import rtp

    inspector = Inspector()
    spans = []
    with Sender.from_settings(settings) as sender:
        for piece in packets(pcm):
            packet = sender.push(piece)
            facts = inspector.packet(packet.index, rtp.parse(packet.data).payload)
            begins_ms = facts["dred"]["begins_ms"] if facts["dred"] else None
            spans.append(max(0.0, -(begins_ms or 0.0), float(PACKET_MS) if facts["lbrr"] else 0.0))
    return spans


def _samples(pcm: Pcm, shown: slice) -> str:
    piece = pcm[shown.start * PACKET_SAMPLES : shown.stop * PACKET_SAMPLES]
    return base64.b64encode(np.asarray(piece, "<i2").tobytes()).decode()
