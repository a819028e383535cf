# SPDX-License-Identifier: BSD-2-Clause
# I2S of a board: pins, formats, and non-blocking mode.
import select
import sys

from dredge_board.audio.loudspeaker import HELD
from dredge_device.units import PACKET_SAMPLES, SAMPLE_RATE

# On the RP2040 and RP2350 ws is the pin after sck. The ESP32's pins are free on the ESP32-S3 as well.
MICROPHONE = {"rp2": {"id": 0, "sck": 16, "ws": 17, "sd": 18}, "esp32": {"id": 0, "sck": 14, "ws": 15, "sd": 13}}
LOUDSPEAKER = {"rp2": {"id": 1, "sck": 10, "ws": 11, "sd": 9}, "esp32": {"id": 1, "sck": 18, "ws": 21, "sd": 4}}
_PINS = ("sck", "ws", "sd")


# The settings of one direction with the defaults of this board; ValueError for a pin that is not named anywhere.
def settings_of(given, defaults):
    settings = dict(defaults.get(sys.platform, {"id": 0}))
    settings.update(given)
    for name in _PINS:
        if name not in settings:
            raise ValueError("the pin '%s' of I2S is not named, and %s has no default" % (name, sys.platform))
    return settings


def _open(settings, mode, bits, ibuf):
    from machine import I2S, Pin

    pins = {name: Pin(settings[name]) for name in _PINS}
    return I2S(settings["id"], mode=mode, bits=bits, format=I2S.MONO, rate=SAMPLE_RATE, ibuf=ibuf, **pins)


# Switch I2S to non-blocking mode: a poll has that effect on readinto() and write().
def _at_once(i2s, what):
    poll = select.poll()
    poll.register(i2s, what)
    poll.poll(0)
    return i2s


# MEMS microphones give 24 bits in slots of 32; ibuf holds 64 ms (ESP32) to 128 ms.
def open_microphone(settings):
    from machine import I2S

    return _at_once(_open(settings, I2S.RX, 32, 8192), select.POLLIN)


def open_loudspeaker(settings):
    from machine import I2S

    return _at_once(_open(settings, I2S.TX, 16, HELD * 2 * PACKET_SAMPLES), select.POLLOUT)
