# SPDX-License-Identifier: BSD-2-Clause
"""What was said before a mute, meanwhile, or under other keys is in no later packet, and in no later sound."""

from __future__ import annotations

import os
import pty
import queue
import signal
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dredge_host
from dredge_device import rtp
from dredge_device.agent import ACTIVE, IDLE
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_host.errors import UnreachableError
from dredge_host.links.loop import LoopLink, loop_pair
from dredge_host.links.loop_device import LoopDevice
from dredge_host.live.mute import MuteSwitch
from dredge_host.live.result import accounting
from dredge_host.live.session import Session
from dredge_host.live.stream import stream
from dredge_host.sending.audio import packets, read_audio
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.network import Network
from dredge_host.sending.sender import Sender
from dredge_host.settings import Settings
from dredge_kernels.extensions import read_extensions
from dredge_kernels.opus import OpusDecoder, packet_has_lbrr
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder

SPEECH = read_audio(Path(dredge_host.__file__).parent / "assets/demo_speech.flac").pcm
PIECES = list(packets(SPEECH))
SECRET, LATER = PIECES[:120], PIECES[200:280]
NOISE = np.random.default_rng(5).integers(-20000, 20000, 320).astype(np.int16)
QUIET = np.zeros(320, np.int16)


def payload(packet: Any) -> bytes:
    """The Opus packet with its redundancy; b"" where nothing is sent."""
    data = packet if isinstance(packet, bytes) else packet.data
    return rtp.parse(data).payload if data else b""


def spoken(sender: Sender, pieces: list[np.ndarray]) -> list[bytes]:
    return [payload(sender.push(piece)) for piece in pieces]


# --- the sender ---


@pytest.mark.parametrize("lbrr", [False, True])
@pytest.mark.parametrize("dtx", [False, True])
def test_packets_after_a_mute_are_those_of_a_sender_that_never_heard_the_secret(lbrr: bool, dtx: bool) -> None:
    """Bit for bit: neither what was said before the mute nor what is said during it leaves a trace."""
    sender, fresh = Sender(lbrr=lbrr, dtx=dtx), Sender(lbrr=lbrr, dtx=dtx)
    spoken(sender, SECRET)
    for one in (sender, fresh):
        one.mute()
    assert spoken(sender, [NOISE] * 15) == spoken(fresh, [QUIET] * 15)
    for one in (sender, fresh):
        one.mute(False)
    assert spoken(sender, LATER) == spoken(fresh, LATER)


@pytest.mark.parametrize("part", ["_encoder", "_history"])
def test_both_memories_matter(part: str) -> None:
    """Were one of them not flushed, the packets would differ: the test above can fail."""
    sender, fresh = Sender(lbrr=True), Sender(lbrr=True)
    spoken(sender, SECRET)
    kept = getattr(sender, part)
    setattr(sender, part, None if part == "_history" else Sender(lbrr=True)._encoder)
    sender.flush()
    setattr(sender, part, kept)
    assert spoken(sender, LATER) != spoken(fresh, LATER)


def energy(pcm: np.ndarray) -> float:
    return float(np.mean(pcm.astype(np.float64) ** 2))


def test_the_copy_in_the_first_muted_packet_is_silent() -> None:
    """LBRR repeats the packet before: without the flush, the last 20 ms before the mute."""
    loudest = max(range(40, 120), key=lambda i: energy(PIECES[i]))
    copies = {}
    for flushed in (False, True):
        sender = Sender(redundancy_s=0, lbrr=True, loss_pct=20)
        spoken(sender, PIECES[: loudest + 1])
        if flushed:
            sender.mute()
        first, decoder = payload(sender.push(QUIET)), OpusDecoder()
        copies[flushed] = energy(decoder.decode_fec(first)) if packet_has_lbrr(first) else 0.0
    assert copies[False] > 1e4 and copies[True] < 100


def test_no_history_reaches_back_before_the_unmute() -> None:
    """Every frame that any packet of 1.2 s describes is either of the new speech or silence."""
    sender, decoder = Sender(redundancy_s=1.0), DredDecoder()
    spoken(sender, SECRET)
    sender.mute()
    muted = spoken(sender, [NOISE] * 20)
    assert not [e for p in muted for e in read_extensions(p) if e.id == DRED_EXTENSION_ID]
    sender.mute(False)
    deepest = 0
    for number, packet in enumerate(spoken(sender, LATER[:60])):
        for extension in read_extensions(packet):
            parsed = decoder.parse(extension.data)
            rows = decoder.features(parsed, parsed.span_frames)
            newest = 2 * number + parsed.header.offset // 4 - 1  # 10 ms frames, 0: the first after the unmute
            # Not the oldest latent, half of which is before the beginning of time, nor 60 ms of the network's blur.
            old = rows[4 : max(4, parsed.span_frames - newest - 1 - 6)]
            deepest = max(deepest, len(old))
            assert (old[:, 0] < -5).all(), number  # speech is above 0, digital silence at -12.5
    assert deepest >= 20


# --- the stream ---


class Rekeying:
    """A link that gets other keys after some datagrams of media."""

    def __init__(self, link: Any, after: int) -> None:
        self._link, self._after, self.url = link, after, link.url
        self.media: list[bytes] = []
        self.recv, self.close = link.recv, link.close

    @property
    def key_changes(self) -> int:
        return int(len(self.media) >= self._after)

    def send(self, datagram: bytes) -> None:
        if not rtp.is_rtcp(datagram):
            self.media.append(datagram)
        self._link.send(datagram)


def device() -> LoopDevice:
    def make(options: dict[str, Any]) -> Receiver:
        return Receiver(options["playout_ms"], "opus")

    return LoopDevice(make, {"ok": True, "models": []}, conceal="opus")


def live(after: int = 1 << 30, **options: Any) -> tuple[list[bytes], Any]:
    """80 packets of speech over a link that changes its keys; the datagrams that went out."""
    chosen = Settings(playout_ms=60, conceal="opus", redundancy_s=1.0)
    options.setdefault("sender", Sender(chosen.bitrate, 1.0))  # whose numbers begin at 0
    with device() as near:
        link = Rekeying(near, after)
        outcome = stream(SECRET[:80], Session(link), chosen, parse_loss("none"), **options)
    return link.media, outcome


def check_clean(media: list[bytes], first: int, through: list[np.ndarray]) -> None:
    """From period `first` on the packets are those of a sender that begins there."""
    fresh = Sender(redundancy_s=1.0)
    expected = spoken(fresh, through)
    sent = {rtp.parse(d).timestamp // 960: payload(d) for d in media}
    later = sorted(n for n in sent if n >= first)
    assert len(later) > 20
    assert [sent[n] for n in later] == [expected[n - first] for n in later]


def test_new_keys_flush_what_was_said_under_the_old_ones() -> None:
    media, outcome = live(after=30)
    assert outcome.withheld == 1  # the packet that was made before and would have gone out after
    check_clean(media, 31, SECRET[31:80])
    assert accounting(outcome)["made"] == 80 and outcome.sent == 79


def test_packets_under_way_under_the_old_keys_are_not_sent_again_under_the_new_ones() -> None:
    media, outcome = live(after=30, network=Network(delay="100ms"))
    assert outcome.withheld >= 5
    numbers = [rtp.parse(d).timestamp // 960 for d in media]
    gap = next(n for n in range(80) if n not in numbers)
    first = next(n for n in numbers if n > gap)
    assert first - gap == outcome.withheld
    check_clean(media, first, SECRET[first:80])


def test_muting_a_stream_withholds_the_packet_in_hand_and_what_it_remembers() -> None:
    sender = Sender(redundancy_s=1.0)
    media, outcome = live(sender=sender, muted=lambda: 40 <= sender.index < 60)  # 39 is made, and waits for its time
    numbers = [rtp.parse(d).timestamp // 960 for d in media]
    (gap,) = set(range(80)) - set(numbers)
    assert gap == 39 and outcome.withheld == 1 and accounting(outcome)["made"] == 80
    sent = {n: payload(d) for n, d in zip(numbers, media, strict=True)}
    fresh = Sender(redundancy_s=1.0)
    fresh.mute()
    assert sent[gap + 1] == payload(fresh.push(QUIET))
    assert not [e for n in range(gap + 1, gap + 15) for e in read_extensions(sent[n]) if e.id == DRED_EXTENSION_ID]


def test_a_stream_that_nobody_mutes_leaves_the_sender_as_it_is() -> None:
    sender = Sender(redundancy_s=1.0)
    sender.mute()
    _, outcome = live(sender=sender)
    assert sender.muted and outcome.withheld == 0


# --- the link ---


class Table:
    """A keyed host and the guard of a device, in one thread; `restart` puts another process in its place."""

    def __init__(self) -> None:
        from dredge_host.links.secure import SecureLink

        self.now_s = 0.0
        self.heard: list[bytes] = []
        self.rekeyed: list[Any] = []
        self.near, self.far = loop_pair()
        self.restart()
        answering = self

        class Answering(LoopLink):
            def recv(self, timeout: float = 0.0) -> bytes | None:
                answering.serve()
                answering.now_s += 0.01
                return super().recv(0.0)

        near = Answering(self.near._outbox, self.near._inbox)
        self.link = SecureLink(near, bytes(32), clock=lambda: self.now_s)

    def restart(self) -> None:
        from dredge_device.pi.security.access import KeyedAccess

        self.guard = KeyedAccess(bytes(32), 2, self.rekeyed.append)

    def serve(self) -> None:
        while (datagram := self.far.recv()) is not None:
            clear, answers = self.guard.receive(datagram, "host", int(1e6 * self.now_s))
            for answer in answers:
                self.far.send(answer)
            if clear is not None:
                self.heard.append(clear)
                wrapped = self.guard.wrap(b"\x80\xccanswer", "host") if rtp.is_rtcp(clear) else None
                if wrapped:
                    self.far.send(wrapped)


CONTROL = b"\x80\xcc" + bytes(18)


@pytest.fixture
def table() -> Table:
    table = Table()
    table.link.send(CONTROL)
    assert table.link.recv(0.1) == b"\x80\xccanswer" and table.link.key_changes == 0
    return table


def test_keys_are_kept_while_the_device_knows_them(table: Table) -> None:
    """Asked for a cookie only because reports were lost: the answer under the old keys settles it."""
    table.link.send(CONTROL)
    table.link.renew()
    while table.link.recv(0.05) is not None:
        pass
    assert table.link.key_changes == 0 and table.rekeyed == ["host"]


def test_keys_change_when_the_device_has_forgotten_them(table: Table) -> None:
    table.restart()
    table.link.send(CONTROL)
    table.link.renew()
    assert table.link.recv(0.05) is None
    assert table.link.key_changes == 1
    table.link.send(CONTROL)
    assert table.link.recv(0.05) == b"\x80\xccanswer"
    assert table.rekeyed == ["host", "host"]


def test_a_cookie_that_nobody_asked_for_changes_nothing(table: Table) -> None:
    from dredge_device.pi.security.session_keys import COOKIE, MAGIC, NONCE

    ignored = table.link.ignored
    for nonce in (bytes(NONCE), b""):
        table.far.send(MAGIC + bytes([COOKIE]) + nonce + bytes(20))
        assert table.link.recv(0.02) is None
    assert table.link.key_changes == 0 and table.link.ignored == ignored + 2


def test_a_device_that_does_not_answer_gets_nothing_but_openings() -> None:
    from dredge_device.pi.security.session_keys import MAGIC, OPEN
    from dredge_host.links.secure import SecureLink

    now = iter(np.arange(0, 100, 0.1))
    sent: queue.Queue[bytes] = queue.Queue()
    link = SecureLink(LoopLink(sent, queue.Queue()), bytes(32), clock=lambda: float(next(now)))
    with pytest.raises(UnreachableError, match="no device with this key"):
        link.send(rtp.build(0, 0, 1, b"speech"))
    assert sent.qsize() and all(sent.get().startswith(MAGIC + bytes([OPEN])) for _ in range(sent.qsize()))


# --- the receiver ---


class Clock:
    def __init__(self) -> None:
        self.now_us = 0

    def __call__(self) -> float:
        return self.now_us


def played(receiver: Receiver, clock: Clock, pieces: list[np.ndarray], lost: set[int], ssrc: int) -> list[Any]:
    """What is heard while a stream of these pieces comes in, and until it has been played; its first packet too."""
    sender = Sender(redundancy_s=0.5, ssrc=ssrc, first_sequence=100)
    receiver.announce(ssrc, 100, 0)
    out = []
    for number in range(len(pieces) + 12):
        if number < len(pieces):
            datagram = sender.push(pieces[number]).data
            if number not in lost:
                receiver.push(datagram, clock.now_us)
        out.append(receiver.pull())
        clock.now_us += 20_000
    return [period for period in out if period.packet is not None and period.packet < 100 + len(pieces)]


@pytest.mark.parametrize("how", ["keys", "sender"])
def test_a_new_stream_sounds_as_if_there_had_been_no_old_one(how: str) -> None:
    """Sample for sample, gaps included, which the vocoder fills from what was played before."""
    clock, other = Clock(), Clock()
    receiver, fresh = (Receiver(200, clock_us=c) for c in (clock, other))
    old = played(receiver, clock, SECRET[:60], {50, 51, 52}, ssrc=1)
    assert "dred" in {period.source for period in old}
    other.now_us = clock.now_us
    ssrc = 1 if how == "keys" else 2
    if how == "keys":
        receiver.rekeyed()
    lost = {0, 1, 14, 15, 16}
    heard, expected = (played(r, c, LATER[:40], lost, ssrc) for r, c in ((receiver, clock), (fresh, other)))
    heard = [p for p in heard if p.source != "silence"][-len(expected) :]
    assert [p.source for p in heard] == [p.source for p in expected]
    assert {"dred", "opus"} <= {p.source for p in heard}
    for ours, theirs in zip(heard, expected, strict=True):
        np.testing.assert_array_equal(ours.pcm, theirs.pcm)


def test_the_switchboard_tells_the_receiver_of_this_peer_only() -> None:
    told: list[str] = []

    class Heard:
        def __init__(self, name: str, peer: str, state: int) -> None:
            self.peer, self.state, self.name = peer, state, name
            self.media = self

        def rekeyed(self) -> None:
            told.append(self.name)

    board = Sessions(lambda index: StreamSession(Heard("first", "a", ACTIVE), None), 3)  # type: ignore[arg-type]
    board.streams += [StreamSession(Heard("other", "b", ACTIVE), None), StreamSession(Heard("idle", "a", IDLE), None)]  # type: ignore[arg-type]
    board.rekeyed("a")
    assert told == ["first"]


# --- muting by hand ---


def test_signals_mute_and_unmute_and_are_given_back() -> None:
    before = signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)
    with MuteSwitch(keys=open(os.devnull)) as muted:
        assert not muted()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGUSR1)
            assert muted()
        os.kill(os.getpid(), signal.SIGUSR2)
        assert not muted()
    assert (signal.getsignal(signal.SIGUSR1), signal.getsignal(signal.SIGUSR2)) == before


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Any]]:
    near, far = pty.openpty()
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: os.getpgrp())
    with os.fdopen(far, "r") as keys:
        yield near, keys
    os.close(near)


def test_the_key_mutes_in_turn_and_the_terminal_is_as_before(terminal: tuple[int, Any]) -> None:
    near, keys = terminal
    before = termios.tcgetattr(keys)
    with MuteSwitch(keys) as muted:
        assert not termios.tcgetattr(keys)[3] & (termios.ICANON | termios.ECHO)
        assert termios.tcgetattr(keys)[3] & termios.ISIG  # Ctrl-C still works
        for pressed, expected in ((b"m", True), (b"x", True), (b"mm", True), (b"m", False)):
            os.write(near, pressed)
            assert muted() is expected
    assert termios.tcgetattr(keys) == before


def test_in_the_background_the_terminal_is_not_touched(
    terminal: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    near, keys = terminal
    monkeypatch.setattr(os, "tcgetpgrp", lambda fd: -1)
    before = termios.tcgetattr(keys)
    with MuteSwitch(keys) as muted:
        os.write(near, b"m")
        assert termios.tcgetattr(keys) == before and not muted()
