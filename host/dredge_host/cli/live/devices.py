# SPDX-License-Identifier: BSD-2-Clause
"""`dredge devices`"""

from __future__ import annotations

from typing import Any, TypedDict

import click

from dredge_host.cli.options import json_option
from dredge_host.console import emit, table

SCHEMA = "dredge.devices/1"
EPILOG = """\b
Examples
  dredge devices
  dredge talk udp://raspberrypi:5004 --mic mic:USB --speaker speaker:USB

\b
A part of a card's name is enough where it is the only card with it.
"""


@click.command(epilog=EPILOG)
@json_option
def command(as_json: bool) -> None:
    """List sound cards and serial ports, with the names that other verbs take."""
    cards, problem = _cards()
    ports = _ports()
    document = {"schema": SCHEMA, "cards": cards, "cards_error": problem, "serial_ports": ports}
    emit(document, _lines(cards, problem, ports), as_json)


class CardRow(TypedDict):
    """A sound card; mic, speaker: its names for other verbs."""

    name: str
    mic: str | None
    speaker: str | None
    rate: int
    default_mic: bool
    default_speaker: bool


class PortRow(TypedDict):
    """A serial port, and what is connected to it."""

    url: str
    what: str


def _cards() -> tuple[list[CardRow], str | None]:
    """Return the sound cards, or a sentence where they cannot be listed."""
    from dredge_device.pi.output.cards import cards
    from dredge_device.pi.output.interface import CapabilityError

    try:
        found = cards()
    except CapabilityError as error:
        return [], str(error)
    return [
        {
            "name": card.name,
            "mic": f"mic:{card.name}" if card.inputs else None,
            "speaker": f"speaker:{card.name}" if card.outputs else None,
            "rate": card.rate,
            "default_mic": card.default_input,
            "default_speaker": card.default_output,
        }
        for card in found
    ], None


def _ports() -> list[PortRow]:
    from serial.tools import list_ports

    from dredge_device.pi.transport.serial_url import KNOWN_DEVICES

    return [
        {"url": f"serial://{port.device}", "what": KNOWN_DEVICES.get((port.vid, port.pid), _described(port))}
        for port in sorted(list_ports.comports(), key=lambda port: str(port.device))
    ]


def _described(port: Any) -> str:
    """Return the system's description; empty where pyserial says n/a."""
    return "" if port.description in (None, "n/a") else str(port.description)


def _lines(cards: list[CardRow], problem: str | None, ports: list[PortRow]) -> list[str]:
    rows = []
    for card in cards:
        for name, default in ((card["mic"], card["default_mic"]), (card["speaker"], card["default_speaker"])):
            if name:
                rows.append([f"'{name}'", str(card["rate"]), "default" if default else ""])
    lines = table(rows, ["sound card", "Hz", ""]) if rows else [f"no sound card: {problem or 'none is connected'}"]
    named = [[port["url"], port["what"]] for port in ports]
    return [*lines, "", *(table(named, ["serial port", ""]) if named else ["no serial port"])]
