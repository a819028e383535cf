#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs a device process for hours under many hosts that come, change and go, and watches what becomes of it.

scripts/soak.py --minutes 60 --streams 8 --loss gilbert:rate=20%,burst=5 --json soak.json
scripts/soak.py --minutes 3 --streams 40                                    (beyond the rating)

Passes (exit code 0) when memory, descriptors and threads do not grow, no packet takes more CPU time than its period,
and the counters of every session are exact; else 1. Lateness by the clock is reported but not judged: it says how busy
the machine was with other things.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import click
from soakhost import Session, SoakHost, encoded
from soakwatch import Sample, look, rows, trend

from dredge_device.pi.machine import Machine
from dredge_device.pi.output.files import write_text
from dredge_device.units import PACKET_SECONDS
from dredge_host.console import emit, to_json
from dredge_host.errors import CHECK_FAILED, INTERRUPTED, OK, DredgeError, exit_code, sentence
from dredge_host.links.agent_process import AgentProcess
from dredge_host.sending.audio import bundled_clip, read_audio

SCHEMA = "dredge.soak/1"
SAMPLE_S = 10.0
LEAVE_S = 20.0  # for the last reports
SETTLED_S = 600.0  # of samples: memory is judged from here on
GROWTH_KIB_PER_H = 1024  # more than that for sure (lower end of the interval) is a leak
Result = dict[str, Any]


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return the arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--streams", type=int, default=8, help="hosts at the same time")
    parser.add_argument("--loss", default="gilbert:rate=20%,burst=5")
    parser.add_argument("--session", default="20:120", metavar="S:S", help="shortest and longest session in seconds")
    parser.add_argument("--sample", type=float, default=SAMPLE_S, metavar="S", help="seconds between two samples")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--realtime", action="store_true", help="the device decodes with real-time scheduling")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    return parser.parse_args(given)


class Soak:
    """The device, its hosts, and the samples taken of it."""

    def __init__(self, given: argparse.Namespace, feed: list[bytes], agent: AgentProcess) -> None:
        shortest, _, longest = given.session.partition(":")
        lasts = (float(shortest), float(longest or shortest))
        self._pid = agent.pid
        self.hosts = [SoakHost(i, agent.url, feed, given.loss, lasts, given.seed) for i in range(given.streams)]
        self.samples: list[Sample] = []
        self._every = given.sample
        self._late = 0.0  # the worst delay of this program itself

    def run(self, seconds: float) -> None:
        """Let hosts come and go for so long, then end the last sessions."""
        begin = time.monotonic()
        with click.progressbar(length=round(seconds), label="soaking", file=sys.stderr) as bar:
            while (now := time.monotonic() - begin) < seconds:
                self._turn(begin, now)
                bar.update(round(now) - bar.pos)
        for host in self.hosts:
            host.leaving = True
        while (now := time.monotonic() - begin) < seconds + LEAVE_S and not all(h.resting for h in self.hosts):
            self._turn(begin, now)

    def _turn(self, begin: float, now: float) -> None:
        if not self.samples or now - self.samples[-1].t_s >= self._every:
            self.samples.append(look(self._pid, now))
        for host in self.hosts:
            host.step(time.monotonic() - begin)
        due = (int(now / PACKET_SECONDS) + 1) * PACKET_SECONDS
        ahead = due - (time.monotonic() - begin)
        self._late = max(self._late, -ahead)
        time.sleep(max(0.0, ahead))

    @property
    def late_ms(self) -> float:
        """How late the hosts themselves were at worst."""
        return round(1000 * self._late, 1)

    @property
    def sessions(self) -> list[Session]:
        """All that are over, in the order in which they began."""
        return sorted((s for host in self.hosts for s in host.ended), key=lambda s: s.begun_s)

    def device(self) -> Result:
        """Return the newest device-wide load report."""
        reports = [host.device for host in self.hosts if host.device]
        return max(reports, key=lambda report: sum(report["periods"].values()), default={})


def totals(sessions: list[Session]) -> Result:
    """Return the sums over the sessions that have a report."""
    done = [s.summary() for s in sessions if s.report]
    names = ("opus", "lbrr", "dred", "plc", "conceal", "skipped")
    pacing = [s["pacing"] or {} for s in done]
    return {
        "sessions": len(done),
        "refused": sum(s.trouble.startswith("refused") for s in sessions),
        "without_report": sum(not s.report and not s.trouble.startswith("refused") for s in sessions),
        "senders": sum(s["senders"] for s in done),
        "packets": sum(s["made"] for s in done),
        "lost_by_model": sum(s["lost"] for s in done),
        "lost_on_the_way": sum(s["on_the_way"] for s in done),
        "inexact_sessions": sum(not s["exact"] for s in done),
        "sources": {name: sum(s["sources"].get(name, 0) for s in done) for name in names},
        "late_frames_cpu": sum(s["late_frames"] for s in done),
        "frame_max_us_cpu": max((s["max_us"] for s in done), default=0),
        "frame_max_us_wall": max((s["wall_max_us"] for s in done), default=0),
        "missed_deadlines_wall": sum(p.get("missed_deadlines", 0) for p in pacing),
        "wake_max_us_wall": max((p.get("wake_max_us", 0) for p in pacing), default=0),
    }


def verdicts(result: Result) -> list[tuple[str, bool, str]]:
    """Return (what, passed, in words) of everything that is judged."""
    grown, total = result["trend"], result["totals"]
    low = grown["rss_kib_per_h"] - grown["rss_kib_per_h_ci95"]
    books = f"{total['inexact_sessions']} of {total['sessions']} sessions inexact, {total['without_report']} lost"
    rise = f"{grown['rss_kib_per_h']:+.0f} ± {grown['rss_kib_per_h_ci95']:.0f} KiB/h"
    settling = grown["seconds"] < SETTLED_S  # the first minutes fill caches and pools, which is no leak
    rise += f", not judged in less than {SETTLED_S / 60:g} minutes" if settling else ""
    return [
        ("memory", settling or low <= GROWTH_KIB_PER_H, f"{grown['rss_kib']['last']} KiB, {rise}"),
        ("descriptors", grown["fds"][1] <= grown["fds"][0] + grown["hosts"], "{} to {}".format(*grown["fds"])),
        ("threads", grown["threads"][0] == grown["threads"][1], "{} to {}".format(*grown["threads"])),
        ("late by CPU", total["late_frames_cpu"] == 0, f"{total['late_frames_cpu']} of {total['packets']} packets"),
        ("counters", total["inexact_sessions"] == total["without_report"] == 0 < total["sessions"], books),
    ]


def lines(result: Result) -> list[str]:
    """Return the result as lines for people."""
    total, load = result["totals"], result["load"]
    sources = ", ".join(f"{name} {count}" for name, count in total["sources"].items() if count)
    woken = f"{total['wake_max_us_wall'] / 1000:.1f}"
    words = [
        "{sessions} sessions, {senders} senders, {packets} packets, {refused} refusals".format(**total),
        f"played   {sources}",
        f"by clock {total['missed_deadlines_wall']} deadlines missed, wake-ups up to {woken} ms late",
    ]
    if load:
        spent = ", ".join(f"{name} {periods}" for name, periods in load["periods"].items() if periods)
        words.append(
            f"load     p99 {load['busy']['p99_us'] / 1000:.1f} ms CPU of 20 ms for all streams; periods: {spent}; "
            f"{load['degraded']} degraded, {load['overruns']} too long by the clock"
        )
        words += [f"         at {at:.1f} s: {level}" for at, level in load["changes"][:12]]
    return words + [f"{'ok' if passed else 'FAIL':<4} {what}: {text}" for what, passed, text in verdicts(result)]


def soak(given: argparse.Namespace) -> Result:
    """Run the soak and return the result document."""
    with bundled_clip() as path:
        feed = encoded(read_audio(path).pcm)
    options = ("--streams", str(given.streams), *(("--realtime",) if given.realtime else ()))
    seconds = 60 * given.minutes
    with AgentProcess(options=options) as agent:
        watch = Soak(given, feed, agent)
        try:
            watch.run(seconds)
        finally:
            for host in watch.hosts:
                host.close()
    result: Result = {
        "schema": SCHEMA,
        "command": {name: str(value) for name, value in vars(given).items()},
        "environment": Machine().facts(),
        "trend": trend(watch.samples, min(300.0, seconds / 4)) | {"hosts": given.streams},
        "totals": totals(watch.sessions),
        "load": watch.device(),
        "hosts_late_max_ms": watch.late_ms,
        "refusals": sorted({text for host in watch.hosts for text in host.refusals}),
        "samples": rows(watch.samples),
        "sessions": [session.summary() for session in watch.sessions],
    }
    result["passed"] = all(passed for _, passed, _ in verdicts(result))
    return result


def main(given: argparse.Namespace) -> int:
    """Run the soak and report; return the exit code."""
    try:
        result = soak(given)
    except KeyboardInterrupt:
        return INTERRUPTED
    except (DredgeError, OSError, ValueError) as error:
        print(f"soak: {sentence(error)}", file=sys.stderr)
        return exit_code(error) or CHECK_FAILED
    if given.json:
        write_text(given.json, to_json(result) + "\n")
    emit(result, lines(result), False)
    return OK if result["passed"] else CHECK_FAILED


if __name__ == "__main__":
    sys.exit(main(arguments()))
