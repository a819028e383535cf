# SPDX-License-Identifier: BSD-2-Clause
# Bytes of heap that a microphone and a loudspeaker take per packet; heap_check.py measures those of the bridge.
# Usage: heap_check_audio.py FIRMWARE_FOLDER
import io
import sys

sys.path[:0] = [sys.argv[1], sys.argv[1] + "/boards", __file__.rpartition("/")[0]]

from dredge_board import udp
from dredge_board.audio.audioloop import AudioLoop
from dredge_board.audio.carriers import Line, Network
from dredge_board.audio.loudspeaker import Loudspeaker
from dredge_board.audio.microphone import Microphone
from dredge_board.uart_framing import LineWriter
from heap import per_packet

PORT = 5999
DATAGRAM = bytes(60)


# I2S that has 10 ms at every look, and takes everything.
class Samples(io.IOBase):
    left = 0

    def ioctl(self, request, what):
        return what

    def readinto(self, data):
        self.left = 0 if self.left else 640
        return self.left

    def write(self, data, start, size):
        return size


# A line that takes everything and gives the next frame at every second look.
class Wire(io.IOBase):
    def __init__(self):
        self.writer = LineWriter()
        self.size = 0

    def ioctl(self, request, what):
        return what

    def write(self, data, start, size):
        return size

    def readinto(self, data):
        self.size = 0 if self.size else self.writer.frame(DATAGRAM)
        for index in range(self.size):
            data[index] = self.writer.out[index]
        return self.size


there = udp.address("127.0.0.1", PORT)
spoken = AudioLoop(Network(there, None), (Samples(), Microphone()), None, None, {})
heard = AudioLoop(Network(None, PORT), None, (Samples(), Loudspeaker()), None, {})
wired = AudioLoop(Line(Wire()), (Samples(), Microphone()), (Samples(), Loudspeaker()), None, {})


# 20 ms of a microphone, through a real socket, to a loudspeaker.
def speak(n):
    spoken.step()
    spoken.step()
    heard._carrier.receive(heard.loudspeaker)
    heard.loudspeaker.play(heard._speaks)


# 20 ms of a microphone to a line, and frames from it.
def speak_on_a_line(n):
    wired.step()
    wired.step()


per_packet("audio.network", speak)
per_packet("audio.line", speak_on_a_line)
assert heard.loudspeaker.counters.get("packets") > 2500
assert wired.loudspeaker.counters.get("garbage") > 1000 and wired.microphone.counters.get("packets") > 2500
print("locked ok")
