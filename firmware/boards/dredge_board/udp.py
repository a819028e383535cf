# SPDX-License-Identifier: BSD-2-Clause
# UDP sockets of a board, and its way into the Wi-Fi.
import socket
import time

_LONGEST = 2049  # one byte more than a frame on a line carries: what is longer is counted, not cut


_RETRY_MS = 5000  # an attempt to join that has led nowhere is begun anew


# The board's way into a Wi-Fi network: it is joined for ever, whenever the network comes, goes and comes back.
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

    # True while joined; begins to join where it is not. Does not wait.
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

    # Waits until joined; rest() is called ten times a second. Returns our address.
    def join(self, rest):
        while not self.check(time.ticks_ms()):
            rest()
            time.sleep_ms(100)
        return self._station.ifconfig()[0]


# Socket address of a host name or number.
def address(host, port):
    return socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0][-1]


# A UDP socket on a port of this board; reading never waits.
def bound(port):
    fresh = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    fresh.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    fresh.setblocking(False)
    fresh.bind(address("0.0.0.0", port))
    return fresh


# One UDP socket with one peer. Listening (peer None): whoever speaks first is the peer, and alone is heard, until it is
# forgotten. Such a socket is never connected: the network would tell everybody else that nobody listens here. Calling:
# the peer is given, and the own port is kept, so that after a reset the other end knows us again.
class UdpPort:
    def __init__(self, port, peer=None):
        self.listens = peer is None
        self.socket = bound(port)
        self._peer = peer
        if peer is not None:
            self.socket.connect(peer)

    # True while somebody can be sent to.
    @property
    def known(self):
        return self._peer is not None

    # Whoever speaks next is the peer of a listening port.
    def forget(self):
        if self.listens:
            self._peer = None

    # The next datagram of the peer, None when there is none. strange(datagram, sender) gets what somebody else sent.
    def read(self, strange):
        try:
            if not self.listens:
                return self.socket.recv(_LONGEST)
            data, sender = self.socket.recvfrom(_LONGEST)
        except OSError:  # nothing there, or nobody listens where we sent to
            return None
        if self._peer is None:
            self._peer = sender
        if sender == self._peer:
            return data
        strange(data, sender)
        return None

    # Sends buffer[:size] to the peer; the bytes sent, or None.
    def write(self, buffer, size):
        if self._peer is None:
            return None
        try:
            if not self.listens:
                return self.socket.write(buffer, size)
            return self.socket.sendto(memoryview(buffer)[:size], self._peer)
        except OSError:
            return None

    # Sends a datagram to somebody else.
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

    # (datagram, sender), or None. What is too long to be whole is counted and passed over.
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
