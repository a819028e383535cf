# SPDX-License-Identifier: BSD-2-Clause
# Bytes of heap that a bridge over ESP-NOW takes per packet, in one frame and in two; see heap_check.py.
# Usage: heap_check_radio.py FIRMWARE_FOLDER
import sys

sys.path[:0] = [sys.argv[1], sys.argv[1] + "/boards", __file__.rpartition("/")[0]]

from dredge_board.bridge import Bridge
from dredge_board.ports.radio import BROADCAST, RadioPort
from heap import per_packet


# ESP-NOW without air: what is sent lies ready at the other one.
class Air:
    far = None

    def __init__(self):
        self.frames = [bytearray(250) for _ in range(4)]
        self.sizes = [0, 0, 0, 0]
        self.put = 0
        self.got = 0

    def send(self, peer, frame, sync):
        far = self.far
        slot = far.put & 3
        far.sizes[slot] = len(frame)
        for index in range(len(frame)):
            far.frames[slot][index] = frame[index]
        far.put += 1
        return True

    def recvinto(self, data, timeout):
        if self.got == self.put:
            return 0
        slot = self.got & 3
        self.got += 1
        for index in range(self.sizes[slot]):
            data[1][index] = self.frames[slot][index]
        return self.sizes[slot]


class Uart:
    def write(self, buffer, start, size):
        return size


near_air, far_air = Air(), Air()
near_air.far = far_air
here, there = RadioPort(near_air, BROADCAST), RadioPort(far_air, BROADCAST)
far = Bridge(there, Uart())
short, long = bytes(range(200)), bytes(range(256)) + bytes(range(200))


def carry(packet, size):
    here.write(packet, size)
    size = there.readinto()
    while size is not None:
        if size:
            far.to_line(there.body, size)
        size = there.readinto()


per_packet("radio.one_frame", lambda n: carry(short, 200))
per_packet("radio.two_frames", lambda n: carry(long, 456))
assert there.counters.get("datagrams_in") == far.counters.get("line_out") == 5400
print("locked ok")
