# SPDX-License-Identifier: BSD-2-Clause
# Frames without allocation are the frames of the portable core, in both directions, whatever happens to the bytes.
from bytesource import ByteSource
from dredge_board.uart_framing import LineReader, LineWriter
from dredge_device import framing

SIZES = (0, 1, 2, 5, 100, 246, 247, 248, 251, 252, 253, 254, 255, 256, 500, 1200, 2048)


def read_all(reader, data, step):
    got = []
    for start in range(0, len(data), step):
        piece = data[start : start + step]
        at = 0
        while at < len(piece):
            at = reader.take(piece, at, len(piece))
            if reader.size >= 0:
                got.append(bytes(reader.body[: reader.size]))
    return got


def test_frames_are_the_same_bytes():
    source = ByteSource(7)
    framer, writer = framing.Framer(), LineWriter()
    for zeros in (0, 2, 9, 300):
        for size in SIZES:
            data = source.bytes(size, zeros)
            length = writer.frame(data)
            assert bytes(writer.out[:length]) == framer.frame(data), (size, zeros)
    all_ones = b"\xff" * 1500
    assert bytes(writer.out[: writer.frame(all_ones)]) == framer.frame(all_ones)


def test_too_long_is_refused_and_uses_no_number():
    writer = LineWriter()
    assert writer.frame(bytes(2049)) == 0
    length = writer.frame(b"next")
    assert bytes(writer.out[:length]) == framing.Framer().frame(b"next")


def test_pieces_of_any_size_are_put_together():
    source = ByteSource(3)
    framer = framing.Framer()
    wanted = [source.bytes(source.below(300), 5) for _ in range(30)]
    line = b"".join([framer.frame(data) for data in wanted])
    for step in (1, 2, 7, 64, 5000):
        reader = LineReader()
        assert read_all(reader, line, step) == wanted
        assert reader.counters() == {"frames": 30, "damaged": 0, "overlong": 0, "missed": 0, "repeated": 0}


# Both readers see the same noise, and must agree on every datagram and every counter.
def test_damage_is_seen_as_the_core_sees_it():
    totals = [0, 0, 0, 0]
    for seed in range(1, 9):
        source = ByteSource(seed)
        framer = framing.Framer()
        line = bytearray()
        for _ in range(60):
            line.extend(framer.frame(source.bytes(source.below(120), 6)))
        for _ in range(25):
            at = source.below(len(line))
            if source.below(3):
                line[at] ^= 1 << source.below(8)
            else:
                line = line[:at] + line[at + 1 :]
        reader, core = LineReader(), framing.Deframer()
        assert read_all(reader, bytes(line), 33) == core.feed(bytes(line))
        assert reader.counters() == core.counters()
        for index, name in enumerate(("frames", "damaged", "missed", "repeated")):
            totals[index] += reader.counters()[name]
    assert totals[0] > 300 and totals[1] > 50 and totals[2] > 20
    return totals


def test_endless_garbage_is_one_overlong_frame():
    reader, core = LineReader(), framing.Deframer()
    noise = ByteSource(5).bytes(6000, 100000) + b"\0"
    line = noise + framing.Framer().frame(b"after")
    assert read_all(reader, line, 64) == core.feed(line) == [b"after"]
    assert reader.overlong + reader.damaged == 1


def test_repeated_and_missing_numbers():
    framer = framing.Framer()
    frames = [framer.frame(b"a%d" % n) for n in range(6)]
    reader = LineReader()
    got = read_all(reader, frames[0] + frames[1] + frames[1] + frames[4] + frames[5], 9)
    assert got[:2] == [b"a0", b"a1"] and got[-2:] == [b"a4", b"a5"]
    assert (reader.missed, reader.repeated) == (2, 1)
