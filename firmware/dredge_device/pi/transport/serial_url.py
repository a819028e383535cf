# SPDX-License-Identifier: BSD-2-Clause
"""Serial lines by URL, and the recognition of boards among the ports."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from dredge_device.pi.transport.schemes import BYTE_STREAMS, scheme_of

DEFAULT_BAUD = 921600
FLOW = ("off", "on", "auto")

# (vendor, product) of boards and of the USB-serial chips that sit on them.
KNOWN_DEVICES = {
    (0x2E8A, 0x0005): "Raspberry Pi Pico with MicroPython",
    (0x2E8A, 0x000A): "Raspberry Pi Pico",
    (0x303A, 0x1001): "Espressif USB serial/JTAG",
    (0x303A, 0x4001): "ESP32-S3 with MicroPython",
    (0x10C4, 0xEA60): "CP210x",
    (0x1A86, 0x7523): "CH340",
    (0x1A86, 0x55D4): "CH9102",
    (0x0403, 0x6001): "FT232R",
    (0x0403, 0x6015): "FT230X",
}


@dataclass(frozen=True)
class Board:
    """A board as described by USB; serial may be empty."""

    port: str
    vendor: int
    product: int
    serial: str = ""

    def is_again(self, other: "Board") -> bool:
        """Return whether this may be the same board under any port name: equal ids and no different serial number."""
        return (self.vendor, self.product, self.serial) == (other.vendor, other.product, other.serial)


@dataclass(frozen=True)
class SerialAddress:
    """port: what pyserial opens (a device or one of its URLs); flow: RTS/CTS off, on or auto; board: the one that was
    found automatically (``serial://auto``)."""

    port: str
    baud: int = DEFAULT_BAUD
    flow: str = "off"
    board: Board | None = None

    def now(self, ports: Iterable[Any] | None = None) -> "SerialAddress":
        """Return the same board under its present name; unchanged where it is absent, or was named by the user."""
        if self.board is None:
            return self
        again = [board for board in boards(ports) if board.is_again(self.board)]
        if len(again) != 1 or again[0].port == self.port:  # with two equal boards a guess could choose the wrong one
            return self
        return replace(self, port=again[0].port, board=again[0])


def parse_serial(url: str) -> SerialAddress:
    """Return the address in ``serial://DEV?baud=N&rtscts=auto``, ``serial://auto``, ``socket://…`` or ``rfc2217://…``.

    ``serial+loop://`` and ``serial+spy://…`` are pyserial's own ``loop://`` and ``spy://``. Raises ValueError with a
    sentence for anything else.
    """
    scheme = url.split("://", 1)[0]
    parts = urlsplit(url)
    place = parts.netloc + parts.path
    if scheme_of(url) not in BYTE_STREAMS or (not place and scheme != "serial+loop"):
        raise ValueError(f"'{url}': expected serial://DEVICE?baud=N, for example serial:///dev/ttyUSB0?baud=921600")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    baud, flow = options.pop("baud", str(DEFAULT_BAUD)), options.pop("rtscts", "off")
    if not (baud.isascii() and baud.isdigit() and 1200 <= int(baud) <= 12_000_000):
        raise ValueError(f"'{url}': baud is '{baud}', expected a number from 1200 to 12000000")
    if flow not in FLOW:
        raise ValueError(f"'{url}': rtscts is '{flow}', expected one of {', '.join(FLOW)}")
    if scheme == "serial":
        if options:
            raise ValueError(f"'{url}': unknown option '{next(iter(options))}' (baud, rtscts)")
        if place == "auto":
            found = find_board()
            return SerialAddress(found.port, int(baud), flow, found)
        return SerialAddress(place, int(baud), flow)
    query = "?" + urlencode(options).replace("=&", "&").rstrip("=") if options else ""
    return SerialAddress(f"{scheme.removeprefix('serial+')}://{place}{query}", int(baud), flow)


def boards(ports: Iterable[Any] | None = None) -> list[Board]:
    """Return the known boards on this machine, by their USB ids; without opening a port."""
    if ports is None:
        from serial.tools import list_ports

        ports = list_ports.comports()
    return [
        Board(str(p.device), p.vid, p.pid, str(getattr(p, "serial_number", None) or ""))
        for p in ports
        if (p.vid, p.pid) in KNOWN_DEVICES
    ]


def find_board(ports: Iterable[Any] | None = None) -> Board:
    """Return the one known board on this machine.

    Raises ValueError when there is none, or more than one: a guess could choose the wrong one.
    """
    found = {board.port: board for board in boards(ports)}
    if len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise ValueError("serial://auto: no known board is connected; name the port, e.g. serial:///dev/ttyUSB0")
    names = ", ".join(f"{port} ({KNOWN_DEVICES[b.vendor, b.product]})" for port, b in sorted(found.items()))
    raise ValueError(f"serial://auto: several boards are connected, name one: {names}")
