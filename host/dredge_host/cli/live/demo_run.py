# SPDX-License-Identifier: BSD-2-Clause
"""The main job, end to end: agent process, real-time stream through harsh loss, report, verdict."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dredge_device.pi.output.files import write_text
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE
from dredge_host.console import to_json
from dredge_host.links.agent_process import AgentProcess
from dredge_host.live import result as livesummary
from dredge_host.live.checks.verdict import judge
from dredge_host.live.control_channel import Update
from dredge_host.live.documents import LiveFigures, StreamResult
from dredge_host.live.session import Session
from dredge_host.live.stream import StreamOutcome, stream
from dredge_host.offline import quality
from dredge_host.offline.simulate import simulate
from dredge_host.progress import Bar
from dredge_host.sending.audio import Audio, Pcm, packets, read_audio, write_audio
from dredge_host.sending.loss import parse_loss, save_trace
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings

SCHEMA = "dredge.demo/1"
WAYS = {"plc": "neural concealment", "opus": "classic concealment"}  # the same losses without redundancy


@dataclass(frozen=True)
class Job:
    """The parameters of a demo: send `audio` with `settings`, write all results to the folder `out`."""

    audio: Audio
    settings: Settings
    out: Path


def demo(job: Job, json_lines: bool = False) -> StreamResult:
    """Run the demo and return its result document; files lie in job.out afterwards.

    original.wav, dred.wav (what the agent played), plc.wav and opus.wav (the same losses offline, without
    redundancy), trace.txt, result.json, report.html. result["verdict"]["pass"] is the verdict, result["gain"] one
    sentence about the gain. Progress goes to standard error: one live line on a terminal, or one JSON object
    per second. Raises UnreachableError if the agent does not start or stops answering.
    """
    from dredge_host.report import write_report

    job.out.mkdir(parents=True, exist_ok=True)
    wavs = {"original": write_audio(job.out / "original.wav", job.audio.pcm)}
    outcome, sender = _stream(job, json_lines)
    wavs["dred"] = _align(job, outcome, sender)
    save_trace(job.out / "trace.txt", outcome.trace)
    for conceal, words in WAYS.items():
        wavs[conceal] = write_audio(job.out / f"{conceal}.wav", _offline(job, conceal, words))
    result = _document(job, outcome, wavs)
    result["quality"] = _quality(job, wavs)
    result["gain"] = quality.gain(result)
    write_text(job.out / "result.json", to_json(result) + "\n")
    write_report(job.out / "report.html", result, wavs)
    return result


def _stream(job: Job, json_lines: bool) -> tuple[StreamOutcome, Sender]:
    from dredge_host.links.open import open_link
    from dredge_models.registry import model_ids

    settings = job.settings
    sender = Sender.from_settings(settings)
    count = -(-(len(job.audio.pcm) + sender.lookahead) // PACKET_SAMPLES)
    loss = parse_loss(settings.loss, settings.seed)
    with AgentProcess(_raw(job), settings.playout_ms, options=("--once", "--overwrite")) as agent:
        link = open_link(agent.url)
        try:
            with _display(count, json_lines) as update:
                outcome = stream(
                    packets(job.audio.pcm, count),
                    Session(link, update=update),
                    settings,
                    loss,
                    sender=sender,
                    models=model_ids(),
                    update=update,
                )
        finally:
            link.close()
    return outcome, sender


@contextmanager
def _display(count: int, json_lines: bool) -> Iterator[Update]:
    """Return a function that shows the state of the stream: one live line, or JSON for programs."""
    from dredge_host.live.screen.display import Display
    from dredge_host.live.screen.figures import Figures

    if json_lines:
        with Display(count, json_lines=True) as display:
            yield display.update
        return
    figures = Figures()

    def update(state: LiveFigures) -> None:
        figures.take(state)
        counts = figures.state.get("by_source") or {}
        rebuilt = counts.get("dred", 0) + counts.get("lbrr", 0)
        heard = f"{rebuilt} of them rebuilt" if rebuilt else ""
        bar.remark(heard if figures.silent_s is None else figures.silence_text())
        bar.reach(min(count, sum(number for name, number in counts.items() if name != "silence")))

    with Bar("streaming to a device process", count, "packets played") as bar:
        yield update


def _raw(job: Job) -> Path:
    return job.out / "device.wav"


def _align(job: Job, outcome: StreamOutcome, sender: Sender) -> Path:
    """Return the agent's recording aligned with the original, sample by sample."""
    raw = _raw(job)
    rows = livesummary.timeline_rows(outcome.report, sender.first_sequence)
    played = read_audio(raw).pcm if raw.is_file() and raw.stat().st_size > 44 else _nothing()
    start = rows[0][0] * PACKET_SAMPLES - sender.lookahead if rows else 0
    pcm = place(played, start, len(job.audio.pcm))
    raw.unlink(missing_ok=True)
    return write_audio(job.out / "dred.wav", pcm)


def place(pcm: Pcm, start: int, length: int) -> Pcm:
    """Return int16[length] with sample 0 of pcm at `start` (may be negative), silence around it."""
    out = np.zeros(length, np.int16)
    first, last = max(0, start), min(length, start + len(pcm))
    if first < last:
        out[first:last] = pcm[first - start : last - start]
    return out


def _nothing() -> Pcm:
    return np.zeros(0, np.int16)


def _offline(job: Job, conceal: str, words: str, loss: str = "") -> Pcm:
    """Return the output without redundancy after the same losses, or after `loss`."""
    settings = replace(job.settings, conceal=conceal, redundancy_s=0.0, lbrr=False)
    model = parse_loss(loss or f"trace:{job.out / 'trace.txt'}")
    with Bar(f"the same losses, {words}" if not loss else words, 0, "packets") as bar:
        return simulate(job.audio.pcm, settings, loss=model, progress=bar.reach).pcm


def _quality(job: Job, wavs: dict[str, Path]) -> quality.Quality:
    """Return the scores of every way and of the stream without loss, as far as metrics are installed."""
    played = {name: read_audio(path).pcm for name, path in wavs.items() if name != "original"}
    if not quality.available():
        return quality.measure(job.audio.pcm, {})
    played["clean"] = _offline(job, "opus", "no losses", loss="none")
    with Bar("quality", 0, "scores") as bar:
        return quality.measure(job.audio.pcm, played, step=bar.reach)


def _document(job: Job, outcome: StreamOutcome, wavs: dict[str, Path]) -> StreamResult:
    result = livesummary.document(outcome, job.settings)
    result["schema"] = SCHEMA
    result["seconds"] = round(len(job.audio.pcm) / SAMPLE_RATE, 4)
    result["files"] = {name: path.name for name, path in wavs.items()}
    result["verdict"] = judge(outcome, job.settings)
    return result
