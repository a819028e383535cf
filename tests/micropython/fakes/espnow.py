# SPDX-License-Identifier: BSD-2-Clause
# espnow.ESPNow for MicroPython's unix port, as its documentation describes it: frames of at most 250 bytes, peers that
# must be known, a receive buffer that drops what nobody fetches. DREDGE_RADIO is OWN:OTHER:PERMILLE:SEED: UDP ports of
# the two radios, and which frames, so many of 1000, are lost in the air. A frame to one peer is
# repeated, one to everybody is not.
import errno
import io
import os
import select
import socket

MAX_DATA_LEN = 250
_POLL = 3
_TRIES = 3
_BROADCAST = b"\xff" * 6
_ESP_ERR_ESPNOW_NOT_INIT = -12389
_ESP_ERR_ESPNOW_NOT_FOUND = -12393
_ESP_ERR_ESPNOW_EXIST = -12395
_ESP_ERR_ESPNOW_IF = -12396


def mac(port):
    return b"\x02\x00\x00\x00" + bytes([port >> 8, port & 255])


class ESPNow(io.IOBase):
    def __init__(self):
        own, other, permille, seed = [int(part) for part in os.getenv("DREDGE_RADIO").split(":")]
        self._own = mac(own)
        self._other = mac(other)
        self._there = socket.getaddrinfo("127.0.0.1", other, 0, socket.SOCK_DGRAM)[0][-1]
        self._air = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._air.setblocking(False)
        self._air.bind(socket.getaddrinfo("127.0.0.1", own, 0, socket.SOCK_DGRAM)[0][-1])
        self._permille = permille
        self._dice = seed * 2654435 + 1
        self._peers = []
        self._active = False
        self._rxbuf = 526
        self._queue = []
        self._held = 0
        self._stats = [0, 0, 0, 0, 0]

    def config(self, rxbuf=526):
        self._rxbuf_wanted = rxbuf

    def active(self, on=None):
        if on:
            import network

            if not network.is_active:
                raise OSError(_ESP_ERR_ESPNOW_IF, "ESP_ERR_ESPNOW_IF")
            self._rxbuf = self._rxbuf_wanted
            self._active = True
        return self._active

    def add_peer(self, peer, *_options):
        self._need_active()
        if len(peer) != 6:
            raise ValueError("ESPNow: bytes or bytearray wrong length")
        if peer in self._peers:
            raise OSError(_ESP_ERR_ESPNOW_EXIST, "ESP_ERR_ESPNOW_EXIST")
        self._peers.append(bytes(peer))

    def _need_active(self):
        if not self._active:
            raise OSError(_ESP_ERR_ESPNOW_NOT_INIT, "ESP_ERR_ESPNOW_NOT_INIT")

    def _is_lost(self):
        dice = self._dice
        dice ^= dice << 13 & 0xFFFFFFFF
        dice ^= dice >> 17
        dice ^= dice << 5 & 0xFFFFFFFF
        self._dice = dice
        return (dice >> 8) % 1000 < self._permille

    def send(self, peer, message, sync=True):
        self._need_active()
        if not 0 < len(message) <= MAX_DATA_LEN:
            raise ValueError("ESPNow: invalid message length")
        if bytes(peer) not in self._peers:
            raise OSError(_ESP_ERR_ESPNOW_NOT_FOUND, "ESP_ERR_ESPNOW_NOT_FOUND")
        everybody = bytes(peer) == _BROADCAST
        self._stats[0] += 1
        arrived = False
        for _ in range(1 if everybody else _TRIES):
            if not self._is_lost():
                arrived = True
                break
        if arrived and (everybody or bytes(peer) == self._other):
            self._air.sendto(self._own + bytes(message), self._there)
        self._stats[1 if arrived or everybody else 2] += 1
        return arrived or not sync or everybody

    # The driver takes frames out of the air by itself, also while the program is busy.
    def _take(self):
        while True:
            try:
                frame = self._air.recv(300)
            except OSError:
                return
            if self._held + len(frame) + 2 > self._rxbuf:
                self._stats[4] += 1
            else:
                self._held += len(frame) + 2
                self._queue.append(frame)
                self._stats[3] += 1

    def any(self):
        self._take()
        return bool(self._queue)

    def recvinto(self, data, timeout_ms=300000):
        self._need_active()
        if timeout_ms != 0:
            raise OSError(errno.EINVAL)  # the programs never wait here
        if not self.any():
            return 0
        frame = self._queue.pop(0)
        self._held -= len(frame) + 2
        data[0] = frame[:6]  # the ESP32 puts a reference to its own table of peers there
        data[1][: len(frame) - 6] = frame[6:]
        return len(frame) - 6

    def stats(self):
        return tuple(self._stats)

    def ioctl(self, request, what):
        if request != _POLL:
            return -1
        return what & (select.POLLOUT | (select.POLLIN if self.any() else 0))
