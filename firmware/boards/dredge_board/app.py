# SPDX-License-Identifier: BSD-2-Clause
# Runs the program that dredge.json names. The file:
#
#   {"program": "bridge", "wifi": {"ssid": "...", "password": "..."},
#    "port": 5004, "reports_port": 5005, "peer": "192.168.1.20:5004",
#    "uart": {"id": 0, "baud": 921600, "tx": 0, "rx": 1}}
#
# Without "peer" the bridge listens on "port" and serves the first sender; with it, the bridge sends to that address.
# "wifi" and "uart" pins may be left out where the defaults below are right. "watchdog": true resets a board whose
# program hangs for 8 s; it cannot be switched off again without a reset. docs/guide/micropython.md has all keys.
import gc
import json
import sys
import time

PINS = {"rp2": {"id": 0, "tx": 0, "rx": 1}, "esp32": {"id": 1, "tx": 17, "rx": 16}}
_PROGRAMS = ("bridge", "probe", "microphone", "speaker", "intercom", "radio")
CARRIERS = ("wifi", "uart", "usb")  # what can carry samples
OLDEST = (1, 22)  # MicroPython; older ones lack what the programs use
# Before 1.26 a socket of lwIP's ports held one datagram: the second of two datagrams that arrived together was lost.
OLDEST_BY_BOARD = {"rp2": (1, 26), "mimxrt": (1, 26), "stm32": (1, 26)}


# The settings in a file, defaults filled in; ValueError says which one is wrong.
def load(path="dredge.json"):
    with open(path) as file:
        settings = json.load(file)
    program = settings.get("program", "bridge")
    if program not in _PROGRAMS:
        raise ValueError("program is '%s', expected %s" % (program, " or ".join(_PROGRAMS)))
    settings["program"] = program
    settings.setdefault("carrier", "wifi")
    if settings["carrier"] not in CARRIERS:
        raise ValueError("carrier is '%s', expected %s" % (settings["carrier"], " or ".join(CARRIERS)))
    settings.setdefault("port", 5004)
    settings.setdefault("reports_port", 5005)
    settings.setdefault("watchdog", False)
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


# (host, port) of the peer, or None; ValueError for a malformed one.
def _peer_text(settings):
    text = settings.get("peer")
    if not text:
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        raise ValueError("peer is '%s', expected HOST:PORT" % text)
    return host, int(port)


def _peer(settings):
    from dredge_board.udp import address

    peer = _peer_text(settings)
    return None if peer is None else address(*peer)


def run_bridge(settings, rest):
    from dredge_board.bridgeloop import BridgeLoop
    from dredge_board.udp import OpenPort, UdpPort

    network = UdpPort(settings["port"], _peer(settings))
    about = {"baud": settings["uart"]["baud"], "port": settings["port"]}
    loop = BridgeLoop(network, open_uart(settings["uart"]), OpenPort(settings["reports_port"]), about)
    print("bridge: udp port", settings["port"], "<-> uart", settings["uart"]["id"])
    loop.run(rest)


def run_probe(settings, rest):
    from dredge_board.probeloop import ProbeLoop

    loop = ProbeLoop(settings["port"])
    print("probe: udp port", settings["port"])
    loop.run(rest)


def run_audio(settings, rest):
    from dredge_board.audio.start import make

    loop, greeting = make(settings, _peer, open_uart)
    if settings["carrier"] != "usb":  # samples need the network or the UART
        print(greeting)
    loop.run(rest)


def run_radio(settings, rest):
    from dredge_board.ports.radioloop import RadioLoop, open_radio
    from dredge_board.udp import OpenPort

    radio = open_radio(settings.get("channel"), settings.get("peer"))
    about = {"role": "radio", "baud": settings["uart"]["baud"]}
    loop = RadioLoop(radio, open_uart(settings["uart"]), OpenPort(settings["reports_port"]), about)
    print("radio: peer", settings.get("peer", "everybody"), "<-> uart", settings["uart"]["id"])
    loop.run(rest)


RUN = {"bridge": run_bridge, "probe": run_probe, "radio": run_radio}


# ValueError for a MicroPython that is too old for this board.
def check_version(version, platform):
    oldest = OLDEST_BY_BOARD.get(platform, OLDEST)
    if tuple(version) < oldest:
        wanted = tuple(version) + oldest + (platform,)
        raise ValueError("MicroPython is %d.%d, expected %d.%d or newer on %s" % wanted)


# ValueError for settings that the program named in them cannot work with.
def check_parts(settings):
    if settings["program"] == "radio":
        from dredge_board.ports.radio import address

        address(settings.get("peer", "ff:ff:ff:ff:ff:ff"))
        return
    _peer_text(settings)
    if settings["program"] not in RUN:
        from dredge_board.audio.start import checked

        checked(settings)


# Feeds the watchdog, if there is one, and looks after the Wi-Fi once a second.
class Keeper:
    def __init__(self, settings):
        self._watchdog = None
        if settings["watchdog"]:
            from machine import WDT

            self._watchdog = WDT(timeout=8000)
        self._wifi = None
        if "wifi" in settings:
            from dredge_board.udp import Wifi

            self._wifi = Wifi(settings["wifi"]["ssid"], settings["wifi"].get("password", ""))
        self._checked_ms = time.ticks_ms()

    def join(self):
        if self._wifi is not None:
            print("address:", self._wifi.join(self.feed))

    def feed(self):
        if self._watchdog is not None:
            self._watchdog.feed()

    def rest(self):
        self.feed()
        now = time.ticks_ms()
        if self._wifi is not None and time.ticks_diff(now, self._checked_ms) >= 1000:
            self._checked_ms = now
            self._wifi.check(now)


# Runs until the board is switched off. Errors are printed and the program starts again a second later, because a board
# runs unattended. Wrong settings end it at once.
def main(path="dredge.json"):
    check_version(sys.implementation[1][:2], sys.platform)
    settings = load(path)
    check_parts(settings)
    run = RUN.get(settings["program"], run_audio)
    keeper = Keeper(settings)
    while True:
        try:
            keeper.join()
            run(settings, keeper.rest)
        except Exception as error:
            sys.print_exception(error)
        gc.collect()
        for _ in range(10):
            keeper.feed()
            time.sleep_ms(100)
