# SPDX-License-Identifier: BSD-2-Clause
# UDP sockets of a board, and its way into the Wi-Fi.
import socket
import time

_LONGEST = 1500


# Joins a network; returns our address. RuntimeError when it is not joined in time.
def join(ssid, password, seconds=30):
    import network

    station = network.WLAN(network.STA_IF)
    station.active(True)
    if not station.isconnected():
        station.connect(ssid, password)
        for _ in range(seconds * 10):
            if station.isconnected():
                break
            time.sleep_ms(100)
        else:
            raise RuntimeError("Wi-Fi '%s' was not joined within %d s" % (ssid, seconds))
    return station.ifconfig()[0]


# Socket address of a host name or number.
def address(host, port):
    return socket.getaddrinfo(host, port, 0, socket.SOCK_DGRAM)[0][-1]


# One UDP socket with one peer. Listening (peer None): whoever speaks first is the peer, and alone is heard,
# until nothing came for ten seconds. Calling: the peer is given.
class UdpPort:
    def __init__(self, port, peer=None):
        self._port = port
        self._fixed = peer
        self.known = False
        self.socket = None
        self.reopen()

    # A new socket that has not heard anybody.
    def reopen(self):
        if self.socket is not None:
            self.socket.close()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.setblocking(False)
        if self._fixed is None:
            self.socket.bind(address("0.0.0.0", self._port))
            self.known = False
        else:
            self.socket.connect(self._fixed)
            self.known = True

    # The next datagram, None when there is none.
    def read(self):
        try:
            if self.known:
                return self.socket.recv(_LONGEST)
            data, peer = self.socket.recvfrom(_LONGEST)
        except OSError:  # nothing there, or nobody listens where we sent to
            return None
        self.socket.connect(peer)
        self.known = True
        return data

    # Sends buffer[:size]; the bytes sent, or None.
    def write(self, buffer, size):
        if not self.known:
            return None
        try:
            return self.socket.write(buffer, size)
        except OSError:
            return None

    def listens(self):
        return self._fixed is None


# A UDP socket that answers anybody: for reports.
class OpenPort:
    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(address("0.0.0.0", port))
        self.socket.setblocking(False)

    # (datagram, sender), or None.
    def read(self):
        try:
            return self.socket.recvfrom(_LONGEST)
        except OSError:
            return None

    def write(self, datagrams, peer):
        for datagram in datagrams:
            try:
                self.socket.sendto(datagram, peer)
            except OSError:
                return
