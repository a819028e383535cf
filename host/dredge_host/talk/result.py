# SPDX-License-Identifier: BSD-2-Clause
"""The result document of a talk, and its state while it runs."""

from __future__ import annotations

from dredge_device.pi.schema.report import BudgetReport, DeviceReport, Link, OutputReport
from dredge_host.audio_io.source import SourceReport
from dredge_host.settings import Settings
from dredge_host.talk.delay import path
from dredge_host.talk.documents import PathDelay, ReceivedResult, SentResult, TalkResult, TalkState
from dredge_host.talk.receiving import ReceivingHalf
from dredge_host.talk.sending import SendingHalf
from dredge_host.talk.signal.gate import SILENT_DB, MicrophoneGate

SCHEMA = "dredge.talk/1"


def document(
    sending: SendingHalf,
    receiving: ReceivingHalf,
    settings: Settings,
    seconds: float,
    source: SourceReport,
    line: Link,
) -> TalkResult:
    """Return the JSON result.

    sent: this end's speech, as the other end reports it, with the accounting of the last call; received: the other
    end's, as played here. delay_ms: mean of every part in ms (dredge_host.talk.delay). source, line: reports of
    the source and of the line.
    """
    told = sending.session.report or sending.session.newest if sending.session is not None else {}
    return {
        "schema": SCHEMA,
        "settings": settings.as_dict(),
        "seconds": seconds,
        "calls": sending.calls,
        "sent": {
            "accounting": sending.accounting,
            "by_source": told.get("sources"),
            "loss_pct": told.get("loss_pct"),
            "delay_ms": sending.path(),
            "source": source,
        },
        "received": {
            "sessions": receiving.sessions_ended,
            "by_source": receiving.last.get("sources"),
            "packets": receiving.last.get("packets"),
            "loss_pct": receiving.last.get("loss_pct"),
            "delay_ms": receive_path(sending, receiving),
            "reasons": receiving.last.get("reasons"),
            "timeline": receiving.last.get("timeline"),
            "queue": receiving.last.get("queue"),
            "governor": receiving.last.get("governor"),
            "playout_delay_ms": receiving.last.get("delay_ms"),
            "budget": _without_histogram(receiving.last),
            "sink": receiving.last.get("output"),
        },
        "line": line,
    }


def _without_histogram(report: DeviceReport) -> BudgetReport | None:
    budget = report.get("budget")
    if budget is not None:
        budget = budget.copy()
        budget.pop("histogram", None)
    return budget


def state(
    sending: SendingHalf, receiving: ReceivingHalf, gate: MicrophoneGate, speaker_db: float, seconds: float
) -> TalkState:
    """Return the displayed state; figures are at most a second old. Any thread may call it."""
    heard = receiving.figures
    budget = heard.get("budget")
    session = sending.session
    told = session.newest if session is not None else {}
    return {
        "t_s": seconds,
        "state": sending.state,
        "problem": sending.problem,
        "muted": gate.shut,
        "ducked": gate.down,
        "mic_db": round(sending.level.db, 1),
        "speaker_db": round(speaker_db, 1) if receiving.peer is not None else SILENT_DB,
        "sent": {"loss_pct": told.get("loss_pct"), "by_source": told.get("sources"),
                 "bitrate_bps": sending.bitrate_bps, "delay_ms": sending.path(),
                 "report_age_s": session.report_age_s if session is not None else None},
        "received": {"loss_pct": heard.get("loss_pct"), "by_source": heard.get("sources"),
                     "cpu_p99_us": budget["p99_us"] if budget else None, "delay_ms": receive_path(sending, receiving),
                     "silent_s": receiving.silent_s},
    }  # fmt: skip


def receive_path(sending: SendingHalf, receiving: ReceivingHalf) -> PathDelay:
    """Return the delays of the other end's speech (dredge_host.talk.delay)."""
    network_us = sending.delay.network_us if sending.delay is not None else None
    return path(sending.send_delay_there(), network_us, receiving.delay.report())


def lines(result: TalkResult) -> list[str]:
    """Return the result in a few lines of text."""
    out = [f"talked   {result['seconds']:.1f} s in {result['calls']} call{'' if result['calls'] == 1 else 's'}"]
    sides: dict[str, SentResult | ReceivedResult] = {"sent": result["sent"], "received": result["received"]}
    for side, part in sides.items():
        played = (part["by_source"] or {}).items()
        sources = ", ".join(f"{name} {count}" for name, count in played if count)
        loss = "-" if part["loss_pct"] is None else f"{part['loss_pct']:.1f} %"
        out.append(f"{side:8} loss {loss}, {delay_words(part['delay_ms'])}; {sources or 'nothing'}")
    counts = result["sent"]["accounting"]
    if counts:
        words = "complete" if counts["complete"] else "not complete"
        out.append(f"counts   {words}: made {counts['made']}, lost by the model {counts['dropped_by_model']}, "
                   f"sent {counts['sent']}, arrived {counts['arrived']}")  # fmt: skip
    sink: OutputReport = result["received"]["sink"] or {}
    for name, advice in (("source", result["sent"]["source"].get("advice")), ("sink", sink.get("advice"))):
        if advice:
            out.append(f"{name:8} {advice}")
    return out


def delay_words(path: PathDelay) -> str:
    """Return the delay from mouth to ear as text where it is known, else that of playout."""
    if path["mouth_to_ear"] is not None:
        return f"{path['mouth_to_ear']:.0f} ms from mouth to ear"
    if path["playout"] is not None:
        return f"{path['playout']:.0f} ms of playout"
    return "delay not known"
