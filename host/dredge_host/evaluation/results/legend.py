# SPDX-License-Identifier: BSD-2-Clause
"""The methods of an evaluation for display: names, colours, descriptions, and the goals."""

from __future__ import annotations

from typing import NamedTuple


class Method(NamedTuple):
    """The display of one method against losses; `colour` is for white paper and matches the run report's sources."""

    text: str
    colour: str
    what: str


METHODS = {
    "clean": Method("no loss", "#5d606b", "The same Opus stream over a link that loses nothing: the best there is."),
    "silence": Method("silence", "#9aa0ab", "Zeros for every lost packet: the worst there is."),
    "opus": Method(
        "classic Opus concealment", "#c04a14", "What libopus does about a missing packet without any redundancy."
    ),
    "lbrr": Method(
        "LBRR", "#0a7f5e", "Every packet holds a low-rate copy of the one before; the rest is classic concealment."
    ),
    "red": Method(
        "RED, two copies",
        "#7d5ba6",
        "RFC 2198: every packet repeats the two before it; the rest is classic concealment.",
    ),
    "plc": Method("own PLC", "#a56a00", "No redundancy: predicted features, spoken by the vocoder."),
    "dred_100": Method("DRED 100 ms", "#9ccbf2", "Deep redundancy, 100 ms of history in every packet."),
    "dred_200": Method("DRED 200 ms", "#6eb0e8", "Deep redundancy, 200 ms of history in every packet."),
    "dred_500": Method("DRED 500 ms", "#3a8fd6", "Deep redundancy, 500 ms of history in every packet."),
    "dred": Method("DRED 1 s", "#0b6fc2", "Deep redundancy, one second of history in every packet."),
    "dred_lbrr": Method("DRED 1 s + LBRR", "#073f70", "One second of history, and a low-rate copy of the last packet."),
    "peer_opus": Method("libopus: classic", "#e0a58c", "The user's libopus: its classic concealment."),
    "peer_plc": Method("libopus: deep PLC", "#d2b47f", "The user's libopus: its deep PLC."),
    "peer_lbrr": Method("libopus: LBRR", "#84bfae", "The user's libopus: low-rate copies and classic concealment."),
    "peer_dred": Method("libopus: DRED", "#85b7e0", "The user's libopus: DRED of one second."),
    "peer_dred_lbrr": Method("libopus: DRED + LBRR", "#839fb7", "The user's libopus: DRED and low-rate copies."),
}
UNKNOWN = Method("", "#777777", "")

# Share of the quality between classic concealment and no loss that is to be won back, by PLCMOS. Human ratings
# of the DRED article give 40 % for deep PLC, 81 % for DRED and 91 % for DRED + LBRR.
GOALS = {"plc": 0.40, "dred": 0.81, "dred_lbrr": 0.91}

STRATA = {"short": "up to 120 ms", "medium": "120 to 320 ms", "long": "320 ms to 1 s"}

# Parts of a packet, in the order in which they are stacked.
PARTS = {
    "headers": ("RTP, UDP, IP headers", "#d9d6cf"),
    "speech": ("speech", "#8f949f"),
    "lbrr": ("LBRR", "#0a7f5e"),
    "red": ("RED copies", "#7d5ba6"),
    "dred": ("DRED", "#0b6fc2"),
}


def method(key: str) -> Method:
    """Return the method of that key; an unknown one has its key as name."""
    return METHODS.get(key) or UNKNOWN._replace(text=key)
