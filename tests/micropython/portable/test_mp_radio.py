# SPDX-License-Identifier: BSD-2-Clause
# ESP-NOW's frames of 250 bytes: datagrams in parts, put together again or counted.
from bytesource import ByteSource
from dredge_board.ports.radio import BROADCAST, RadioPort, address

PEER = b"\x24\x6f\x28\x01\x02\x03"


# Frames that were sent lie in `frames` until they are delivered.
class Air:
    def __init__(self):
        self.frames = []
        self.inbox = []
        self.full = False

    def send(self, peer, frame, sync):
        assert len(frame) <= 250 and not sync
        if self.full:
            raise OSError(-12391, "ESP_ERR_ESPNOW_NO_MEM")
        self.frames.append(bytes(frame))
        return True

    def recvinto(self, data, timeout):
        assert timeout == 0
        if not self.inbox:
            return 0
        frame = self.inbox.pop(0)
        data[0] = PEER
        data[1][: len(frame)] = frame
        return len(frame)

    def stats(self):
        return (0, 0, 0, 0, 0)


def pair():
    return RadioPort(Air(), BROADCAST), RadioPort(Air(), BROADCAST)


def across(here, there, frames):
    there.socket.inbox += frames
    got = []
    datagram = there.read()
    while datagram is not None:
        got.append(bytes(datagram))
        datagram = there.read()
    return got


def test_every_length_crosses_whole():
    here, there = pair()
    source = ByteSource(3)
    for size in (1, 2, 247, 248, 249, 250, 496, 497, 1200, 2048):
        datagram = source.bytes(size)
        assert here.write(datagram, size) == size
        frames, here.socket.frames = here.socket.frames, []
        assert len(frames) == (size + 247) // 248
        assert across(here, there, frames) == [datagram], size
    assert there.counters.get("datagrams_missed") == there.counters.get("datagrams_cut") == 0
    assert here.write(bytes(2300), 2300) is None and here.counters.get("too_long") == 1


def test_a_datagram_that_lost_a_part_is_lost_and_counted():
    here, there = pair()
    for size in (500, 600, 100, 700):
        here.write(bytes(size), size)
    frames = here.socket.frames
    got = across(here, there, frames[:1] + frames[2:])
    assert [len(datagram) for datagram in got] == [600, 100, 700]
    assert there.counters.get("datagrams_cut") == 1
    for size in (100, 100, 100):
        here.write(bytes(size), size)
    got = across(here, there, here.socket.frames[-1:])
    assert len(got) == 1 and there.counters.get("datagrams_missed") == 2
    return len(frames)


def test_repetitions_and_noise_do_no_harm():
    here, there = pair()
    here.write(b"abc", 3)
    frame = here.socket.frames[0]
    assert across(here, there, [frame, frame, b"x", b"\x05\x31abc", b"\x05\x0fabc", b"\x05\x02abc"]) == [b"abc"]
    assert there.counters.get("foreign") == 4


def test_only_the_peer_is_heard():
    there = RadioPort(Air(), b"\x01\x02\x03\x04\x05\x06")
    here = RadioPort(Air(), BROADCAST)
    here.write(b"abc", 3)
    assert across(here, there, here.socket.frames) == []
    assert there.counters.get("foreign") == 1


def test_a_radio_that_is_behind_drops_the_newest():
    here, _ = pair()
    here.socket.full = True
    assert here.write(bytes(500), 500) is None
    assert (here.counters.get("busy"), here.counters.get("unsent")) == (1, 1)


def test_an_address_is_read():
    assert address("24:6f:28:01:02:03") == PEER
    for wrong in ("24:6f", "somewhere"):
        try:
            address(wrong)
        except ValueError as error:
            assert "expected a MAC address" in str(error)
        else:
            raise AssertionError(wrong)
