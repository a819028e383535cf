# SPDX-License-Identifier: BSD-2-Clause
# Runs the program that dredge.json names. The file:
#
#   {"program": "bridge", "wifi": {"ssid": "...", "password": "..."},
#    "port": 5004, "reports_port": 5005, "peer": "192.168.1.20:5004",
#    "uart": {"id": 0, "baud": 921600, "tx": 0, "rx": 1}}
#
# Without "peer" the bridge listens on "port" and answers whoever speaks first; with it, it calls that address.
# "wifi" and "uart" pins may be left out where the defaults below are right.
import json
import sys

PINS = {"rp2": {"id": 0, "tx": 0, "rx": 1}, "esp32": {"id": 1, "tx": 17, "rx": 16}}
_PROGRAMS = ("bridge", "probe")


# The settings in a file, defaults filled in; ValueError says which one is wrong.
def load(path="dredge.json"):
    with open(path) as file:
        settings = json.load(file)
    program = settings.get("program", "bridge")
    if program not in _PROGRAMS:
        raise ValueError("program is '%s', expected bridge or probe" % program)
    settings["program"] = program
    settings.setdefault("port", 5004)
    settings.setdefault("reports_port", 5005)
    for name in ("port", "reports_port"):
        if not isinstance(settings[name], int) or not 0 < settings[name] < 65536:
            raise ValueError("%s is %r, expected 1 to 65535" % (name, settings[name]))
    uart = {"baud": 921600}
    uart.update(PINS.get(sys.platform, {"id": 0}))
    uart.update(settings.get("uart", {}))
    settings["uart"] = uart
    return settings


def open_uart(settings):
    from machine import UART

    pins = {name: settings[name] for name in ("tx", "rx") if name in settings}
    # Buffers for some 20 ms at full speed; timeout 0: reading and writing never wait.
    return UART(settings["id"], settings["baud"], rxbuf=2048, txbuf=2048, timeout=0, **pins)


def _peer(settings):
    from dredge_board.udp import address

    text = settings.get("peer")
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError("peer is '%s', expected HOST:PORT" % text)
    return address(host, int(port))


def run_bridge(settings):
    from dredge_board.bridgeloop import BridgeLoop
    from dredge_board.udp import OpenPort, UdpPort

    network = UdpPort(settings["port"], _peer(settings))
    about = {"baud": settings["uart"]["baud"], "port": settings["port"]}
    loop = BridgeLoop(network, open_uart(settings["uart"]), OpenPort(settings["reports_port"]), about)
    print("bridge: udp port", settings["port"], "<-> uart", settings["uart"]["id"])
    loop.run()


def run_probe(settings):
    from dredge_board.probeloop import ProbeLoop

    loop = ProbeLoop(settings["port"])
    print("probe: udp port", settings["port"])
    loop.run()


def main(path="dredge.json"):
    settings = load(path)
    if "wifi" in settings:
        from dredge_board.udp import join

        print("address:", join(settings["wifi"]["ssid"], settings["wifi"].get("password", "")))
    if settings["program"] == "probe":
        run_probe(settings)
    else:
        run_bridge(settings)
