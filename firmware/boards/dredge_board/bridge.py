# SPDX-License-Identifier: BSD-2-Clause
# Carries datagrams between UDP and a serial line, both ways, and counts the lost ones.
#
# On the line side nothing is allocated. On the network side MicroPython's recv() makes one bytes object per
# datagram; there is no other way to read UDP there (readinto would join waiting datagrams to one).
from dredge_board.uart_framing import LineReader, LineWriter
from dredge_device.budget import Budget
from dredge_device.telemetry import Counters

_COUNTERS = (
    "udp_in", "udp_out", "udp_unsent", "line_out", "line_busy", "too_long", "line_bytes_in", "line_bytes_out"
)
STAGES = ("to_line", "from_line")


# network: write(buffer, size) sends to the peer and returns None or 0 when it cannot (net.UdpPort).
# uart: write(buffer, offset, size) returns how many bytes it took, or None.
class Bridge:
    def __init__(self, network, uart):
        self.counters = Counters(_COUNTERS)
        self.budget = Budget(STAGES)
        self.reader = LineReader()
        self._network = network
        self._uart = uart
        self._writer = LineWriter()
        self._at = 0  # bytes of the frame in the writer that the UART has
        self._size = 0  # bytes of that frame
        self._times = [0, 0]  # microseconds spent since the last period, per stage

    # Send datagram[:size] (by default all of it) from the network to the line. While the line is behind, the newest one
    # is dropped: speech that waits for its turn comes too late for playout anyway.
    def to_line(self, datagram, size=-1):
        self.counters.add("udp_in")
        if self._at < self._size:
            self.counters.add("line_busy")
            return
        self._size = self._writer.frame(datagram, size)
        self._at = 0
        if self._size == 0:
            self.counters.add("too_long")
            return
        self.counters.add("line_out")
        self.flush()

    # Continue with a frame that the UART did not take at once.
    def flush(self):
        if self._at < self._size:
            taken = self._uart.write(self._writer.out, self._at, self._size - self._at)
            if taken:
                self._at += taken
                self.counters.add("line_bytes_out", taken)

    def is_flushed(self):
        return self._at >= self._size

    # Take in count bytes from the line.
    def from_line(self, piece, count):
        self.counters.add("line_bytes_in", count)
        reader = self.reader
        at = 0
        while at < count:
            at = reader.take(piece, at, count)
            if reader.size >= 0:
                if self._network.write(reader.body, reader.size):
                    self.counters.add("udp_out")
                else:
                    self.counters.add("udp_unsent")

    # Add the time spent in a stage (index into STAGES).
    def spent(self, stage, us):
        self._times[stage] += us

    # End a period of 20 ms: enter its times into the budget.
    def period(self):
        times = self._times
        self.budget.frame(times[0] + times[1], times)
        times[0] = 0
        times[1] = 0

    # Return the figures of a report.
    def measure(self):
        budget = self.budget.report()
        del budget["histogram"]
        return {"bridge": self.counters.snapshot(), "line": self.reader.counters(), "budget": budget}
