# SPDX-License-Identifier: BSD-2-Clause
"""`dredge evaluate --light-loss`: a comparison of redundancies at light loss, under one bit rate on the wire.

It compares LBRR alone, DRED alone, both, and `auto`. The clips are sent in a row, since a sender that
is steered by reports needs longer than a clip; each clip is judged alone. All have the same receiver and losses.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dredge_device.units import PACKET_SECONDS, SAMPLE_RATE
from dredge_host.errors import UsageError
from dredge_host.evaluation.judging.judges import Judges, load_judges
from dredge_host.evaluation.judging.registry import METRICS, SCORES, Measurement
from dredge_host.evaluation.material.clips import Clip
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.methods.steered import SteeredSender
from dredge_host.evaluation.results.document import LightLossResult
from dredge_host.evaluation.results.markdown import table
from dredge_host.evaluation.results.stats import Interval, mean_interval, resamples
from dredge_host.evaluation.running.cache import Cache, digest_of
from dredge_host.evaluation.running.cell import DIGITS
from dredge_host.evaluation.running.identity import identity
from dredge_host.offline.simulate import make_receiver, simulate
from dredge_host.progress import Bar
from dredge_host.sending.audio import packets
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.sender import HEADER_BYTES, LBRR_RATE_FACTOR, BitrateMeter, Sender
from dredge_host.settings import Settings
from dredge_kernels.arrays import Pcm

SCHEMA = "dredge.light-loss/1"
CAP_BPS = 75_000  # what 24 kb/s of speech, LBRR, 1 s of DRED and the headers take
RATES = (2, 5, 10, 20)  # %
LOSSES = ("none", *(f"{rate}%" for rate in RATES), *(f"gilbert:rate={rate}%,burst=4,max=16" for rate in RATES))
WAYS = {"lbrr": "LBRR alone", "dred": "DRED alone", "dred_lbrr": "DRED + LBRR", "auto": "--redundancy auto"}
ALONE = ("lbrr", "dred")
NOTICED = 0.1  # PLCMOS; smaller differences also occur between two bit rates of the same clip


def run(
    clips: Sequence[Clip],
    plan: Plan,
    folder: str = "",
    cap_bps: int = CAP_BPS,
    losses: Sequence[str] = LOSSES,
    store: Cache | None = None,
) -> LightLossResult:
    """Send through every loss in every way and return a `dredge.light-loss/1` document.

    plan: scores, seed, and a description of the speech for the document; folder: its name, for the document; cap_bps:
    on the wire, headers included. Raises UsageError for a bad loss, or a cap that leaves less for the speech than Opus
    can do.
    """
    store, same = store or Cache(None), identity(plan, __name__)
    for loss in losses:
        parse_loss(loss, plan.seed)
    judges = load_judges(plan)
    speech = np.concatenate([clip.pcm for clip in clips])
    runs = [(loss, way) for loss in losses for way in WAYS]
    rows: list[Measurement] = []
    with Bar("light loss", len(runs) + 1, "runs") as bar:
        rates = speech_rates(cap_bps, history_bps(speech))
        bar.step()
        for loss, way in runs:
            key = digest_of({"speech": [clip.digest for clip in clips], "loss": loss, "way": way, "seed": plan.seed,
                             "cap": cap_bps, "rate": rates[way], **same})  # fmt: skip
            row = store.get(key)
            if row is None:
                row = _row(speech, clips, loss, way, rates[way], cap_bps, plan.seed, judges)
                store.put(key, row)
            rows.append(row)
            bar.step()
    return {
        "schema": SCHEMA,
        "folder": folder,
        "cap_bps": cap_bps,
        "seed": plan.seed,
        "seconds_each": plan.seconds,
        "clips": [clip.name for clip in clips],
        "seconds": round(len(speech) / SAMPLE_RATE, 1),
        "rows": rows,
        "comparison": [compare(found, plan.seed) for loss in losses if (found := _of(rows, loss))],
        "noticed": NOTICED,
    }


def speech_rates(cap_bps: int, dred_bps: float) -> dict[str, int]:
    """Return the b/s of speech by way of sending, so that all parts together reach the cap; for `auto` the lowest.

    Raises UsageError when the rate is below Opus' lowest.
    """
    room = cap_bps - 8 * HEADER_BYTES / PACKET_SECONDS
    rates = {
        "lbrr": room / LBRR_RATE_FACTOR,
        "dred": room - dred_bps,
        "dred_lbrr": (room - dred_bps) / LBRR_RATE_FACTOR,
        "auto": (room - dred_bps) / LBRR_RATE_FACTOR,
    }
    if min(rates.values()) < 6000:
        raise UsageError(
            f"the cap is {cap_bps} b/s, and headers, LBRR and DRED leave {min(rates.values()):.0f} b/s for the speech; "
            "expected a cap that leaves 6000"
        )
    return {way: min(256_000, round(rate)) for way, rate in rates.items()}


def history_bps(pcm: Pcm) -> float:
    """Return the b/s of 1 s of DRED on int16[n]."""
    meter = BitrateMeter()
    with Sender(bitrate=6000, redundancy_s=1.0) as sender:
        for piece in packets(pcm):
            meter.add(sender.push(piece).split)
    return meter.rates()["dred"]


def _row(
    pcm: Pcm, clips: Sequence[Clip], loss: str, way: str, bitrate: int, cap_bps: int, seed: int, judges: Judges
) -> Measurement:
    settings = Settings(
        bitrate=bitrate, redundancy_s=0.0 if way == "lbrr" else 1.0, lbrr=way != "dred", loss=loss, seed=seed
    )
    steered = SteeredSender(settings, cap_bps) if way == "auto" else None
    receiver = steered.listen if steered else make_receiver
    played = simulate(pcm, settings, sender=steered, receiver_factory=receiver)
    scores: dict[str, list[float | None]] = {name: [] for name in judges.scores}
    for clip, heard in zip(clips, _pieces(played.pcm, clips), strict=True):
        for name, judge in judges.scores.items():
            score = judge(clip.pcm, heard)
            scores[name].append(None if score is None else round(score, DIGITS))
    return {
        "loss": loss,
        "way": way,
        "speech_bps": bitrate,
        "bitrate_total_bps": played.result["bitrate_total_bps"],
        "loss_pct": round(100.0 * played.result["loss"]["rate"], 2),
        "frames": dict(played.result["frames"]),
        "changes": steered.log if steered else [],
        "scores": scores,
    }


def _pieces(pcm: Pcm, clips: Sequence[Clip]) -> Iterator[Pcm]:
    """Yield the part of each clip."""
    start = 0
    for clip in clips:
        yield pcm[start : start + len(clip.pcm)]
        start += len(clip.pcm)


def _of(rows: Sequence[Measurement], loss: str) -> dict[str, Measurement]:
    return {row["way"]: row for row in rows if row["loss"] == loss}


def compare(rows: Mapping[str, Measurement], seed: int) -> dict[str, Any]:
    """Return every way's means for one loss, and what DRED + LBRR and auto gain on the better of LBRR and DRED alone.

    better: which of these is better on average; difference: mean with its 95 % interval over clips; worse, better:
    clips that differ by more than `NOTICED`.
    """
    means = {way: {name: _mean(values) for name, values in row["scores"].items()} for way, row in rows.items()}
    found: dict[str, Any] = {"loss": rows["lbrr"]["loss"], "loss_pct": rows["lbrr"]["loss_pct"], "means": means}
    if "plcmos" not in means["lbrr"]:
        return found
    better = max(ALONE, key=lambda way: means[way]["plcmos"])
    found["better"] = better
    for way in ("dred_lbrr", "auto"):
        differences = np.subtract(rows[way]["scores"]["plcmos"], rows[better]["scores"]["plcmos"])
        interval: Interval = mean_interval(list(differences), resamples(len(differences), seed))
        found[way] = {
            **{key: round(value, DIGITS) for key, value in interval._asdict().items()},
            "worse": int(np.sum(differences < -NOTICED)),
            "better": int(np.sum(differences > NOTICED)),
        }
    return found


def _mean(values: Sequence[float | None]) -> float:
    return round(float(np.mean([value for value in values if value is not None] or [np.nan])), DIGITS)


CLIPS = "clips worse, better"
HEAD = ("loss", "", *WAYS.values(), "DRED + LBRR − better", CLIPS, "auto − better", CLIPS)


def table_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return a line for each loss and metric under `HEAD`, then the bit rates on the wire."""
    lines = []
    for found in document["comparison"]:
        for turn, name in enumerate(key for key in SCORES if key in found["means"]["lbrr"]):
            cells = [METRICS[name].text(found["means"][way][name]) for way in WAYS]
            more = _difference(found, "dred_lbrr") + _difference(found, "auto") if name == "plcmos" else [""] * 4
            lines.append([called(found["loss"]) if turn == 0 else "", METRICS[name].title, *cells, *more])
        rates = _of(document["rows"], found["loss"])
        lines.append(["", "kb/s", *[f"{rates[way]['bitrate_total_bps'] / 1000:.1f}" for way in WAYS], *[""] * 4])
    return lines


def markdown(document: Mapping[str, Any]) -> str:
    """Return the sent parts and the table as Markdown."""
    text = (
        f"{len(document['clips'])} clips of up to {document['seconds_each']:g} s in a row, "
        f"{document['cap_bps'] / 1000:g} kb/s on the wire, headers included."
    )
    if document.get("measured"):
        text = f"Measured on {document['measured']}: {text}"
    return f"{text}\n\n{table(HEAD, table_rows(document))}"


def _difference(found: Mapping[str, Any], way: str) -> list[str]:
    one = found[way]
    half = (one["high"] - one["low"]) / 2
    return [f"{one['mean']:+.3f} ± {half:.3f}".replace("-", "−"), f"{one['worse']}, {one['better']}"]


def called(loss: str) -> str:
    """Return the displayed name of a loss of `LOSSES`."""
    if loss.startswith("gilbert:rate="):
        rate, _, rest = loss.removeprefix("gilbert:rate=").partition("%")
        return f"{rate} % in bursts of {rest.removeprefix(',burst=').partition(',')[0]}"
    return f"{loss.removesuffix('%')} % at random" if loss.endswith("%") else "no loss"
