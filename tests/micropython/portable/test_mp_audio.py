# SPDX-License-Identifier: BSD-2-Clause
# Microphone and loudspeaker of a board without I2S: the same samples on every Python, and a queue that stays where it
# should be.
import struct

from bytesource import ByteSource
from dredge_board.audio import samples
from dredge_board.audio.loudspeaker import HELD, SLOTS, Loudspeaker
from dredge_board.audio.microphone import PACKET, Microphone
from dredge_device import rtp


def words(values):
    return b"".join([struct.pack("<i", value) for value in values])


def shorts(data, order="<"):
    return [struct.unpack_from(order + "h", data, at)[0] for at in range(0, len(data) - 1, 2)]


def test_samples_of_32_bits_become_16_and_are_limited():
    values = [0, 256, -256, 0x7FFFFF00, -0x80000000, 0x00123456, -0x00123456, 1 << 24, -(1 << 24)]
    for gain in (0, 4, 8):
        out = bytearray(2 * len(values))
        peak = samples.pack(0, 0, len(values), words(values), out, gain)
        wanted = [min(32767, max(-32768, (value >> 8) >> (8 - gain))) for value in values]
        assert shorts(out, ">") == wanted
        assert peak == 32768
    assert samples.pack(4, 2, 1, words(values), out, 8) == 1


def test_volume_is_applied_and_limited():
    values = [0, 1, -1, 100, -100, 32767, -32768, 20000, -20000]
    data = b"".join([struct.pack(">h", value) for value in values])
    for volume in (0, 128, 256, 512):
        out = bytearray(2 * len(values))
        samples.unpack(0, 0, len(values), data, out, volume)
        assert shorts(out) == [min(32767, max(-32768, value * volume >> 8)) for value in values]


def test_a_hole_is_entered_and_left_without_a_step():
    ramp = bytearray(b"".join([struct.pack("<h", 20000 + 10 * n) for n in range(320)]))
    last = shorts(ramp)[-1]
    samples.mirror(0, 0, 320, ramp, 8)
    out = shorts(ramp)
    assert abs(out[0] - last) < 200 and out[255:] == [0] * 65
    assert max([abs(out[n] - out[n - 1]) for n in range(1, len(out))]) < 200
    flat = bytearray(struct.pack("<h", -12345) * 320)
    samples.fade_in(0, 0, 6, flat)
    out = shorts(flat)
    assert out[0] == 0 and out[64:] == [-12345] * 256
    assert max([abs(out[n] - out[n - 1]) for n in range(1, len(out))]) < 400


def test_one_sample_more_or_less_changes_nothing_else():
    source = ByteSource(11)
    values = [source.below(60000) - 30000 for _ in range(320)]
    values[200] = values[199] + 1
    for by, wanted in ((-1, values[:200] + values[201:]), (1, values[:201] + values[200:])):
        data = bytearray(b"".join([struct.pack("<h", value) for value in values]) + bytes(2))
        count = samples.slip(0, 0, 0, data, 320, by)
        assert count == 320 + by and shorts(data)[:count] == wanted


def test_pieces_of_any_length_become_packets_of_20_ms():
    source = ByteSource(4)
    microphone, sent, heads, packets = Microphone(gain=0), [], [], 0
    while packets < 10:
        values = [source.below(60000) - 30000 for _ in range(source.below(500))]
        sent += values
        raw, done = words([value << 16 for value in values]), 0
        while done < len(values):
            done = microphone.take(raw, done, len(values))
            if microphone.ready():
                packet = rtp.parse(bytes(microphone.packet))
                heads.append((packet.sequence, packet.timestamp))
                assert shorts(packet.payload, ">") == sent[:320]
                sent = sent[320:]
                packets += 1
    assert heads == [(n, 320 * n) for n in range(packets)]
    microphone.skip(300)
    microphone.take(bytes(1280), 0, 320)
    while not microphone.ready():
        microphone.take(bytes(1280), 0, 320)
    packet = rtp.parse(bytes(microphone.packet))
    assert (packet.sequence, packet.timestamp) == (packets + 300, (packets + 300) * 320)
    return microphone.peak


def packet_of(number, value=1000, ssrc=7):
    return rtp.build(number, 320 * number, ssrc, struct.pack(">h", value) * 320, 96)


# I2S that takes so many bytes until `played` says that it has room again. most: largest step between two samples.
class Card:
    def __init__(self, room):
        self.room = room
        self.free = room
        self.bytes = 0
        self.most = 0
        self._last = None

    def write(self, data, start, size):
        size = min(size, self.free)
        self.free -= size
        self.bytes += size
        for at in range(start, start + size, 2):
            value = data[at] | data[at + 1] << 8
            value -= (value & 0x8000) << 1
            if self._last is not None:
                self.most = max(self.most, abs(value - self._last))
            self._last = value
        return size

    def played(self, count):
        self.free = min(self.room, self.free + count)


# So many packets, of which those arrive that `arrives` says, into a board whose clock is ppm fast.
def run(arrives, ppm, packets):
    speaker, card = Loudspeaker(60), Card(HELD * 640)
    packet = bytearray(packet_of(0))
    owed = 0
    for n in range(packets):
        packet[2:4] = struct.pack(">H", n & 0xFFFF)
        for _ in range(arrives(n)):
            speaker.take(packet, PACKET)
        speaker.play(card)
        owed += 32 * (100000 + ppm // 10)
        card.played(owed // 10000 * 2)
        owed %= 10000
        speaker.play(card)
    return speaker, card


def test_a_board_that_is_faster_or_slower_than_the_pi_neither_runs_dry_nor_falls_behind():
    said = []
    for ppm in (-500, -50, 0, 50, 500):
        speaker, _ = run(lambda n: 1, ppm, 1500)
        counters = speaker.counters
        assert (counters.get("dry"), counters.get("missed"), counters.get("skipped")) == (0, 0, 0), ppm
        assert 576 <= speaker.waiting() <= 704, (ppm, speaker.waiting())  # 40 ms, off by 4 at most
        said.append((ppm, counters.get("longer"), counters.get("shorter")))
    assert said[0][2] > 150 and said[4][1] > 150
    return said


def test_holes_are_filled_and_counted():
    speaker, card = run(lambda n: n % 10 != 7, 0, 200)
    assert 18 <= speaker.counters.get("missed") <= 20
    assert speaker.counters.get("dry") == 0
    assert card.most < 40
    return speaker.counters.get("missed")


def test_a_burst_after_a_pause_does_not_stay_late():
    speaker, card = Loudspeaker(60), Card(HELD * 640)
    packet = bytearray(packet_of(0))
    for n in range(14):
        packet[3] = n
        speaker.take(packet, PACKET)
    assert speaker.waiting() == 14 * 320
    for n in range(14, 180):
        packet[3] = n
        speaker.take(packet, PACKET)
        speaker.play(card)
        card.played(640)
    speaker.play(card)
    assert speaker.waiting() <= 320 * 4, speaker.waiting()
    assert speaker.counters.get("dry") == 0 and card.most < 40
    return speaker.counters.get("skipped")


def test_more_than_fits_is_left_out_from_the_beginning():
    speaker = Loudspeaker(60)
    packet = bytearray(packet_of(0))
    for n in range(40):
        packet[3] = n
        speaker.take(packet, PACKET)
    assert speaker.waiting() < 320 * SLOTS
    assert speaker.counters.get("skipped") + speaker.waiting() // 320 == 40


def test_a_new_sender_begins_anew_and_noise_is_counted():
    speaker, card = Loudspeaker(20), Card(100000)
    for n in range(5):
        speaker.take(packet_of(50000 + n), PACKET)
    for n in range(5):
        speaker.take(packet_of(n, ssrc=8), PACKET)
    speaker.take(packet_of(2, ssrc=8), PACKET)
    speaker.take(bytes(PACKET), PACKET)
    speaker.take(packet_of(9, ssrc=8)[:200], 200)
    speaker.play(card)
    snapshot = speaker.counters.snapshot()
    assert (snapshot["garbage"], snapshot["repeated"], snapshot["packets"]) == (2, 1, 11)
    assert card.bytes == 5 * 640 and snapshot["dry"] == 1
    for n in (4, 5):
        speaker.take(packet_of(n, ssrc=8), PACKET)
    assert speaker.counters.get("late") == 1
