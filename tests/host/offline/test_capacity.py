# SPDX-License-Identifier: BSD-2-Clause
"""The number of streams: found by the budget, not by the wall clock."""

import numpy as np
import pytest

from dredge_device import rtp
from dredge_host.offline import capacity as module
from dredge_host.offline.capacity import capacity
from dredge_host.settings import Settings

PCM = np.zeros(3200, np.int16)
CLASSIC = Settings(conceal="opus", redundancy_s=0.0, playout_ms=100, loss="20%")


@pytest.mark.parametrize("cost", [700, 1900, 9000, 21000])
def test_the_largest_number_within_the_period_is_found(monkeypatch, cost):
    monkeypatch.setattr(module, "_busy_us", lambda feed, settings, streams: [cost * streams] * 100)
    found = capacity(PCM, CLASSIC, 2.0)
    most = 20000 // cost
    assert most - max(1, most // 16) < found["streams"] <= most
    assert found["resolution"] <= max(1, found["streams"] // 16)
    if most:
        assert found["runs"][str(found["streams"])]["p99"] <= 20000


def test_streams_are_real_and_staggered(monkeypatch):
    made = []
    real = module.make_receiver

    def make(settings, clock):
        made.append(real(settings, clock))
        return made[-1]

    monkeypatch.setattr(module, "make_receiver", make)
    feed = module._feed(PCM, CLASSIC, 4.0)
    busy = module._busy_us(feed, CLASSIC, 3)
    assert len(busy) == len(feed) == 200 and min(busy) >= 0
    reports = [receiver.report() for receiver in made]
    for report in reports:
        assert report["sources"]["opus"] > 100 and report["sources"]["conceal"] > 10
        assert report["packets"]["restarts"] == report["packets"]["bad_timestamp"] == 0
    firsts = [report["stream"]["highest"] for report in reports]
    assert firsts[0] - firsts[1] == pytest.approx(module.STAGGER, abs=8)


def test_the_repeated_feed_is_one_stream():
    data = rtp.build(3, 2880, 9, b"\x48abc")
    again = rtp.parse(module._renumbered(data, 70000))
    assert (again.sequence, again.timestamp, again.payload) == (70000 & 0xFFFF, 70000 * 960, b"\x48abc")
