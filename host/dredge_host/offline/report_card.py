# SPDX-License-Identifier: BSD-2-Clause
"""The cost of DRED on this machine and its gain: bundled speech, both vocoders, one page."""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dredge_device.pi.machine import Machine
from dredge_device.units import PACKET_SAMPLES, PACKET_US
from dredge_host.console import table
from dredge_host.offline.documents import ReceiverCard, ReportCard
from dredge_host.offline.player import Simulation
from dredge_host.offline.quality import measure
from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import Pcm, packets
from dredge_host.sending.coverage import coverable
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_host.simd import simd_level
from dredge_host.timing import percentiles

SCHEMA = "dredge.report-card/1"
VOCODERS = ("standard", "small")
SENT_PACKETS = 250  # of the sender's measurement
_WARM_UP = 60  # packets: more than one second of history, so that the whole 1 s is sent

Say = Callable[[str, int, int], None]


def report_card(pcm: Pcm, loss: str, playout_ms: int, seed: int = 1, say: Say | None = None) -> ReportCard:
    """Return the card of this machine as a JSON document.

    pcm: int16[n] at 16 kHz; loss: a loss model (`dredge simulate --help`); say(what, done, total) reports progress. CPU
    times are of this thread, in microseconds per 20 ms. PLCMOS and ESTOI are included when their packages are
    installed.
    """
    say = say or (lambda what, done, total: None)
    base = Settings(loss=loss, playout_ms=playout_ms, seed=seed)
    ways = [("classic", _changed(base, conceal="opus", redundancy_s=0.0))]
    ways += [(name, _changed(base, vocoder=name)) for name in VOCODERS]
    total = len(ways) + 2
    say("sender", 0, total)
    sender = [_sender(pcm, seconds) for seconds in (0.0, 1.0)]
    before_kb = _peak_kb()
    runs: dict[str, Simulation] = {}
    for done, (name, settings) in enumerate(ways):
        say(f"receiver, {name}", done + 1, total)
        runs[name] = simulate(pcm, settings)
    say("quality", total - 1, total)
    clean = simulate(pcm, _changed(base, loss="none", redundancy_s=0.0, conceal="opus")).pcm
    quality = measure(pcm, {"clean": clean, **{name: run.pcm for name, run in runs.items()}})
    dred = runs["standard"].result
    say("quality", total, total)
    return {
        "schema": SCHEMA,
        "machine": Machine().facts(),
        "simd_level": simd_level(),
        "seconds": dred["seconds"],
        "loss": dred["loss"],
        "playout_ms": playout_ms,
        "bitrate_bps": dred["bitrate_bps"],
        "sender_us_per_packet": {"without": sender[0], "with": sender[1]},
        "receiver": {name: _receiver(run, base) for name, run in runs.items()},
        "memory_kb": {"before": before_kb, "peak": _peak_kb()},
        "quality": quality,
    }


def _changed(settings: Settings, **changes: Any) -> Settings:
    return Settings(**{**settings.as_dict(), **changes})


def _sender(pcm: Pcm, redundancy_s: float) -> float:
    """Return the median CPU time of a packet, microseconds."""
    spent = []
    with Sender(redundancy_s=redundancy_s) as sender:
        for index, piece in enumerate(packets(np.resize(pcm, (_WARM_UP + SENT_PACKETS) * PACKET_SAMPLES))):
            began = time.thread_time_ns()
            sender.push(piece)
            if index >= _WARM_UP:
                spent.append((time.thread_time_ns() - began) / 1000)
    return percentiles(spent)["p50"]


def _receiver(run: Simulation, settings: Settings) -> ReceiverCard:
    """Return the cost per period by source, and the share recovered of the losses that a later packet describes."""
    rows = [(source, cpu_us) for _, source, _, cpu_us in run.timeline]
    costs = {name: [cpu for source, cpu in rows if source == name] for name in dict.fromkeys(s for s, _ in rows)}
    firsts = [cpu for (before, _), (source, cpu) in itertools.pairwise(rows)
              if before == "opus" and source in ("dred", "plc")]  # fmt: skip
    everything = [cpu for _, cpu in rows]
    mean = sum(everything) / max(1, len(everything))
    played = {number: source for number, source, _, _ in run.timeline}
    delays = {number: delay for number, _, delay, _ in run.timeline} if settings.adaptive else None
    wanted = coverable(run.trace, settings, delays)
    back = sum(played.get(number) in ("dred", "lbrr") for number in wanted)
    return {
        "cpu_us": {**percentiles(everything), "mean": round(mean, 1)},
        "by_source_us": {name: {**percentiles(times), "periods": len(times)} for name, times in costs.items()},
        "first_of_a_gap_us": percentiles(firsts),
        "load_pct": round(100 * mean / PACKET_US, 2),
        "headroom": round(PACKET_US / mean, 1) if mean else None,
        "recovered": back,
        "coverable": len(wanted),
        "lost": run.result["loss"]["lost_packets"],
        "recovered_pct": round(100 * back / len(wanted), 1) if wanted else None,
    }


def _peak_kb() -> int:
    """Return the largest resident size of this process so far, KiB (Linux)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def lines(card: ReportCard) -> list[str]:
    """Return the card as lines of one screen."""
    machine, loss, rates = card["machine"], card["loss"], card["bitrate_bps"]
    names = [name for name in card["receiver"] if name != "classic"]
    columns = ["classic", *names]
    sender = card["sender_us_per_packet"]
    out = [
        (f"{machine['board'] or machine['cpu']}, {machine['architecture']}, kernels {card['simd_level']}, "
         f"{machine['os']}, Python {machine['python']}"),
        (f"{card['seconds']:.1f} s of speech, {100 * loss['rate']:.1f} % of the packets lost in {loss['bursts']} "
         f"bursts, the longest {loss['longest_burst_ms']:.0f} ms; playout {card['playout_ms']} ms behind"),
        "",
        "What DRED costs",
        (f"  network    {rates['dred'] / 1000:.1f} kb/s for 1 s of history in every packet, "
         f"beside {rates['speech'] / 1000:.1f} kb/s of speech"),
        f"  delay      {card['playout_ms']} ms of playout delay: a gap as long as that can be filled",
        f"  memory     {card['memory_kb']['peak'] / 1024:.0f} MB at most: sender, vocoders and metrics in one process",
        (f"  sender     {sender['with'] / 1000:.2f} ms a packet, {sender['without'] / 1000:.2f} without "
         f"({100 * sender['with'] / PACKET_US:.1f} and {100 * sender['without'] / PACKET_US:.1f} % of a core)"),
        "",
    ]  # fmt: skip
    rows = [_row("mean load of a core (less is better)", card, columns, lambda r: f"{r['load_pct']:.1f} %"),
            _row("times faster than needed", card, columns, lambda r: f"{r['headroom']:.0f}"),
            _row("a received period, ms", card, columns, lambda r: _ms(r["by_source_us"].get("opus"))),
            _row("a recovered period, ms", card, columns, lambda r: _ms(r["by_source_us"].get("dred"))),
            _row("the first of a gap, ms", card, columns, lambda r: _ms(r["first_of_a_gap_us"])),
            _row("the longest period, ms", card, columns, lambda r: f"{r['cpu_us']['max'] / 1000:.2f}")]  # fmt: skip
    out += [f"  {line}" for line in table(rows, ("receiver, per 20 ms", "classic", *[f"DRED, {n}" for n in names]))]
    out += ["", "What it recovers"]
    gains = [_row("recovered of the losses described", card, columns,
                  lambda r: "-" if r["recovered_pct"] is None else f"{r['recovered_pct']:.1f} %")]  # fmt: skip
    for metric, title in (("plcmos", "PLCMOS (1 to 5, more is better)"), ("estoi", "ESTOI (0 to 1, more is better)")):
        scores = card["quality"].get(metric)
        if scores:
            clean = scores.get("clean")
            if clean is not None:
                title += f"; no loss: {clean:.2f}"
            gains.append([title, *["-" if scores[name] is None else f"{scores[name]:.2f}" for name in columns]])
    out += [f"  {line}" for line in table(gains, ("", "classic", *[f"DRED, {n}" for n in names]))]
    return out + [f"  {why}" for why in card["quality"]["missing"]]


def _row(title: str, card: ReportCard, columns: Sequence[str], text: Callable[[ReceiverCard], str]) -> list[str]:
    return [title, *[text(card["receiver"][name]) for name in columns]]


def _ms(times: dict[str, float] | None) -> str:
    return f"{times['p50'] / 1000:.2f}" if times else "-"
