# SPDX-License-Identifier: BSD-2-Clause
"""A hostile peer: whatever it sends, replays or forges, nothing changes and nothing is amplified."""

import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dredge_device import control, rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.security.access import KeyedAccess, OpenAccess
from dredge_device.pi.security.session_keys import (
    MAGIC,
    NONCE,
    OPEN,
    OPEN_BYTES,
    TO_DEVICE,
    Channel,
    KeyFileError,
    Keys,
    Window,
)

KEY = bytes(range(32))
HOST, EVIL = ("10.0.0.1", 4000), ("10.6.6.6", 666)
HELLO = control.build(control.with_document(control.HELLO, 1, {"role": "host"}))


class Client:
    """A holder of a key, by the table in docs/reference/protocol.md."""

    def __init__(self, guard, key=KEY, peer=HOST, now_us=1_000_000):
        self.guard, self.peer, self.key = guard, peer, key
        self.nonce = os.urandom(NONCE)
        self.opening = (MAGIC + bytes([OPEN]) + self.nonce).ljust(OPEN_BYTES, b"\0")
        _, answers = guard.receive(self.opening, peer, now_us)
        (self.answer,) = answers
        epoch, cookie = self.answer[5 + NONCE : 9 + NONCE], self.answer[9 + NONCE :]
        self.keys = Keys(key, self.nonce, cookie)
        self.head = MAGIC + bytes([TO_DEVICE]) + self.nonce + epoch
        self.srtp = session_keys.srtp(self.keys.media_key, outbound=True)

    def say(self, datagram, now_us=1_000_000):
        sealed = self.keys.to_device.seal(self.head, datagram)
        return sealed, self.guard.receive(sealed, self.peer, now_us)[0]

    def media(self, number, now_us=1_000_000):
        sealed = self.srtp.protect(rtp.build(number, 960 * number, 7, b"speech %d" % number))
        return sealed, self.guard.receive(sealed, self.peer, now_us)[0]


def test_a_holder_of_the_key_is_heard_and_answered():
    guard = KeyedAccess(KEY)
    client = Client(guard)
    assert len(client.answer) < len(client.opening)
    assert client.say(HELLO)[1] == HELLO
    assert client.media(3)[1] == rtp.build(3, 2880, 7, b"speech 3")
    wrapped = guard.wrap(b"report", HOST)
    assert wrapped is not None and client.keys.to_host.open(wrapped, 5) == b"report"
    assert guard.counters.get("opened") == 1


def test_media_is_not_readable_on_the_wire():
    client = Client(KeyedAccess(KEY))
    client.say(HELLO)
    assert b"speech" not in client.media(1)[0]


def test_a_wrong_key_is_counted_and_never_answered():
    guard = KeyedAccess(KEY)
    stranger = Client(guard, key=bytes(32))
    assert stranger.say(HELLO)[1] is None and stranger.media(0)[1] is None
    assert guard.wrap(b"secret", HOST) is None
    counts = guard.counters.snapshot()
    assert counts["forged"] == 1 and counts["unauthenticated"] == 1 and counts["opened"] == 0


def test_a_replay_changes_nothing_now_and_later():
    guard = KeyedAccess(KEY)
    client = Client(guard)
    control_datagram, _ = client.say(HELLO)
    media_datagram, _ = client.media(1)
    for peer in (HOST, EVIL):
        assert guard.receive(control_datagram, peer, 1_000_000)[0] is None
        assert guard.receive(media_datagram, peer, 1_000_000)[0] is None
    counts = guard.counters.snapshot()
    assert counts["replayed"] == 2 and counts["opened"] == 1
    # The session dies of silence; a recording of it from the same address opens nothing.
    Client(guard, peer=("10.0.0.2", 1), now_us=40_000_000).say(HELLO, 40_000_000)
    assert guard.receive(control_datagram, HOST, 40_000_000)[0] is None
    assert guard.receive(media_datagram, HOST, 40_000_000)[0] is None
    assert guard.wrap(b"x", HOST) is None


def test_a_session_that_just_ended_cannot_be_replayed_within_its_cookie():
    guard = KeyedAccess(KEY)
    first = Client(guard)
    recorded, _ = first.say(HELLO)
    second = Client(guard)  # the same host, started anew
    assert second.say(HELLO)[1] == HELLO
    assert guard.receive(recorded, HOST, 1_000_000)[0] is None
    assert second.say(b"still here")[1] == b"still here"


def test_every_changed_bit_is_noticed():
    guard = KeyedAccess(KEY)
    client = Client(guard)
    client.say(HELLO)
    sealed = client.keys.to_device.seal(client.head, HELLO)
    protected = client.srtp.protect(rtp.build(9, 9, 7, b"speech"))
    for original in (sealed, protected):
        for place in range(len(original)):
            changed = bytearray(original)
            changed[place] ^= 1
            assert guard.receive(bytes(changed), HOST, 2_000_000)[0] is None, place


def test_old_cookies_are_refused():
    guard = KeyedAccess(KEY)
    client = Client(guard, now_us=0)
    assert client.say(HELLO, now_us=40_000_000)[1] is None
    assert Client(KeyedAccess(KEY), now_us=15_900_000).say(HELLO, now_us=16_100_000)[1] == HELLO


def test_a_cookie_is_good_for_one_address():
    guard = KeyedAccess(KEY)
    client = Client(guard)
    client.peer = EVIL
    assert client.say(HELLO)[1] is None


def test_strangers_are_looked_at_only_so_often():
    guard = KeyedAccess(KEY)
    answered = sum(len(guard.receive(Client.__name__.encode(), EVIL, 0)[1]) for _ in range(10))
    assert answered == 0
    opening = (MAGIC + bytes([OPEN]) + bytes(NONCE)).ljust(OPEN_BYTES, b"\0")
    answers = sum(len(guard.receive(opening, (f"10.9.{n >> 8}.{n & 255}", 1), 1000)[1]) for n in range(2000))
    assert answers <= 100 and guard.counters.get("limited") >= 1800
    assert len(guard.receive(opening, EVIL, 2_000_000)[1]) == 1  # the bucket has filled up again


def test_one_flood_does_not_shut_out_another_stranger():
    guard = KeyedAccess(KEY)
    opening = (MAGIC + bytes([OPEN]) + bytes(NONCE)).ljust(OPEN_BYTES, b"\0")
    for n in range(5000):
        guard.receive(b"noise", EVIL, 1000 * n)
        guard.receive(opening, EVIL, 1000 * n)
    assert guard.counters.get("limited") > 4900
    assert Client(guard, now_us=5_000_000).say(HELLO, 5_000_000)[1] == HELLO


def test_a_flood_does_not_shut_out_a_host_behind_the_same_address():
    guard = KeyedAccess(KEY)
    opening = (MAGIC + bytes([OPEN]) + bytes(NONCE)).ljust(OPEN_BYTES, b"\0")
    for n in range(20_000):
        guard.receive(opening, (HOST[0], 666), 1000 * n)
        if n % 4000 == 3999:
            client = Client(guard, peer=(HOST[0], n), now_us=1000 * n)
            assert client.say(HELLO, 1000 * n)[1] == HELLO


def test_members_are_not_slowed_down_by_a_flood():
    guard = KeyedAccess(KEY)
    client = Client(guard)
    client.say(HELLO)
    for n in range(3000):
        guard.receive(b"flood", (EVIL[0], n), 1_000_000)
        assert n % 100 or client.media(n)[1] is not None


def test_memory_is_bounded():
    guard = KeyedAccess(KEY, most=3)
    for n in range(200):
        Client(guard, peer=("10.0.1.1", n), now_us=1_000_000 + 100_000 * n).say(HELLO, 1_000_000 + 100_000 * n)
    assert len(guard._holders) <= 3 and guard.counters.get("full") == 0
    open_guard = OpenAccess(limited=True)
    for n in range(5000):
        open_guard.receive(b"x", ("10.0.1.1", n), 0)
    assert len(open_guard._credits) <= 64


def test_without_a_key_a_remote_peer_never_gets_more_than_it_sent():
    guard = OpenAccess(limited=True)
    sent = got = 0
    dice = random.Random(1)
    for _ in range(500):
        question = bytes(dice.randrange(200))
        guard.receive(question, EVIL, 0)
        sent += len(question)
        answer = guard.wrap(bytes(dice.randrange(1200)), EVIL)
        got += len(answer or b"")
        assert got <= sent
    assert guard.counters.get("withheld") > 100
    assert guard.wrap(b"x", ("unheard", 1)) is None


def test_answers_are_counted_in_packets_too():
    guard = OpenAccess(limited=True)
    guard.receive(bytes(1400), EVIL, 0)
    assert [guard.wrap(bytes(12), EVIL) is not None for _ in range(70)].count(True) == 1


def test_a_flood_from_many_ports_cannot_take_the_served_hosts_credit():
    guard = OpenAccess(limited=True, serving=lambda peer: peer == HOST)
    guard.receive(bytes(1200), HOST, 0)
    for n in range(5000):
        guard.receive(b"x", (f"10.{n >> 8}.{n & 255}.1", n), 0)
        guard.wrap(bytes(500), (HOST[0], 5000 + n))  # the same address, another port
    assert guard.wrap(bytes(1100), HOST) is not None
    assert len(guard._credits) <= 64 and len(guard._own) == 1


def test_the_fourth_connection_finds_room_and_a_served_one_keeps_its_place():
    served = set()
    guard = KeyedAccess(KEY, most=2, serving=served.__contains__)
    first = Client(guard, peer=("10.0.0.1", 1))
    first.say(HELLO)
    served.add(first.peer)
    for n in range(2, 8):
        assert Client(guard, peer=("10.0.0.1", n), now_us=1_000_000 * n).say(HELLO, 1_000_000 * n)[1] == HELLO
    assert first.say(b"still here", 60_000_000)[1] == b"still here"
    served.add(("10.0.0.1", 7))
    assert Client(guard, peer=("10.0.0.1", 9), now_us=9_000_000).say(HELLO, 9_000_000)[1] is None
    assert guard.counters.get("full") == 1


def test_claims_to_be_a_member_with_new_keys_are_few_and_cost_no_context(monkeypatch):
    guard = KeyedAccess(KEY)
    client = Client(guard)
    client.say(HELLO)
    made = []
    monkeypatch.setattr(session_keys, "srtp", lambda *a, **k: made.append(a))
    epoch = (1_000_000 // 16_000_000).to_bytes(4, "big")
    derived = []
    original = session_keys.derive
    monkeypatch.setattr(session_keys, "derive", lambda *a: derived.append(a) or original(*a))
    for _ in range(5000):
        guard.receive(MAGIC + bytes([TO_DEVICE]) + os.urandom(16) + epoch + bytes(40), HOST, 1_000_000)
    assert not made and len(derived) <= 3 * 20 and guard.counters.get("limited") > 4900
    assert client.say(HELLO)[1] == HELLO


def test_what_is_wrong_with_the_key_is_said():
    said = []
    guard = KeyedAccess(KEY, warn=lambda kind, text: said.append((kind, text)))
    Client(guard, key=bytes(32)).say(HELLO)
    guard.receive(rtp.build(1, 1, 1, b"open speech"), EVIL, 1_000_000)
    OpenAccess(warn=lambda kind, text: said.append((kind, text))).receive(MAGIC + bytes(60), EVIL, 0)
    assert [kind for kind, _ in said] == ["wrong key", "unkeyed", "no key"]
    assert "10.0.0.1:4000 has another key" in said[0][1] and "--key-file" in said[1][1] and "--key-file" in said[2][1]


def test_on_this_machine_nothing_is_withheld():
    guard = OpenAccess()
    assert guard.receive(b"?", HOST, 0) == (b"?", []) and guard.wrap(bytes(5000), HOST) == bytes(5000)


@given(st.lists(st.binary(max_size=120) | st.binary(max_size=80).map(lambda b: MAGIC + b), max_size=40))
@settings(deadline=None)
def test_no_datagram_opens_a_session_or_gets_a_longer_answer(datagrams):
    guard = KeyedAccess(KEY)
    for n, datagram in enumerate(datagrams):
        clear, answers = guard.receive(datagram, EVIL, n * 1_000_000)
        assert clear is None and sum(map(len, answers)) < max(1, len(datagram))
    assert guard.counters.get("opened") == 0


@given(st.lists(st.integers(0, 3000), max_size=300))
def test_a_window_accepts_every_counter_once(counters):
    window, seen, top = Window(), set(), -1
    for counter in counters:
        accepted = window.accept(counter)
        assert not (accepted and counter in seen)
        if counter > top - 1000:
            assert accepted == (counter not in seen)
        seen.add(counter)
        top = max(top, counter)


def test_channels_of_two_directions_do_not_understand_each_other():
    keys = Keys(KEY, bytes(16), bytes(16))
    with pytest.raises(session_keys.SealError, match="forged"):
        keys.to_host.open(keys.to_device.seal(b"", b"x"), 0)
    with pytest.raises(session_keys.SealError, match="forged"):
        Channel(KEY).open(b"short", 0)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("xyz", "must hold hexadecimal digits"), ("00" * 8, "8 bytes of key, expected"), (None, "No such file")],
)
def test_bad_key_files_say_how_to_make_one(tmp_path, text, sentence):
    path = tmp_path / "key"
    if text is not None:
        path.write_text(text)
    with pytest.raises(KeyFileError, match=sentence):
        session_keys.read_key(path)


def test_key_files(tmp_path):
    path = tmp_path / "key"
    path.write_text("0011 2233 4455 6677\n8899 aabb ccdd eeff\n")
    os.chmod(path, 0o644)
    assert session_keys.read_key(path) == bytes(range(0, 256, 17)) and session_keys.open_to_others(path)
    os.chmod(path, 0o600)
    assert not session_keys.open_to_others(path)
