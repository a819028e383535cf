# SPDX-License-Identifier: BSD-2-Clause
"""The check whether a serial line can carry a stream, made before streaming."""

from __future__ import annotations

from dredge_device.framing import OVERHEAD
from dredge_device.pi.transport.serial_url import parse_serial
from dredge_device.units import PACKET_SECONDS
from dredge_host.errors import UnreachableError
from dredge_host.links.link import damaged_of, trouble_of
from dredge_host.live.documents import LineCheck
from dredge_host.live.session import Session
from dredge_host.sending.sender import LBRR_RATE_FACTOR
from dredge_host.settings import Settings
from dredge_host.timing import percentiles

PROBES = 20
PROBE_BYTES = 160
MIN_SHARE = 0.8  # of the probes must come back over a wire that damages frames
LEAST_SHARE = 0.25  # over an undamaged line: the losses occur behind it, on a radio, and DRED recovers them
HEADER_BYTES = 12
DRED_BPS = 26000.0  # one second of redundancy, measured (docs/notes/results.md)


def check_line(session: Session, settings: Settings) -> LineCheck:
    """Send probes with every byte value and check that they return unchanged.

    Returns rate and round trips. Raises UnreachableError when too many are damaged or nearly all are lost, or when the
    baud rate cannot carry the stream at all.
    """
    baud = parse_serial(session.link.url).baud
    needed = needed_baud(settings)
    if needed > baud:
        raise UnreachableError(
            f"{session.link.url}: the stream needs about {needed} baud and the line has {baud}; "
            "raise baud on both sides, or lower --bitrate or --redundancy"
        )
    wheel = bytes(range(256)) * 2
    good: list[float] = []
    damaged = damaged_of(session.link)
    for number in range(PROBES):
        start = 13 * number % 256
        trip = session.probe(wheel[start : start + PROBE_BYTES])
        if trip is not None:
            good.append(1000 * trip)
        share = MIN_SHARE if damaged_of(session.link) > damaged else LEAST_SHARE
        if number + 1 - len(good) > (1 - share) * PROBES:
            break  # too many are lost already
    if len(good) < share * PROBES:
        wrong = trouble_of(session.link) or (
            f"only {len(good)} of {PROBES} probes came back undamaged; "
            "check the wiring, and that both sides use the same baud rate"
        )
        raise UnreachableError(f"{session.link.url}: {wrong}")
    return {"baud": baud, "needed_baud": needed, "probes": PROBES, "answered": len(good), "trip_ms": percentiles(good)}


def needed_baud(settings: Settings) -> int:
    """Return the baud rate that these settings need in one direction: ten bits per byte, framing included."""
    bits = settings.bitrate * (LBRR_RATE_FACTOR if settings.lbrr else 1.0) + DRED_BPS * settings.redundancy_s
    per_packet = bits * PACKET_SECONDS / 8 + HEADER_BYTES + OVERHEAD + 1
    return round(10 * per_packet / PACKET_SECONDS)
