# SPDX-License-Identifier: BSD-2-Clause
"""A simulation and judges whose answers are known, for the evaluation's bookkeeping."""

from pathlib import Path

import numpy as np
import soundfile

from dredge_host.evaluation.judging.judges import Judges
from dredge_host.evaluation.methods.methods import METHODS
from dredge_host.offline.player import Simulation
from dredge_host.sending.loss_statistics import measure_loss

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0]
SPEECH = SPEECH[16000:48000]
KEPT = {"silence": 0.0, "opus": 0.2, "lbrr": 0.3, "red": 0.4, "plc": 0.5, "dred": 0.9, "dred_lbrr": 0.95}
LOOK = 104


def known_send(pcm, method, trace, bitrate):
    """Plays lost packets at a level that depends on the method: better means nearer to full."""
    count = -(-(len(pcm) + LOOK) // 320)
    lost = [False] * count if method == "clean" or trace is None else list(trace.lost[:count])
    padded = np.zeros(count * 320)
    padded[LOOK : LOOK + len(pcm)] = pcm
    for packet in np.flatnonzero(lost):
        padded[packet * 320 : (packet + 1) * 320] *= KEPT[method]
    source = "dred" if method.startswith("dred") else "conceal"
    timeline = [(k, source if gone else "opus", 1000.0, 1.0) for k, gone in enumerate(lost)]
    loss = measure_loss(lost).as_dict()
    result = {"packets": count, "loss": loss, "alignment": {"opus_lookahead_samples": LOOK}}
    rates = {"speech": float(bitrate), "lbrr": 0.0, "dred": 25000.0 * METHODS[method].redundancy_s, "red": 0.0}
    played = Simulation(padded[LOOK : LOOK + len(pcm)].round().astype(np.int16), result, lost, timeline)
    return played, {
        "loss_pct": 100.0 * loss["rate"],
        "longest_burst_ms": loss["longest_burst_ms"],
        "bitrate_total_bps": sum(rates.values()),
        "bitrate_bps": rates,
        "cpu_us_per_packet": {"send": 100.0, "receive": 50.0},
        "frames": {"opus": count - sum(lost), source: sum(lost)},
    }


def judge_level(original, pcm):
    """5 for full level, less the more is missing."""
    return 5.0 * float(np.abs(pcm.astype(float)).mean() / np.abs(SPEECH.astype(float)).mean())


def hear_seconds(pcm):
    """A 'word' for each half second that is loud enough."""
    pieces = pcm[: len(pcm) // 8000 * 8000].reshape(-1, 8000).astype(float)
    return [f"w{k}" for k, piece in enumerate(pieces) if np.abs(piece).mean() > 350]


def share_kept(reference, played):
    """1 for everything that was sent, in place of ESTOI."""
    return float(np.abs(played.astype(float)).sum() / np.abs(reference.astype(float)).sum())


KNOWN = {"plcmos": judge_level, "estoi": share_kept}


def known_judges(plan):
    return Judges(
        {name: known for name, known in KNOWN.items() if name in plan.scores},
        hear_seconds if plan.recogniser else None,
    )


def speech_folder(path, names=("ann_1", "ann_2", "bob_1", "cid_1")):
    """A folder of clips of 2 s, all with the same speech but for two samples, so that each is its own."""
    path.mkdir(parents=True, exist_ok=True)
    for turn, name in enumerate(names):
        pcm = SPEECH.copy()
        pcm[0] = pcm[-1] = turn
        soundfile.write(path / f"{name}.flac", pcm, 16000)
    (path / "notes.txt").write_text("not speech")
    return path
