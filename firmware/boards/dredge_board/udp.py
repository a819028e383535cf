# SPDX-License-Identifier: BSD-2-Clause
# UDP sockets of a board, and its connection to the Wi-Fi.
import socket
import time

_LONGEST = 2049  # one byte more than a frame on a line carries: longer datagrams are counted and not truncated


_RETRY_MS = 5000  # a failed attempt to join is repeated


# The board's connection to a Wi-Fi network, which is joined again whenever it is lost.
class Wifi:
    def __init__(self, ssid, password):
        import network

        self._ssid = ssid
        self._password = password
        self._station = network.WLAN(network.STA_IF)
        self._station.active(True)
        # Power save bunches datagrams, up to 100 ms of them, on the Pico W and the ESP32.
        try:
            self._station.config(pm=getattr(network.WLAN, "PM_NONE", 0xA11140))
        except (OSError, ValueError, TypeError):
            print("Wi-Fi: power save cannot be switched off here")
        self.joined = 0
        self._up = False
        self._begun_ms = None

    # Return True while joined; else begin to join. Does not wait.
    def check(self, now_ms):
        up = self._station.isconnected()
        if up and not self._up:
            self.joined += 1
        elif not up and (self._begun_ms is None or time.ticks_diff(now_ms, self._begun_ms) >= _RETRY_MS):
            self._begun_ms = now_ms
            try:
                self._station.disconnect()
                self._station.connect(self._ssid, self._password)
            except OSError as error:
                print("Wi-Fi:", error)
        if up:
            self._begun_ms = None
        self._up = up
        return up

    # Wait until joined and return our address; rest() is called ten times a second.
    def join(self, rest):
        while not self.check(time.ticks_ms()):
            rest()
            time.sleep_ms(100)
        return self._station.ifconfig()[0]


# Return the socket address of a host name or number.
def address(host, port):
    return socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0][-1]


# Return a non-blocking UDP socket on a port of this board.
def bound(port):
    fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    fresh.setblocking(False)
    fresh.bind(address("0.0.0.0", port))
    return fresh


# One UDP socket with one peer. Listening (peer None): the first sender becomes the only peer until it is forgotten.
# Such a socket is never connected, because the network would then report the port as closed to all others. Calling:
# the peer is given, and the own port is kept, so that the other end recognises the board after a reset.
class UdpPort:
    def __init__(self, port, peer=None):
        self.listens = peer is None
        self.socket = bound(port)
        self._peer = peer
        if peer is not None:
            self.socket.connect(peer)

    # True while there is a peer to send to.
    @property
    def known(self):
        return self._peer is not None

    # Forget the peer of a listening port; the next sender takes its place.
    def forget(self):
        if self.listens:
            self._peer = None

    # Return the peer's next datagram, None when there is none. strange(datagram, sender) gets those of other senders.
    def read(self, strange):
        try:
            if not self.listens:
                return self.socket.recv(_LONGEST)
            data, sender = self.socket.recvfrom(_LONGEST)
        except OSError:  # no datagram, or the port that we sent to is closed
            return None
        if self._peer is None:
            self._peer = sender
        if sender == self._peer:
            return data
        strange(data, sender)
        return None

    # Send buffer[:size] to the peer; return the bytes sent, or None.
    def write(self, buffer, size):
        if self._peer is None:
            return None
        try:
            if not self.listens:
                return self.socket.write(buffer, size)
            return self.socket.sendto(memoryview(buffer)[:size], self._peer)
        except OSError:
            return None

    # Send a datagram to another address than the peer's.
    def answer(self, datagram, sender):
        try:
            self.socket.sendto(datagram, sender)
        except OSError:
            return


# A UDP socket that answers anybody: for reports.
class OpenPort:
    def __init__(self, port):
        self.socket = bound(port)
        self.too_long = 0

    # Return (datagram, sender), or None. A truncated datagram is counted and ignored.
    def read(self):
        while True:
            try:
                came = self.socket.recvfrom(_LONGEST)
            except OSError:
                return None
            if len(came[0]) < _LONGEST:
                return came
            self.too_long += 1

    def write(self, datagrams, peer):
        for datagram in datagrams:
            try:
                self.socket.sendto(datagram, peer)
            except OSError:
                return
