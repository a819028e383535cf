# SPDX-License-Identifier: BSD-2-Clause
"""Facts about a machine, from made-up boards."""

import json
from pathlib import Path

import pytest

from dredge_device.pi.calibration.calibration import GIVEN
from dredge_device.pi.calibration.costs import PeriodCosts
from dredge_device.pi.machine import Machine
from dredge_host.doctor import doctor, works


def board(root: Path, **files: str) -> Machine:
    names = {
        "model": "proc/device-tree/model",
        "cpuinfo": "proc/cpuinfo",
        "governor": "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
        "clock": "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq",
        "temperature": "sys/class/thermal/thermal_zone0/temp",
        "throttled": "sys/devices/platform/soc/soc:firmware/get_throttled",
        "release": "etc/os-release",
    }
    for key, text in files.items():
        path = root / names[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Machine(root)


COSTS = PeriodCosts(1000, 30000, 8000, 5000, 9)


@pytest.fixture(autouse=True)
def measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The machine's costs are given, not measured; where the result is kept."""
    monkeypatch.setattr(works, "measure", lambda names: dict.fromkeys(names, COSTS))
    monkeypatch.setenv(GIVEN, str(tmp_path / "calibration.json"))
    return tmp_path / "calibration.json"


def found(machine: Machine) -> dict[str, doctor.Finding]:
    return {finding.name: finding for finding in doctor.examine(machine)}


def test_a_healthy_pi(tmp_path: Path) -> None:
    machine = board(
        tmp_path,
        model="Raspberry Pi 4 Model B Rev 1.5\0",
        cpuinfo="processor : 0\nBogoMIPS : 108\nModel : Raspberry Pi 4\n",
        governor="ondemand\n",
        clock="1800000\n",
        temperature="51234\n",
        throttled="0\n",
        release='NAME="x"\nPRETTY_NAME="Raspberry Pi OS 13"\n',
    )
    facts = machine.facts()
    assert facts["board"] == "Raspberry Pi 4 Model B Rev 1.5"
    assert facts["clock_mhz"] == 1800
    assert facts["temperature_c"] == pytest.approx(51.2, abs=0.1)
    assert facts["throttling"] == []
    assert facts["cpu"] == "Raspberry Pi 4"
    page = found(machine)
    assert page["temperature"].state == doctor.OK
    assert page["throttling"].state == doctor.OK
    assert "Raspberry Pi OS 13" in page["system"].value
    assert page["clock"].value == "1800 MHz"


def test_a_board_in_trouble_gets_advice(tmp_path: Path) -> None:
    page = found(board(tmp_path, governor="powersave", temperature="84000", throttled="50005\n"))
    for name in ("governor", "temperature", "throttling"):
        assert page[name].state == doctor.WARN, name
        assert page[name].advice
    assert "under-voltage now" in page["throttling"].value
    assert "throttled since boot" in page["throttling"].value


def test_nothing_known_is_no_failure(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    facts = machine.facts()
    assert facts["board"] is None
    assert facts["clock_mhz"] is None
    assert facts["throttling"] is None
    assert facts["cpu"]
    assert found(machine)["board"].state == doctor.INFO


def test_nonsense_in_files_is_unknown(tmp_path: Path) -> None:
    machine = board(tmp_path, clock="fast", temperature="\n", throttled="yes")
    assert machine.clock_mhz is None
    assert machine.temperature_c is None
    assert machine.throttling is None


def test_a_broken_part_is_a_finding_not_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Finding:
        raise ImportError("libopus.so.0: cannot open shared object file")

    monkeypatch.setattr(doctor, "_PARTS", [("libopus", broken)])
    findings = doctor.examine()
    document = doctor.result(findings)
    assert document["pass"] is False
    last = document["findings"][-2]  # behind it: the calibration
    assert last["state"] == "fail"
    assert "libopus.so.0" in last["value"]
    lines = doctor.page(findings)
    assert lines[-3].startswith("fail libopus")
    assert "reinstall" in lines[-2]


def test_the_page_says_what_the_board_can_do_and_keeps_it(
    measured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = board(tmp_path / "root", model="Raspberry Pi 3 Model B Plus\0")
    finding = found(machine)["calibration"]
    assert finding.state == doctor.OK and "vocoder 'standard', queue 1 periods" in finding.value
    document = json.loads(measured.read_text())
    assert finding.data == document and document["key"]["board"] == "Raspberry Pi 3 Model B Plus"
    assert doctor.result([finding])["findings"][0]["data"]["measured"]["small"]["first_us"] == 30000
    slow = PeriodCosts(4000, 90000, 30000, 9000, 2)
    monkeypatch.setattr(works, "measure", lambda names: dict.fromkeys(names, slow))
    finding = found(machine)["calibration"]
    assert finding.state == doctor.WARN and "in part" in finding.value and finding.advice
