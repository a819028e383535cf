# SPDX-License-Identifier: BSD-2-Clause
# Bytes of heap that each step of the packet path takes per packet, measured by MicroPython itself. Prints
# "name bytes"; "locked ok" at the end says that the bridge ran with the heap locked, where any allocation raises.
# Usage: heap_check.py FIRMWARE_FOLDER
import gc
import sys

sys.path[:0] = [sys.argv[1], sys.argv[1] + "/boards", __file__.rpartition("/")[0]]

import micropython
from dredge_board.bridge import Bridge
from dredge_board.uart_framing import LineReader, LineWriter
from dredge_device import budget, jitter, telemetry
from heap import per_packet

class Network:
    def __init__(self):
        self.count = 0

    def write(self, buffer, size):
        self.count += 1
        return size


# What goes into one end comes out of the other.
class Uart:
    far = None

    def write(self, buffer, start, size):
        if self.far is not None:
            self.far.from_line(buffer, size)
        return size


packet = bytes(range(200))
writer, reader = LineWriter(), LineReader()
length = writer.frame(packet)
wire = bytes(writer.out[:length])
uart = Uart()
bridge, far = Bridge(Network(), uart), Bridge(Network(), Uart())
buffer = jitter.JitterBuffer(100)
meter = budget.Budget(("a", "b"))
times = [3, 4]
bursts, counters = telemetry.Bursts(), telemetry.Counters(("a",))


def take(n):
    at = 0
    while at < length:
        at = reader.take(wire, at, length)


def forward(n):
    bridge.to_line(packet)


def backward(n):
    bridge.from_line(wire, length)


def account(n):
    bridge.spent(0, 40)
    bridge.period()


def buffered(n):
    buffer.insert(n, packet, n * 20000)
    number = buffer.step(n * 20000)
    if number is not None:
        buffer.get(number)


def frame(n):
    meter.frame(n, times)


def count(n):
    bursts.step(n % 7 == 3)
    counters.add("a")


per_packet("line.frame", lambda n: writer.frame(packet))
per_packet("line.take", take)
per_packet("bridge.to_line", forward)
per_packet("bridge.from_line", backward)
per_packet("bridge.period", account)
per_packet("budget.frame", frame)
per_packet("telemetry", count)
per_packet("jitter", buffered)

gc.collect()
uart.far = far
micropython.heap_lock()
for n in range(500):
    forward(n)
    account(n)
micropython.heap_unlock()
print("locked", "ok" if far.counters.get("udp_out") == 500 else "idle")
