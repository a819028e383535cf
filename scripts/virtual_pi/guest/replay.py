# SPDX-License-Identifier: BSD-2-Clause
"""One stream into the real agent: packets made beforehand are sent at their times, its own report is the result.

stream.pkl beside this file holds the datagrams, and which of them are lost.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from usage import processor_s, pss_kb

ANY_PORT = "udp://127.0.0.1:0"
LISTEN_EVERY = 50  # packets; the agent reports once a second
GOODBYE_S = 10.0


def start_agent(model: str, playout: str) -> tuple[subprocess.Popen[str], str, dict[str, Any]]:
    """Start the agent; return it, its address, and how long it took to listen. Exits when it does not listen."""
    begun = time.monotonic()
    words = [sys.executable, "-m", "dredge_host", "agent", "--listen", ANY_PORT, "--once"]
    process = subprocess.Popen([*words, "--vocoder", model, "--playout", playout], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if not said.startswith("listening"):
        sys.exit(f"the agent said '{said}' and ended with {process.wait()}")
    return process, said.split()[1], {"ready_s": round(time.monotonic() - begun, 3)}


def send(session: Any, prepared: dict[str, Any]) -> list[float]:
    """Send every datagram that is not lost at its deadline; how late each was, in seconds."""
    from dredge_device.units import PACKET_SECONDS

    late = []
    due = time.monotonic()
    for index, (datagram, lost) in enumerate(zip(prepared["data"], prepared["lost"], strict=True)):
        ahead = due - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        late.append(time.monotonic() - due)
        if not lost:
            session.link.send(datagram)
        due += PACKET_SECONDS
        if index % LISTEN_EVERY == LISTEN_EVERY - 1:
            session.listen(time.monotonic())
    return late


def converse(process: subprocess.Popen[str], address: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Hold the whole session of a host with the agent; return what the agent used and reported."""
    from dredge_device.units import RTP_TICKS_PER_PACKET
    from dredge_host.links.open import open_link
    from dredge_host.live.session import Session
    from dredge_host.settings import Settings, parse_playout

    prepared = pickle.loads(Path(__file__).with_name("stream.pkl").read_bytes())
    adaptive, delay = parse_playout(wanted["playout"])
    session = Session(open_link(address))
    about: dict[str, Any] = {"device": session.greet()}
    settings = Settings(vocoder=wanted["model"], adaptive=adaptive, playout_ms=delay)
    about["configured"] = session.configure(settings, prepared["ssrc"], prepared["first_sequence"])
    about["pss_kb"] = pss_kb(process.pid)
    session.tolerant = True
    used, own, begun = processor_s(process.pid), time.process_time(), time.monotonic()
    late = send(session, prepared)
    wall = time.monotonic() - begun
    about["pss_playing_kb"] = pss_kb(process.pid)
    about["cpu_pct"] = round(100 * (processor_s(process.pid) - used) / wall, 2)
    about["replay_cpu_pct"] = round(100 * (time.process_time() - own) / wall, 2)
    about["replay_late_ms"] = round(1000 * max(late), 3)
    session.tolerant = False
    last = len(prepared["data"]) - 1
    about["report"] = session.goodbye(prepared["first_sequence"] + last, GOODBYE_S, last * RTP_TICKS_PER_PACKET)
    about["rc"] = process.wait(20)
    return about


def run(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the agent's report of one stream, and its usage. settings: model and playout."""
    process, address, about = start_agent(settings["model"], settings["playout"])
    try:
        return {**about, **converse(process, address, settings)}
    finally:
        process.kill()
