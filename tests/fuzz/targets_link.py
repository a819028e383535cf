# SPDX-License-Identifier: BSD-2-Clause
"""Byte streams and keys: COBS frames, the serial line's reader, access with keys, key files."""

from __future__ import annotations

import binascii
import struct
import threading

from target import Plan, Target, check, in_file, piece

from dredge_device import control, framing, rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.access import KeyedAccess, OpenAccess
from dredge_device.pi.security.session_keys import MAGIC, NONCE, OPEN, OPEN_BYTES, TO_DEVICE, Keys
from dredge_device.pi.transport.serial_port import SerialLine

PEERS = (("10.0.0.1", 5), ("10.0.0.2", 5), ("10.0.0.3", 5))
NONCES = tuple(bytes([n]) * NONCE for n in (1, 2, 3))
KEY = bytes(range(32))


def wire(plan: Plan) -> tuple[bytes, list[bytes]]:
    """Bytes of a line: raw ones, and frames with a sound checksum whose number the plan chooses; the datagrams."""
    out, framed = b"", []
    while plan:
        if plan.below(4) == 0:
            out += plan.piece()
            continue
        number, datagram = plan.number(2), plan.piece()[: framing.MAX_DATAGRAM]
        body = struct.pack(">H", number) + datagram
        out += b"\0" + framing.stuff(body + struct.pack(">I", binascii.crc32(body))) + b"\0"
        framed.append(datagram)
    return out, framed


def run_framing(data: bytes) -> bool:
    """Any bytes in any pieces: nothing is raised, memory is bounded, sound frames come out, others do not."""
    plan = Plan(data)
    step = 1 + plan.below(256)
    line, framed = wire(plan)
    deframer, out = framing.Deframer(), []
    for at in range(0, len(line), step):
        out += deframer.feed(line[at : at + step])
        check(len(deframer._part) <= framing.MAX_DATAGRAM + 64, "an endless frame is kept")
    check(out == framing.Deframer().feed(line), "the pieces that bytes come in change what they say")
    check(all(len(d) <= len(line) for d in out), "a datagram longer than the line's bytes")
    check(framing.unstuff(framing.stuff(line)) == line, "COBS is not its own inverse")
    check(b"\0" not in framing.stuff(line), "a zero byte is left")
    return bool(out) and all(d in framed for d in out)


def seeds_framing() -> list[bytes]:
    frames = b"".join(bytes([1]) + n.to_bytes(2, "big") + piece(bytes([n]) * 3 * n) for n in (1, 2, 90))
    noise = bytes([0]) + piece(b"\0\3ab\0\xff" + b"x" * 260)
    return [b"\7" + frames, b"\xff" + noise + frames, b"\0" + frames + noise]


class FakePort:
    """A serial port that says these pieces, then nothing more until it is unplugged."""

    in_waiting = 0

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self.done = threading.Event()
        self._gone = threading.Event()

    def read(self, size: int) -> bytes:
        if self._pieces:
            return self._pieces.pop(0)
        self.done.set()
        self._gone.wait(5)
        raise OSError("unplugged")

    def write(self, data: bytes) -> None:
        return None

    def close(self) -> None:
        self._gone.set()


def run_serialline(data: bytes) -> bool:
    """The line's reader thread lives through everything the wire says."""
    plan = Plan(data)
    step = 1 + plan.below(256)
    stream, _ = wire(plan)
    port = FakePort([stream[at : at + step] for at in range(0, len(stream), step)])
    line = SerialLine("serial:///fuzz", opener=lambda address: port)
    try:
        check(port.done.wait(5), "the reader thread stopped before the end of its bytes")
        heard = 0
        while line.recv() is not None:
            heard += 1
        counted = line.counters()
        check(heard + counted["overflow"] <= counted["frames"], "more datagrams than frames")
    finally:
        line._closing.set()
        port.close()
        line.close()
    return heard > 0


class Host:
    """The far end of a keyed link, as the plan plays it."""

    def __init__(self, guard: KeyedAccess) -> None:
        self.guard = guard
        self.keys: dict[tuple[int, int], tuple[Keys, bytes, object]] = {}
        self.sent: list[bytes] = []
        self.clear: set[bytes] = set()      # what was sealed and not heard yet

    def open(self, plan: Plan, now_us: int) -> None:
        who, which = plan.below(len(PEERS)), plan.below(len(NONCES))
        question = (MAGIC + bytes([OPEN]) + NONCES[which]).ljust(OPEN_BYTES, b"\0")
        for answer in self.receive(question, who, now_us):
            self.keys[who, which] = self._session(NONCES[which], answer)

    def _session(self, nonce: bytes, answer: bytes) -> tuple[Keys, bytes, object]:
        keys = Keys(KEY, nonce, answer[9 + NONCE :])
        head = MAGIC + bytes([TO_DEVICE]) + nonce + answer[5 + NONCE : 9 + NONCE]
        return keys, head, session_keys.srtp(keys.media_key, outbound=True)

    def say(self, plan: Plan, now_us: int) -> None:
        who, which, body = plan.below(len(PEERS)), plan.below(len(NONCES)), plan.piece()[:1000]
        if (who, which) not in self.keys:
            return
        keys, head, media = self.keys[who, which]
        number = len(self.sent)
        if plan.below(2):
            clear = rtp.build(number, 960 * number, which, body)
            sealed = media.protect(clear)  # type: ignore[attr-defined]
        else:
            clear = control.build(control.Message(control.PROBE, number, body))
            sealed = keys.to_device.seal(head, clear)
        self.clear.add(clear)
        self.sent.append(sealed)
        self.receive(sealed, who, now_us)

    def receive(self, datagram: bytes, who: int, now_us: int) -> list[bytes]:
        clear, answers = self.guard.receive(datagram, PEERS[who], now_us)
        if clear is not None:
            check(clear in self.clear, "something passed that no holder of the key has sent now")
            self.clear.remove(clear)
        check(sum(map(len, answers)) <= len(datagram), "a stranger is answered more than it has sent")
        self.guard.wrap(b"\x81\xc9\0\1report", PEERS[who])
        return answers


def run_guard(data: bytes) -> bool:
    """Openings, sound and forged datagrams, replays and clock steps against a keyed device."""
    plan, guard, now_us = Plan(data), KeyedAccess(KEY, most=2), 0
    host = Host(guard)
    while plan:
        action = plan.below(6)
        if action == 0:
            host.open(plan, now_us)
        elif action in (1, 2):
            host.say(plan, now_us)
        elif action == 3 and host.sent:
            old = bytearray(host.sent[plan.below(256) % len(host.sent)])
            if plan.below(2):
                old[plan.number(2) % len(old)] ^= 1 + plan.below(255)
            host.receive(bytes(old), plan.below(len(PEERS)), now_us)
        elif action == 4:
            host.receive(plan.piece(), plan.below(len(PEERS)), now_us)
        else:
            now_us += plan.number(2) * 1000
        check(len(guard._holders) <= 2 and len(guard._strangers) <= 64, "memory for strangers grows")
    return guard.counters.get("opened") > 0


def seeds_guard() -> list[bytes]:
    def say(who: int, which: int, media: int, text: bytes = b"speech") -> bytes:
        return bytes([1, who, which]) + piece(text) + bytes([media])

    session = bytes([0, 0, 0]) + say(0, 0, 0) + say(0, 0, 1) + bytes([3, 0, 0, 0])
    forged = session + bytes([3, 1, 1, 0, 20, 5, 0])
    second = session + bytes([5, 0x40, 0, 0, 1, 1]) + say(1, 1, 0) + bytes([0, 2, 2]) + say(2, 2, 1)
    return [session, forged, second, bytes([4]) + piece(MAGIC + b"\3" + bytes(60)) + b"\0"]


def run_open_guard(data: bytes) -> bool:
    """Without a key: a peer is never sent more bytes than it has sent."""
    plan, guard, balance, now_us = Plan(data), OpenAccess(limited=True), dict.fromkeys(range(4), 0), 0
    passed = False
    while plan:
        who, datagram = plan.below(4), plan.piece()
        if plan.below(2):
            balance[who] += len(datagram)
            check(guard.receive(datagram, who, now_us) == (datagram, []), "an open guard changed a datagram")
        elif guard.wrap(datagram, who) is not None:
            balance[who] -= len(datagram)
            passed = True
        check(min(balance.values()) >= 0, "a peer was sent more than it has sent")
    return passed


def run_keyfile(data: bytes) -> bool:
    """A key file of any content."""
    with in_file(data, "key") as path:
        try:
            key = session_keys.read_key(path)
        except session_keys.KeyFileError as error:
            check("key file" in str(error), "the sentence does not name the file")
            return False
    check(len(key) >= 16, "a short key was accepted")
    check(binascii.unhexlify("".join(data.decode("ascii").split())) == key, "the key is not what the file says")
    return True


TARGETS = (
    Target("framing", "COBS frames of a byte stream", run_framing, seeds_framing, limit=6000, repeat=400),
    Target("serialline", "serial line, reader thread", run_serialline, seeds_framing, limit=4096, repeat=40),
    Target("guard", "keyed links: handshake, seals, SRTP", run_guard, seeds_guard, words=(MAGIC,), limit=2048,
           repeat=200),
    Target("open_guard", "unkeyed links: what strangers are answered", run_open_guard,
           lambda: [b"\0\5abcde\1\0\3xyz\0", b"\1\2hi\0"], limit=1024, repeat=500),
    Target("keyfile", "key files", run_keyfile, lambda: [KEY.hex().encode() + b"\n", b"00 11\n" * 20], limit=300,
           repeat=100),
)  # fmt: skip
