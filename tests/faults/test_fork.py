# SPDX-License-Identifier: BSD-2-Clause
"""A process that forks while it receives: parent and child go on, with the same samples, and harm each other not."""

import hashlib
import os
from pathlib import Path

from dredge_device.pi.receiver import Receiver
from dredge_host.sending.audio import packets, read_audio
from dredge_host.sending.sender import Sender

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


class Stream:
    """Packets into a real receiver, every fourth lost after the first second, so that the vocoder is at work."""

    def __init__(self):
        self.now_us = 0
        self.sender = Sender(redundancy_s=0.5)
        self.receiver = Receiver(100, clock_us=lambda: self.now_us, vocoder="small")
        self.pieces = list(packets(read_audio(CLIP).pcm))
        self.samples = hashlib.sha256()

    def run(self, first, last):
        for number in range(first, last):
            packet = self.sender.push(self.pieces[number])
            if number < 50 or number % 4:
                self.receiver.push(packet.data, self.now_us)
            self.samples.update(self.receiver.pull().pcm.tobytes())
            self.now_us += 20_000
        return self.samples.hexdigest()


def in_child(work):
    """What work() gives in a forked process."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, work().encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    assert os.waitpid(pid, 0)[1] == 0
    return answer


def test_both_sides_of_a_fork_go_on_as_if_there_were_none():
    expected = Stream().run(0, 150)
    stream = Stream()
    stream.run(0, 102)  # in the middle of a gap
    assert in_child(lambda: stream.run(102, 150)) == expected
    assert stream.run(102, 150) == expected


def test_a_child_makes_models_of_its_own():
    """Loading after the fork works too: no lock of the runtime is left held."""
    parent = Stream().run(0, 80)
    assert in_child(lambda: Stream().run(0, 80)) == parent
