# SPDX-License-Identifier: BSD-2-Clause
"""What a level does to the streams: fake parts whose work takes as long as they say, under one fake clock."""

import numpy as np
import pytest
from device_fakes import Bench, FakeDecoder, FakeVocoder, fake_parts, packet

from dredge_device import control, rtp
from dredge_device.agent import Agent
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service import governor
from dredge_device.pi.service.governor import CLASSIC, CLOSED, FULL, HURRIED, SMALL, Governor
from dredge_device.pi.service.sessions import Sessions, StreamSession

OPTIONS = {"playout_ms": 200, "adaptive": False, "conceal": "dred", "lbrr": True}
STEEP = 1500  # a step between two samples that would be heard as a click


def bench(efforts, count=60, lost=(), **more):
    """A receiver with two vocoders that plays with efforts[period], FULL beyond; everything played by packet."""
    parts = fake_parts()
    parts.economy = FakeVocoder()
    table = Bench(parts=parts, **more)
    played = {}
    for step in range(count + 10):
        if step < count and step not in lost:
            table.send(step)
        frame = table.receiver.pull(efforts.get(step - 10, FULL))
        table.now += 0.02
        if frame.packet is not None:
            played[frame.packet] = frame
    return parts, played, table.receiver


def sources(played, numbers):
    return [played[n].source for n in numbers]


def test_a_level_holds_for_gaps_that_begin_in_it():
    efforts = {n: CLASSIC for n in range(12, 32)}
    parts, played, receiver = bench(efforts, lost={10, 11, 12, 13, 20, 21, 40})
    assert sources(played, [10, 11, 12, 13]) == ["dred"] * 4  # it had begun before
    assert sources(played, [20, 21]) == ["conceal"] * 2 and played[20].reason == governor.OVERLOAD
    assert sources(played, [40]) == ["dred"]
    assert sorted(played) == list(range(60))  # one frame per period, whatever the level
    assert receiver.report()["load"]["classic"] == 20
    assert receiver.report()["reasons"] == {governor.OVERLOAD: 2}
    assert not parts.economy.begun and len(parts.vocoder.begun) == 2


def test_the_small_vocoder_takes_over_at_the_start_of_a_gap():
    efforts = {n: SMALL for n in range(12, 32)}
    parts, played, _ = bench(efforts, lost={10, 11, 12, 13, 20, 21, 30, 31, 32, 33, 40})
    assert set(sources(played, [10, 13, 20, 21, 33, 40])) == {"dred"}
    assert len(parts.vocoder.begun) == 2 and len(parts.economy.begun) == 2
    # Both speak of what the redundancy says: the number of the frame is in the samples.
    assert played[21].pcm[0] == 42 and played[33].pcm[0] == 66


def test_without_a_cheaper_vocoder_the_one_there_is_goes_on():
    table = Bench()
    for step in range(30):
        if step != 12:
            table.send(step)
        played = table.receiver.pull(SMALL)
        table.now += 0.02
        assert played.packet is None or played.source == ("dred" if played.packet == 12 else "opus")
    assert len(table.parts.vocoder.begun) == 1


def test_who_must_hurry_leaves_a_gap_at_once_and_without_a_click():
    lost = {10, 11, 12, 13, 14}
    parts, played, _ = bench({12: HURRIED}, lost=lost)
    assert sources(played, range(10, 16)) == ["dred", "dred", "conceal", "conceal", "conceal", "opus"]
    before, after = played[11].pcm, played[12].pcm
    assert abs(int(after[0]) - int(before[-1])) < 5 and after[-1] == 77
    assert len(parts.vocoder.begun) == 1  # the gap is not taken up again: that would be dearer still


def test_who_must_hurry_when_speech_comes_back_skips_the_join():
    parts, played, _ = bench({12: HURRIED}, lost={10, 11})
    assert sources(played, range(9, 14)) == ["opus", "dred", "dred", "opus", "opus"]
    assert abs(int(played[12].pcm[0]) - int(played[11].pcm[-1])) < 60
    assert len(parts.vocoder.rows) == 2  # no tail
    assert played[12].pcm[-1] == 1012


@pytest.mark.parametrize("effort", [SMALL, CLASSIC, CLOSED, HURRIED])
def test_what_arrived_is_decoded_at_every_level(effort):
    _, played, receiver = bench({n: effort for n in range(60)}, lost={30})
    assert [n for n in played if played[n].source == "opus"] == [n for n in range(60) if n != 30]
    assert receiver.report()["sources"]["opus"] == 59


def test_a_stream_that_stands_still_is_concealed_cheaply_too():
    table = Bench(parts=fake_parts())
    table.receiver = Receiver(500, adaptive=True, clock=lambda: table.now, parts=table.parts)
    for step in range(60):
        if step < 20:
            table.send(step)
        table.receiver.pull(CLASSIC)
        table.now += 0.02
    assert not table.parts.vocoder.begun and table.parts.decoder.calls.count(("conceal",)) > 5


class Costly:
    """A part of fake_parts whose calls move the clock."""

    def __init__(self, part, clock, costs):
        self._part, self._clock, self._costs = part, clock, costs

    def __getattr__(self, name):
        call = getattr(self._part, name)

        def timed(*arguments, **named):
            self._clock[0] += self._costs.get(name, 0)
            return call(*arguments, **named)

        return timed


class Ear:
    def __init__(self):
        self.pieces = []

    def write(self, pcm, spoken):
        if spoken:
            self.pieces.append(pcm)

    def close(self):
        return {}

    def discard(self):
        pass


class Room:
    """A device with many streams whose packets are staggered; time is made of the work and of waiting."""

    DECODE, DEAR, CHEAP = 280, 2000, 1200  # us: a packet, 20 ms of each vocoder

    def __init__(self, most=100):
        self.clock = [0]
        self.governor = Governor(lambda: self.clock[0], lambda: self.clock[0])
        self.streams = Sessions(self._station, most, self.governor)
        self.begun, self.costs = 0, []

    def _parts(self):
        parts = fake_parts()
        parts.decoder = Costly(FakeDecoder(), self.clock, {"decode": self.DECODE, "conceal": 250})
        parts.vocoder = Costly(parts.vocoder, self.clock, {"begin": self.DEAR, "synthesise": self.DEAR})
        parts.economy = Costly(FakeVocoder(), self.clock, {"begin": self.CHEAP, "synthesise": self.CHEAP})
        return parts

    def _station(self, index):
        def receiver(options):
            return Receiver(options["playout_ms"], clock=lambda: self.begun / 1e6, parts=self._parts())

        return StreamSession(Agent(receiver, OPTIONS, {"ok": True}), Ear())

    def run(self, hosts, periods, lost):
        """Hosts 0 … send one packet per period; lost(host, n) tells which do not arrive."""
        for n in range(periods):
            self.begun = self.clock[0] = max(self.clock[0], 20000 * n)
            self.governor.begin()
            for host in range(hosts):
                if not lost(host, n):
                    self.streams.handle(rtp.build(n, 960 * n, 7, packet(n)), host, self.begun)
            self.streams.period(self.begun)
            self.governor.end()
            self.costs.append(self.clock[0] - self.begun)

    def frames(self):
        return [len(station.output.pieces) for station in self.streams.stations]


def fifth(host, n):
    """20 % lost in bursts of five, at another time for every host."""
    return n > 0 and (n + 7 * host) % 25 < 5


def test_within_the_rating_nothing_is_taken_away():
    room = Room()
    room.run(8, 500, fifth)
    report = room.governor.report()
    assert report["changes"] == [] and report["hurried"] == report["overruns"] == report["refused"] == 0
    assert max(room.costs) <= governor.HIGH_US
    assert room.frames() == [500 - 10] * 8


@pytest.mark.parametrize(("hosts", "order"), [(21, ["small"]), (34, ["small", "classic"]),
                                              (62, ["small", "classic", "closed"])])  # fmt: skip
def test_beyond_the_rating_quality_goes_in_order_and_timing_never(hosts, order):
    room = Room()
    room.run(hosts, 200, fifth)
    report = room.governor.report()
    assert [name for _, name in report["changes"]] == order
    # Every period ended in time, except that nobody can know what the very first gap will cost.
    assert report["overruns"] <= 1 and sorted(room.costs)[-2] <= governor.GUARD_US + 1000
    assert room.frames() == [200 - 10] * hosts  # one frame per period for everybody
    for station in room.streams.stations:
        counts = station.agent.receiver.report()
        assert counts["sources"]["opus"] == counts["packets"]["expected"] - counts["packets"]["lost"]
        assert 190 < sum(counts["load"].values()) < 200  # a stream begins with the second packet that arrives


def test_the_guard_is_fair():
    room = Room()
    room.run(34, 60, fifth)  # before the levels have helped
    assert room.governor.hurried > 34
    shares = [station.agent.receiver.report()["load"]["hurried"] for station in room.streams.stations]
    assert max(shares) <= 3 * np.median(shares) + 3


def test_a_new_host_is_refused_and_those_there_go_on():
    room = Room()
    room.run(62, 200, fifth)
    assert room.governor.level == CLOSED
    hello = control.build(control.Message(control.HELLO, 5))
    (answer,) = room.streams.handle(hello, "stranger", room.clock[0])
    document = control.parse(answer)[0].document()
    assert document["ok"] is False
    assert document["error"].startswith("the device is at its load limit: it has 62 streams")
    media = rtp.build(0, 0, 9, packet(0))
    assert room.streams.handle(media, "stranger", room.clock[0]) == []
    assert room.streams.handle(b"\x80\xcc garbage", "stranger", room.clock[0]) == []
    assert room.governor.refused == 1 and len(room.streams.stations) == 62
    (answer,) = room.streams.handle(control.build(control.Message(control.BYE, 6)), "stranger", room.clock[0])
    assert control.parse(answer)[0].document() == {"ok": True}  # whose first answer was lost may still go
    (answer,) = room.streams.handle(hello, 3, room.clock[0])  # one that is there already
    assert control.parse(answer)[0].document()["ok"]
    assert all(station.agent.peer != "stranger" for station in room.streams.stations)


def test_after_the_rush_everything_comes_back():
    room = Room()
    room.run(34, 200, fifth)
    assert room.governor.level == CLASSIC
    room.streams.interrupt()
    room.streams.give_up()
    began = room.clock[0]
    for n in range(2 * (governor.PATIENCE + governor.SETTLE)):
        room.clock[0] = began + 20000 * n
        room.governor.begin()
        room.streams.period(room.clock[0])
        room.governor.end()
    assert room.governor.level == FULL and room.streams.sessions_ended == 34
