# SPDX-License-Identifier: BSD-2-Clause
# What carries packets of samples between a board and the Pi: Wi-Fi, a UART, or USB. Nothing is allocated per packet.
import sys
import time

from dredge_board.audio.microphone import PACKET
from dredge_board.uart_framing import LineReader, LineWriter
from dredge_board.udp import UdpPort, bound

_SILENT_MS = 3000  # a sender silent for so long may be replaced by another one


# UDP. peer: where the microphone's packets go, or None; port: where the loudspeaker listens, or None.
class Network:
    def __init__(self, peer, port):
        self._out = None if peer is None else UdpPort(0, peer)
        self._port = port
        self._in = None if port is None else bound(port)
        self._known = False
        self._datagram = bytearray(PACKET)
        self._heard_ms = time.ticks_ms()

    # Return the sockets and streams to poll.
    def watched(self):
        return self._in

    # True when the packet went out.
    def send(self, packet):
        return bool(self._out.write(packet, PACKET))

    # Hand all datagrams that have arrived to the loudspeaker.
    def receive(self, loudspeaker):
        size = self._read()
        while size:
            loudspeaker.take(self._datagram, size)
            self._heard_ms = time.ticks_ms()
            size = self._read()

    # Return the size of the next datagram, None when there is none. Only the first sender is accepted. A connected
    # socket is read into a buffer without heap. MicroPython reads on until that is full, which is exactly one packet.
    # (A shorter datagram, which is not ours, is joined to the next.)
    def _read(self):
        try:
            if self._known:
                return self._in.readinto(self._datagram)
            datagram, sender = self._in.recvfrom(PACKET + 1)
        except OSError:  # no datagram
            return None
        if len(datagram) == PACKET:
            self._datagram[:] = datagram
            self._in.connect(sender)
            self._known = True
        return len(datagram)

    # Do nothing, because no packet waits in this carrier.
    def flush(self):
        return True

    # Return True when the socket to watch was replaced, because the sender is gone.
    def renew(self):
        if not self._known or time.ticks_diff(time.ticks_ms(), self._heard_ms) <= _SILENT_MS:
            return False
        self._in.close()
        self._in = bound(self._port)
        self._known = False
        return True

    def counters(self):
        return {}


# Frames on a byte stream (docs: protocol). uart: write(buffer, offset, size), and readinto(buffer) where something is
# to be played; neither waits.
class Line:
    def __init__(self, uart):
        self._uart = uart
        self._writer = LineWriter()
        self._reader = LineReader()
        self._piece = bytearray(512)
        self._at = 0  # bytes of the frame that the UART has
        self._size = 0

    def watched(self):
        return self._uart

    # Return False and drop the packet when the line is still busy with the one before.
    def send(self, packet):
        if not self.flush():
            return False
        self._size = self._writer.frame(packet)
        self._at = 0
        self.flush()
        return True

    def flush(self):
        if self._at < self._size:
            taken = self._uart.write(self._writer.out, self._at, self._size - self._at)
            if taken:
                self._at += taken
        return self._at >= self._size

    def receive(self, loudspeaker):
        reader = self._reader
        count = self._uart.readinto(self._piece)
        while count:
            at = 0
            while at < count:
                at = reader.take(self._piece, at, count)
                if reader.size >= 0:
                    loudspeaker.take(reader.body, reader.size)
            count = self._uart.readinto(self._piece) if count == len(self._piece) else 0

    def renew(self):
        return False

    def counters(self):
        return self._reader.counters()


# USB as the board's own serial port, for sending only: MicroPython reads it byte by byte, too slowly for samples. What
# the board prints goes there as well; the frames' CRC tells it from samples.
class Usb:
    def __init__(self):
        self._out = sys.stdout.buffer

    def write(self, buffer, offset, size):
        return self._out.write(buffer, offset, size)


class UsbLine(Line):
    def __init__(self):
        super().__init__(Usb())

    def watched(self):
        return None
