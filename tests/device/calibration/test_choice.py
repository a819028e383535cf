# SPDX-License-Identifier: BSD-2-Clause
"""What is chosen for a board, from costs that were measured elsewhere; one real measurement of this machine."""

import json
import os
import subprocess
import sys

import pytest

from dredge_device.pi.calibration.calibration import GIVEN, Calibration, calibrate, default_places, key_of
from dredge_device.pi.calibration.choice import CANDIDATES, choose, queue_periods
from dredge_device.pi.calibration.costs import BURSTS, GAPS, PeriodCosts
from dredge_device.pi.machine import Machine
from dredge_device.pi.quality import AFTER, FIRST, FULL, NEXT, PLAIN, SMALL
from dredge_device.pi.service.building import expected_costs
from dredge_device.pi.service.governor import Governor

# Million instructions per period on NEON (Cortex-A53), counted under emulation: received, first of a gap, next, after.
STANDARD, SMALL_ONE = (1.16, 33.5, 10.6, 8.2), (1.16, 26.3, 7.7, 6.7)


def board(mips):
    """Costs on a board of so many million instructions per second."""
    return {name: PeriodCosts(*(1e6 * work / mips for work in works), 9)
            for name, works in (("standard", STANDARD), ("small", SMALL_ONE))}  # fmt: skip


@pytest.mark.parametrize(
    ("mips", "vocoder", "queue", "fits"),
    [
        (350, "small", 4, False),
        (500, "small", 3, True),  # a Pi Zero 2 W
        (700, "standard", 2, True),  # a Pi 3B+
        (1000, "standard", 2, True),  # a slow Pi 4
        (2000, "standard", 1, True),
        (20000, "standard", 0, True),
    ],
)
def test_every_board_gets_the_best_vocoder_that_keeps_up(mips, vocoder, queue, fits):
    choice = choose(board(mips))
    assert (choice.vocoder, choice.queue, choice.fits) == (vocoder, queue, fits)
    assert choice.levels[-1] == "classic" and choice.levels[0] == "full"
    assert ("small" in choice.levels) == (vocoder == "standard")
    assert f"'{vocoder}'" in choice.why and ("in part" in choice.why) == (not fits)


def test_a_board_that_is_too_slow_for_any_vocoder_is_told_so():
    choice = choose(board(100))
    assert choice.vocoder == "small" and choice.levels == ("classic",) and choice.streams == 0 and not choice.fits


def test_the_load_is_that_of_the_pattern():
    costs = PeriodCosts(1000, 30000, 10000, 5000)
    assert costs.load(BURSTS) == pytest.approx((19 * 1 + 30 + 4 * 10 + 5) / (25 * 20))
    assert costs.load(GAPS) == pytest.approx((9 * 1 + 30 + 49 * 10 + 5) / (60 * 20))


def test_the_queue_is_as_long_as_the_first_period_of_a_gap_needs():
    firsts = (15_000, 16_001, 32_001, 1_000_000)
    assert [queue_periods(PeriodCosts(1, first, 1, 1)) for first in firsts] == [0, 1, 2, 15]


@pytest.fixture
def measured():
    """A measurement that takes no time, and how often it was made."""
    calls = []

    def measure(vocoders):
        calls.append(vocoders)
        return board(500)

    measure.calls = calls
    return measure


def test_a_calibration_is_kept_until_something_changes(tmp_path, measured, monkeypatch):
    places = [tmp_path / "no/such" / ("x" * 300), tmp_path / "cache/calibration.json"]
    first = calibrate(measure=measured, places=places)
    again = calibrate(measure=measured, places=places)
    assert len(measured.calls) == 1 and not first.cached and again.cached and again.costs == first.costs
    assert again.choice == first.choice and "(measured before)" in again.line() and "(measured now)" in first.line()
    document = json.loads(places[1].read_text())
    assert document["schema"] == "dredge.calibration/1" and document["vocoder"] == "small" and document["key"]["simd"]
    calibrate(measure=measured, places=places, anew=True)
    monkeypatch.setattr("dredge_device.pi.calibration.calibration._version", lambda: "another")
    calibrate(measure=measured, places=places)
    assert len(measured.calls) == 3


@pytest.mark.parametrize("change", ["", "{", "[]", '{"schema": 1}', "costs", "key", "vocoder"])
def test_a_file_that_is_not_a_calibration_is_measured_again(change, tmp_path, measured):
    path = tmp_path / "calibration.json"
    calibrate(measure=measured, places=[path])
    document = json.loads(path.read_text())
    if change == "costs":
        document["measured"]["small"]["next_us"] = -1
    elif change == "key":
        document["key"]["cpu"] = "another"
    elif change == "vocoder":
        del document["measured"]["standard"]
    path.write_text(json.dumps(document) if change.isalpha() else change)
    assert not calibrate(measure=measured, places=[path]).cached and len(measured.calls) == 2


def test_places_are_deploy_s_file_the_service_s_folder_the_user_s(monkeypatch):
    for name in (GIVEN, "CACHE_DIRECTORY", "STATE_DIRECTORY", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/u")
    assert [str(path) for path in default_places()] == ["/home/u/.cache/dredge/calibration.json"]
    monkeypatch.setenv(GIVEN, "/opt/dredge/calibration.json")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/dredge:/var/lib/other")
    assert [str(path) for path in default_places()][:2] == [
        "/opt/dredge/calibration.json", "/var/lib/dredge/calibration.json"]  # fmt: skip
    monkeypatch.setenv(GIVEN, "none")
    assert default_places() == []


def test_the_governor_begins_with_what_was_measured():
    kept = Calibration({}, board(500))
    governor = Governor(lambda: 0, lambda: 0, expected_costs("standard", kept))
    costs = governor.costs
    assert costs.of(PLAIN, FULL) == pytest.approx(2320) and costs.of(FIRST, FULL) == pytest.approx(67_000)
    assert costs.of(NEXT, SMALL) == pytest.approx(15_400) and costs.of(AFTER, FULL) == pytest.approx(16_400)
    assert governor.reserve_us(FIRST, 0) == 20_000 * queue_periods(kept.costs["standard"])
    costs.add(FIRST, FULL, 10_000)
    governor.restart()
    assert governor.costs.of(FIRST, FULL) == pytest.approx(67_000), "the next session begins with it too"
    assert expected_costs("fargan", kept) == (None, None) and expected_costs("small", kept)[1] is None


def test_this_machine_measured():
    """The real path: the first period of a gap is dearer than the next ones, those dearer than a received one."""
    found = calibrate()
    assert set(found.costs) == set(CANDIDATES)
    for costs in found.costs.values():
        assert costs.gaps >= 1 and costs.first_us > costs.next_us > costs.plain_us > 0, costs
        assert costs.after_us > costs.plain_us
    assert found.choice.vocoder in CANDIDATES and found.key == key_of(Machine())


def test_an_agent_chooses_for_itself_and_takes_what_it_knows_the_next_time(tmp_path):
    """Real processes: the first one measures, the second one does not."""
    words = [sys.executable, "-m", "dredge_device", "--listen", "udp://127.0.0.1:0", "--vocoder", "auto"]
    words += ["--seconds", "0.1"]
    place = tmp_path / "calibration.json"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), GIVEN: str(place),
                   "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}  # fmt: skip
    said = [subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120, check=True).stderr
            for _ in range(2)]  # fmt: skip
    chosen = json.loads(place.read_text())["vocoder"]
    assert "(measured now)" in said[0] and "(measured before)" in said[1]
    for text in said:
        assert f"vocoder {chosen}, output null" in text and f"vocoder '{chosen}', queue" in text
