# SPDX-License-Identifier: BSD-2-Clause
"""The control of `--redundancy auto`: the shortest history that covers the recent losses, within a bit rate.

The device reports the bursts of every second. The history in every packet is as long as
the bursts with 95 % of the recently lost packets, plus a margin. With LBRR in the packets no
history is sent while nearly all losses are single packets, where the copy is better at no extra cost. The longest
burst of the last minutes counts as one more, since such bursts recur on a path.

Under a cap all redundancy reduces the rate of the speech. Where too little would be left beside both, one of
them is dropped: LBRR where bursts are long, the history where most have one packet, down to a short one if the copies
leave much unrecovered. The rest goes to the speech; if
that is still too little, the quantiser gets coarser, then the history shorter. Each change has a reason.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple, TypedDict

import numpy as np

from dredge_device.units import PACKET_MS, PACKET_SECONDS
from dredge_host.sending.sender import HEADER_BYTES, LBRR_RATE_FACTOR, BitrateMeter, Sender
from dredge_host.settings import MAX_REDUNDANCY_S
from dredge_models.dred import Q0

COVER = 0.95
MARGIN_PACKETS = 2
MEMORY_REPORTS = 20  # seconds of reports that count
LONG = 5  # a burst of at least so many packets is remembered for REMEMBERED_REPORTS
REMEMBERED_REPORTS = 300
IDLE_S = 0.1  # history kept without LBRR while nothing is lost, for the first burst
LONGER_SHARE = 0.01  # of all packets lost in bursts of two and more; below this share LBRR is enough
PACKETS_PER_REPORT = round(1 / PACKET_SECONDS)
Q0_FINEST, Q0_COARSEST = Q0, 12
# Under a cap, by `dredge evaluate --light-loss`: packets of a burst below which history is worth less than bits for
# the speech, and the least b/s of speech beside both of LBRR and history for such bursts and for longer ones.
SHORT_MEAN = 1.5
ENOUGH_BPS = {"short": 40_000, "long": 30_000}
UNCOPIED_SHARE = 0.025  # of all packets, lost together with the next one, which has the copy: worth a short history
MOST_BPS = 48_000  # more is inaudible at 16 kHz
STEP_BPS = 1000
STEP = 0.8  # the history shrinks by at most a fifth per report and grows at once

# Fitted to a minute of test speech, levels 3 to 12 and 0.08 to 1 s of history: within 4 %.
LATENT_SECONDS = 0.04
LEVEL_SIXTEENTHS = 16  # by which a latent's level grows per latent, at the default slope (dQ 7)
FRAMING_BYTES = 5
STATE_BITS, STATE_LESS = 126.4, 5.03  # header and state at level 0, and the bits that each level saves of them
FINEST_BITS, RATIO = 75.8, 0.846  # of a latent at level 0 by the fit, and the factor per level


class Choice(NamedTuple):
    """The content of a packet: seconds of history at level q0, b/s of speech, with or without LBRR."""

    redundancy_s: float
    q0: int
    speech_bps: int
    lbrr: bool


class Steering(TypedDict):
    """A change: its time, the history's length and level, the bit rate of the speech, low-rate copies, and the reason.
    """

    t_s: float
    redundancy_s: float
    q0: int
    speech_bps: int
    lbrr: bool
    why: str


class AutoRedundancy:
    """Steers one sender by the device's reports.

    cap_bps: all bits per second on the wire; None: the rate of the sender with 1 s of history; 0: no cap, and the
    speech keeps its bit rate.
    """

    def __init__(self, sender: Sender, playout_ms: int, cap_bps: int | None = None) -> None:
        self._sender = sender
        self._lbrr, self._least_bps = sender.lbrr, sender.bitrate  # the initial settings
        self._idle = 0.0 if sender.lbrr else IDLE_S
        self._longest = min(MAX_REDUNDANCY_S, max(IDLE_S, playout_ms / 1000))
        self._cap_bps = usual_cap_bps(sender.bitrate, sender.lbrr) if cap_bps is None else cap_bps
        self._before: dict[int, int] = {}
        self._unfilled = 0
        self._recent: deque[tuple[dict[int, int], int]] = deque(maxlen=MEMORY_REPORTS)
        self._longest_bursts: deque[int] = deque(maxlen=REMEMBERED_REPORTS)  # in packets, 0 without a long one
        self.log: list[Steering] = []

    def consider(self, t_s: float, report: Mapping[str, Any], meter: BitrateMeter) -> None:
        """Take in one report of the device and change the sender if needed."""
        self._learn(report)
        now, sender = self._now(), self._sender
        wanted, why = self._wanted()
        if wanted < now.redundancy_s:
            wanted = max(wanted, STEP * now.redundancy_s if now.redundancy_s > IDLE_S else 0.0, self._idle)
        q0, speech, lbrr = sender.q0, sender.bitrate, sender.lbrr
        if self._cap_bps:
            wanted, lbrr, why = self._one_or_both(wanted, meter, why)
            q0, wanted, why = self._within_cap(wanted, lbrr, meter, why)
        wanted = round(wanted / PACKET_SECONDS) * PACKET_SECONDS
        if self._cap_bps:
            speech = max(self._least_bps, min(MOST_BPS, self._left_for_speech(wanted, q0, lbrr, meter)))
        chosen = Choice(round(wanted, 2), q0, speech, lbrr)
        if abs(wanted - now.redundancy_s) < PACKET_SECONDS / 2 and chosen[1:] == now[1:]:
            return
        sender.redundancy_s, sender.q0 = chosen.redundancy_s, q0
        if (speech, lbrr) != (now.speech_bps, now.lbrr):
            sender.steer(speech, lbrr)
        self.log.append({
            "t_s": round(t_s, 1), "redundancy_s": chosen.redundancy_s, "q0": q0, "speech_bps": speech, "lbrr": lbrr,
            "why": why,
        })  # fmt: skip

    def _now(self) -> Choice:
        sender = self._sender
        return Choice(sender.redundancy_s, sender.q0, sender.bitrate, sender.lbrr)

    def _learn(self, report: Mapping[str, Any]) -> None:
        bursts = {_length(key): int(count) for key, count in (report.get("bursts") or {}).items()}
        fresh = {length: count - self._before.get(length, 0) for length, count in bursts.items()}
        self._before = bursts
        unfilled = int((report.get("reasons") or {}).get("gap longer than redundancy", 0))
        missed, self._unfilled = unfilled - self._unfilled, unfilled
        lost = {length: count for length, count in fresh.items() if count > 0}
        self._recent.append((lost, max(0, missed)))
        self._longest_bursts.append(max((length for length in lost if length >= LONG), default=0))

    def _lost(self) -> tuple[dict[int, float], str]:
        """Return the bursts of the recent reports by length, and what is said of an older one.

        The longest burst of the last minutes counts if it is longer than all of these: as often as in so many
        reports, if it comes back after the same time.
        """
        bursts: dict[int, float] = {}
        for fresh, _ in self._recent:
            for length, count in fresh.items():
                bursts[length] = bursts.get(length, 0) + count
        longest = max(self._longest_bursts, default=0)
        if longest <= max(bursts, default=0):
            return bursts, ""
        ago = next(n for n, length in enumerate(reversed(self._longest_bursts)) if length == longest)
        return {**bursts, longest: len(self._recent) / (ago + 1)}, f"{longest * PACKET_MS} ms at once {ago} s ago"

    def _wanted(self) -> tuple[float, str]:
        bursts, remembered = self._lost()
        total = sum(length * count for length, count in bursts.items())
        if not any(fresh for fresh, _ in self._recent):
            calm = f"nothing lost for {len(self._recent)} s"
            return (self._covering(max(bursts)), f"{calm}, {remembered}") if bursts else (self._idle, calm)
        longer = total - bursts.get(1, 0)
        if self._sender.lbrr and not remembered and longer < LONGER_SHARE * PACKETS_PER_REPORT * len(self._recent):
            return self._idle, f"{total - longer:g} of {total:g} lost packets were lost alone, LBRR has them"
        seen = 0.0
        for length in sorted(bursts):
            seen += length * bursts[length]
            if seen >= COVER * total:
                break
        seconds = self._covering(length)
        why = f"bursts up to {length * PACKET_MS} ms hold {100 * seen / total:.0f} % of {total:.0f} lost packets"
        if remembered:
            why += f", {remembered}"
        if self._recent[-1][1]:
            seconds = self._longest
            why += f"; {self._recent[-1][1]} were older than the history"
        return seconds, why

    def _covering(self, burst: int) -> float:
        """Return the seconds of history that cover a burst of so many packets, up to the playout delay."""
        return min(self._longest, max(IDLE_S, (burst + MARGIN_PACKETS) * PACKET_SECONDS))

    def _one_or_both(self, wanted: float, meter: BitrateMeter, why: str) -> tuple[float, bool, str]:
        """Return the length of the history and whether LBRR is kept, when the cap is too low for both."""
        lost = self._lost()[0]
        packets, bursts = sum(length * count for length, count in lost.items()), sum(lost.values())
        short = bursts and packets < SHORT_MEAN * bursts
        enough = ENOUGH_BPS["short" if short else "long"]
        if not self._lbrr or not wanted or self._left_for_speech(wanted, Q0_FINEST, True, meter) >= enough:
            return wanted, self._lbrr, why
        if not short:
            return wanted, False, f"{why}; history is worth more to them than LBRR" if bursts else why
        why += "; most are short, LBRR is worth more to them than history"
        uncopied = packets - bursts >= UNCOPIED_SHARE * PACKETS_PER_REPORT * len(self._recent)
        if uncopied and self._left_for_speech(IDLE_S, Q0_FINEST, True, meter) >= ENOUGH_BPS["long"]:
            return IDLE_S, True, f"{why}; a short one for the {packets - bursts:.0f} that no copy can recover"
        return self._idle, True, why

    def _left_for_speech(self, redundancy_s: float, q0: int, lbrr: bool, meter: BitrateMeter) -> int:
        """Return the b/s that the cap leaves for speech beside headers, history and LBRR."""
        history = estimated_bps(redundancy_s, q0) if redundancy_s else 0.0
        left = self._cap_bps - meter.recent()["headers"] - history
        return int(left / (LBRR_RATE_FACTOR if lbrr else 1.0) // STEP_BPS) * STEP_BPS

    def _within_cap(self, wanted: float, lbrr: bool, meter: BitrateMeter, why: str) -> tuple[int, float, str]:
        """Return the quantiser and the length that fit the cap: coarser first, then shorter."""
        for q0 in range(Q0_FINEST, Q0_COARSEST + 1):
            if self._left_for_speech(wanted, q0, lbrr, meter) >= self._least_bps:
                return q0, wanted, why
        lengths = np.arange(LATENT_SECONDS, wanted, LATENT_SECONDS)
        fitting = [s for s in lengths if self._left_for_speech(s, Q0_COARSEST, lbrr, meter) >= self._least_bps]
        why += f"; the cap of {self._cap_bps / 1000:g} kb/s allows no more"
        return Q0_COARSEST, float(max(fitting, default=0.0)), why


def usual_cap_bps(bitrate: int, lbrr: bool) -> int:
    """Return the b/s on the wire of speech at this bit rate with 1 s of history, and with LBRR if it is on."""
    speech = bitrate * (LBRR_RATE_FACTOR if lbrr else 1.0)
    total = speech + estimated_bps(1.0, Q0_FINEST) + 8 * HEADER_BYTES / PACKET_SECONDS
    return -(-round(total) // STEP_BPS) * STEP_BPS


def estimated_bps(redundancy_s: float, q0: int) -> float:
    """Return the bit rate of the redundancy in b/s: framing and state, and every latent (one per 40 ms) at the level of
    its age.
    """
    ages = np.arange(max(1, round(redundancy_s / LATENT_SECONDS)))
    levels = np.minimum(15, q0 + (LEVEL_SIXTEENTHS * ages + 8) // 16)
    bits = 8 * FRAMING_BYTES + STATE_BITS - STATE_LESS * q0 + float(np.sum(FINEST_BITS * RATIO**levels))
    return bits / PACKET_SECONDS


def _length(key: str) -> int:
    return int(key.rstrip("+"))
