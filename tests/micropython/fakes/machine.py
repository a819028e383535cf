# SPDX-License-Identifier: BSD-2-Clause
# machine for MicroPython's unix port, which has no UART and no I2S: a terminal device and files stand for the wires.
# Both do what MicroPython's documentation says of the real ones: a UART takes what its buffer has room for and loses
# what nobody fetches; I2S goes at its own clock, waits until it is polled first, and loses samples that come too late.
import errno
import io
import os
import select
import termios
import time

_VTIME = 5  # places in the list of control characters (Linux, termios(3))
_VMIN = 6
_POLL = 3  # request of ioctl


# Units (bytes, samples) that have passed at so many per second since the beginning, and were not taken yet.
class Clock:
    def __init__(self, rate):
        self._rate = rate
        self._last_us = time.ticks_us()
        self._owed = 0  # in millionths

    def passed(self):
        now = time.ticks_us()
        self._owed += time.ticks_diff(now, self._last_us) * self._rate
        self._last_us = now
        whole = self._owed // 1000000
        self._owed -= whole * 1000000
        return whole


# The device is named by the environment; pins have no meaning here. What comes while rxbuf is full is lost where
# DREDGE_UART_LOSES is set: a machine that is busy with other things would lose more than a board does.
class UART(io.IOBase):
    def __init__(self, number, baud, txbuf=256, rxbuf=256, timeout=0, **_pins):
        self._file = open(os.getenv("DREDGE_UART"), "r+b")  # noqa: SIM115
        termios.setraw(self._file.fileno())
        attributes = termios.tcgetattr(self._file.fileno())
        attributes[6][_VMIN] = 0
        attributes[6][_VTIME] = 0
        termios.tcsetattr(self._file.fileno(), termios.TCSANOW, attributes)
        self._clock = Clock(baud // 10)
        self._txbuf = txbuf
        self._waiting = 0  # bytes that are not on the line yet
        self._rxbuf = rxbuf if os.getenv("DREDGE_UART_LOSES") else 1 << 20
        self._came = b""
        self.lost = 0

    def _room(self):
        self._waiting = max(0, self._waiting - self._clock.passed())
        return self._txbuf - self._waiting

    def _fetch(self):
        more = self._file.read(4096)
        if more:
            room = self._rxbuf - len(self._came)
            self.lost += max(0, len(more) - room)
            self._came += more[:room]

    def ioctl(self, request, what):
        if request != _POLL:
            return -1
        self._fetch()
        ready = select.POLLIN if self._came else 0
        return what & (ready | (select.POLLOUT if self._room() else 0))

    def write(self, data, start=0, size=None):
        size = min(len(data) - start if size is None else size, self._room())
        if size <= 0:
            return None
        self._file.write(memoryview(data)[start : start + size])
        self._waiting += size
        return size

    def readinto(self, buffer):
        self._fetch()
        size = min(len(buffer), len(self._came))
        if not size:
            return None
        buffer[:size] = self._came[:size]
        self._came = self._came[size:]
        return size


class Pin:
    def __init__(self, number):
        self.number = number


# One direction of I2S. RX: 16-bit samples of the file DREDGE_MICROPHONE, again and again, as 32-bit ones. TX: what is
# heard goes to the file DREDGE_SPEAKER as 16-bit samples, silence where nothing was there to be played. DREDGE_I2S_PPM:
# how much too fast the clock is.
class I2S(io.IOBase):
    RX = 1
    TX = 2
    MONO = 0
    STEREO = 1

    def __init__(self, number, sck, ws, sd, mode, bits, format, rate, ibuf):
        if bits not in (16, 32) or format != self.MONO:
            raise ValueError("this fake knows mono only")
        self._mode = mode
        self._sample = bits // 8
        self._room = ibuf // self._sample
        self._waits = True  # blocking until somebody asks with poll
        self._clock = Clock(rate + rate * int(os.getenv("DREDGE_I2S_PPM") or 0) // 1000000)
        if mode == self.RX:
            with open(os.getenv("DREDGE_MICROPHONE"), "rb") as file:
                self._speech = file.read()
            self._at = 0  # next sample of the file
            self._ready = 0  # samples in the buffer
            self._first = 0  # the oldest of them, as a place in the file
        else:
            self._file = open(os.getenv("DREDGE_SPEAKER"), "wb")  # noqa: SIM115
            self._buffer = b""
            self._begun = False

    def _go_on(self):
        passed = self._clock.passed()
        if self._mode == self.RX:
            kept = min(passed, self._room - self._ready)
            if self._ready == 0:
                self._first = self._at
            self._ready += kept
            self._at += passed  # what did not fit is lost
            return
        heard = self._buffer[: 2 * passed]
        self._buffer = self._buffer[2 * passed :]
        self._file.write(heard)
        if self._begun:
            self._file.write(bytes(2 * passed - len(heard)))

    def ioctl(self, request, what):
        if request != _POLL:
            return -1
        self._waits = False
        self._go_on()
        if self._mode == self.RX:
            return what & select.POLLIN if self._ready else 0
        return what & select.POLLOUT if len(self._buffer) < 2 * self._room else 0

    def readinto(self, buffer):
        self._may(self.RX, len(buffer))
        wanted = len(buffer) // self._sample
        self._go_on()
        while self._waits and self._ready < wanted:
            time.sleep_ms(1)
            self._go_on()
        count = min(wanted, self._ready)
        speech, samples = self._speech, len(self._speech) // 2
        for index in range(count):
            at = (self._first + index) % samples
            buffer[4 * index + 2] = speech[2 * at]
            buffer[4 * index + 3] = speech[2 * at + 1]
        self._first += count
        self._ready -= count
        return count * self._sample

    def write(self, data, start=0, size=None):
        size = len(data) - start if size is None else size
        self._may(self.TX, size)
        done = 0
        self._begun = True
        while done < size:
            self._go_on()
            now = min(size - done, 2 * self._room - len(self._buffer))
            self._buffer += bytes(memoryview(data)[start + done : start + done + now])
            done += now
            if not self._waits:
                break
            time.sleep_ms(1)
        return done

    def _may(self, mode, size):
        if mode != self._mode:
            raise OSError(errno.EPERM)
        if size % self._sample:
            raise OSError(errno.EINVAL)


def reset():
    raise SystemExit
