# SPDX-License-Identifier: BSD-2-Clause
# Puts the parts of a microphone, a loudspeaker, or both together, as dredge.json says.
from dredge_board.audio import i2s
from dredge_board.audio.audioloop import AudioLoop
from dredge_board.audio.loudspeaker import Loudspeaker
from dredge_board.audio.microphone import Microphone


# Return the settings of (microphone, loudspeaker), None for a part that is not used; ValueError for wrong ones.
def checked(settings):
    program = settings["program"]
    carrier = settings["carrier"]
    hears = program in ("microphone", "intercom")
    speaks = program in ("speaker", "intercom")
    if speaks and carrier == "usb":
        raise ValueError("a loudspeaker on usb: MicroPython reads USB too slowly, expected carrier wifi or uart")
    if hears and carrier == "wifi" and not settings.get("peer"):
        raise ValueError("a microphone on Wi-Fi needs peer, HOST:PORT of the Pi that listens with udp-pcm://")
    microphone = loudspeaker = None
    if hears:
        microphone = i2s.settings_of(settings.get("microphone", {}), i2s.MICROPHONE)
        if not 0 <= microphone.setdefault("gain", 4) <= 8:
            raise ValueError("gain is %r, expected 0 to 8 (6 dB each)" % microphone["gain"])
    if speaks:
        loudspeaker = i2s.settings_of(settings.get("speaker", {}), i2s.LOUDSPEAKER)
        loudspeaker.setdefault("reserve_ms", 60)
        if not 0 <= loudspeaker.setdefault("volume", 100) <= 400:
            raise ValueError("volume is %r, expected 0 to 400 (percent)" % loudspeaker["volume"])
    return microphone, loudspeaker


# Return (loop, line to print at its start). peer(settings): address for Wi-Fi packets; open_uart(settings).
def make(settings, peer, open_uart):
    program = settings["program"]
    carrier = settings["carrier"]
    microphone, loudspeaker = checked(settings)
    hears = speaks = None
    if microphone is not None:
        hears = i2s.open_microphone(microphone), Microphone(microphone["gain"])
    if loudspeaker is not None:
        part = Loudspeaker(loudspeaker["reserve_ms"], loudspeaker["volume"] * 256 // 100)
        speaks = i2s.open_loudspeaker(loudspeaker), part
    about = {"role": program, "carrier": carrier}
    answers = None
    if carrier == "wifi":
        from dredge_board.audio.carriers import Network
        from dredge_board.udp import OpenPort

        answers = OpenPort(settings["reports_port"])
        path = Network(peer(settings) if hears else None, settings["port"] if speaks else None)
        place = settings["peer"] if hears else "udp port %d" % settings["port"]
    elif carrier == "uart":
        from dredge_board.audio.carriers import Line

        about["baud"] = settings["uart"]["baud"]
        path, place = Line(open_uart(settings["uart"])), "uart %d" % settings["uart"]["id"]
    else:
        from dredge_board.audio.carriers import UsbLine

        path, place = UsbLine(), "usb"
    return AudioLoop(path, hears, speaks, answers, about), "%s: %s" % (program, place)
