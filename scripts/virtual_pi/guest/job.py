# SPDX-License-Identifier: BSD-2-Clause
"""Runs on the virtual board: starts the real agent, replays packets to it, prints its own report as one JSON line.

    job.py [seed]      seed: give the kernel random numbers first (needs root)

Beside this file, stream.pkl holds the datagrams, made beforehand, and which of them are lost; settings.json the model
and the playout delay.
"""

from __future__ import annotations

import fcntl
import json
import os
import pickle
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ANY_PORT = "udp://127.0.0.1:0"
LISTEN_EVERY = 50  # packets; the agent reports once a second
GOODBYE_S = 10.0
_ADD_ENTROPY = 0x40085203  # RNDADDENTROPY of random(4)


def seed_kernel() -> None:
    """Give the kernel random numbers that are always the same.

    Nothing else on this board feeds it, so the first reader (numpy) would spin for a second of jitter.
    """
    with open("/dev/random", "wb", buffering=0) as device:
        fcntl.ioctl(device, _ADD_ENTROPY, struct.pack("ii64s", 512, 64, bytes(range(64))))


def pss_kb(pid: int) -> int | None:
    """Proportional set size of a process; None when it has ended."""
    try:
        with open(f"/proc/{pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))
    except (OSError, StopIteration):
        return None


def processor_s(pid: int) -> float:
    """CPU seconds that a process has used so far."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_agent(model: str, playout: str) -> tuple[subprocess.Popen[str], str, dict[str, Any]]:
    """The agent, its address, and how long it took to listen. SystemExit when it does not."""
    begun = time.monotonic()
    words = [sys.executable, "-m", "dredge_host", "agent", "--listen", ANY_PORT, "--once"]
    process = subprocess.Popen([*words, "--vocoder", model, "--playout", playout], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = process.stdout.readline().strip()
    if not said.startswith("listening"):
        sys.exit(f"the agent said '{said}' and ended with {process.wait()}")
    return process, said.split()[1], {"ready_s": round(time.monotonic() - begun, 3)}


def replay(session: Any, prepared: dict[str, Any]) -> list[float]:
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
    """The whole session of a host with the agent, and what the agent used and reported."""
    from dredge_device.units import RTP_TICKS_PER_PACKET
    from dredge_host.links.open import open_link
    from dredge_host.live.session import Session
    from dredge_host.settings import Settings, parse_playout

    prepared = pickle.loads((HERE / "stream.pkl").read_bytes())
    adaptive, delay = parse_playout(wanted["playout"])
    session = Session(open_link(address))
    about: dict[str, Any] = {"device": session.greet()}
    settings = Settings(vocoder=wanted["model"], adaptive=adaptive, playout_ms=delay)
    about["configured"] = session.configure(settings, prepared["ssrc"], prepared["first_sequence"])
    about["pss_kb"] = pss_kb(process.pid)
    session.tolerant = True
    used, own, begun = processor_s(process.pid), time.process_time(), time.monotonic()
    late = replay(session, prepared)
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


def main() -> dict[str, Any]:
    wanted = json.loads((HERE / "settings.json").read_text())
    process, address, about = start_agent(wanted["model"], wanted["playout"])
    try:
        about |= converse(process, address, wanted)
    finally:
        process.kill()
    return {**about, "kernel": os.uname().release, "python": sys.version.split()[0]}


if __name__ == "__main__":
    if sys.argv[1:] == ["seed"]:
        seed_kernel()
    print("PI-JSON " + json.dumps(main()), flush=True)
