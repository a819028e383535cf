# SPDX-License-Identifier: BSD-2-Clause
"""Sound cards, serial ports and permissions, on made-up device trees."""

import os
import resource
from pathlib import Path

import pytest

from dredge_device.pi.input.opus_abilities import OpusAbilities
from dredge_device.pi.machine import Machine
from dredge_host.doctor import devices, doctor
from dredge_host.doctor.finding import INFO, OK, WARN

PCM = """00-00: bcm2835 Headphones : bcm2835 Headphones : playback 8
01-00: MAI PCM i2s-hifi-0 : MAI PCM i2s-hifi-0 : playback 1
02-00: USB Audio : USB Audio : capture 1
"""


def put(root: Path, name: str, text: str = "", mode: int = 0o666) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def as_somebody(monkeypatch, allowed: set[str]) -> None:
    """Root may do everything, so the question is answered here: only these names are permitted."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path).name in allowed)


def test_cards_that_can_play(tmp_path):
    put(tmp_path, "proc/asound/pcm", PCM)
    assert devices.cards(tmp_path) == ["bcm2835 Headphones", "MAI PCM i2s-hifi-0"]


def test_a_card_nobody_may_open(tmp_path, monkeypatch):
    put(tmp_path, "proc/asound/pcm", PCM)
    put(tmp_path, "dev/snd/pcmC0D0p")
    as_somebody(monkeypatch, set())
    found = devices.examine(tmp_path)[0]
    assert found.state == WARN and "usermod -aG audio" in found.advice


def test_no_sound_card_is_no_problem(tmp_path):
    found = devices.examine(tmp_path)[0]
    assert found.state == INFO and "--out null" in found.value


@pytest.mark.parametrize("package", [True, False])
def test_playing_needs_a_package(tmp_path, monkeypatch, package):
    put(tmp_path, "proc/asound/pcm", PCM)
    put(tmp_path, "dev/snd/pcmC0D0p")
    monkeypatch.setattr(devices, "find_spec", lambda name: object() if package else None)
    found = devices.examine(tmp_path)[0]
    assert (found.state, "pip install sounddevice" in found.advice) == ((OK, False) if package else (INFO, True))


def test_a_link_and_its_port_are_one(tmp_path):
    put(tmp_path, "dev/ttyAMA0")
    (tmp_path / "dev/serial0").symlink_to("ttyAMA0")
    put(tmp_path, "dev/ttyUSB0")
    assert [port.name for port in devices.ports(tmp_path)] == ["serial0", "ttyUSB0"]


def serial(root):
    return [f for f in devices.examine(root) if f.name.startswith("serial")]


def test_port_without_permission(tmp_path, monkeypatch):
    put(tmp_path, "dev/ttyUSB0")
    put(tmp_path, "dev/ttyACM0")
    as_somebody(monkeypatch, {"ttyACM0"})
    states = {finding.value.split(":")[0]: finding.state for finding in serial(tmp_path)}
    assert states == {"/dev/ttyUSB0": WARN, "/dev/ttyACM0": OK}
    assert any("usermod -aG dialout" in finding.advice for finding in serial(tmp_path))


@pytest.mark.parametrize("console", ["serial0,115200", "ttyAMA0,115200"])
def test_port_with_the_console_on_it(tmp_path, console):
    put(tmp_path, "dev/ttyAMA0")
    (tmp_path / "dev/serial0").symlink_to("ttyAMA0")
    put(tmp_path, "proc/cmdline", f"console={console} console=tty1 root=/dev/mmcblk0p2\n")
    (found,) = serial(tmp_path)
    assert found.state == WARN and "raspi-config" in found.advice


def test_the_mini_uart_is_pointed_out(tmp_path):
    put(tmp_path, "dev/ttyS0")
    (tmp_path / "dev/serial0").symlink_to("ttyS0")
    (found,) = serial(tmp_path)
    assert found.state == INFO and "disable-bt" in found.advice


def test_no_ports(tmp_path):
    assert [finding.value for finding in serial(tmp_path)] == ["none"]


@pytest.mark.parametrize(("user", "limit", "state"), [(0, 0, OK), (1000, 50, OK), (1000, 0, INFO)])
def test_real_time_permission(tmp_path, monkeypatch, user, limit, state):
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (limit, limit))
    found = devices.examine(tmp_path)[-1]
    assert found.state == state and (state == OK or "LimitRTPRIO" in found.advice)


def vcgencmd(root, body):
    put(root, "usr/bin/vcgencmd", "#!/bin/sh\n" + body, mode=0o755)
    return Machine(root)


def test_firmware_is_asked_where_the_kernel_says_nothing(tmp_path):
    machine = vcgencmd(
        tmp_path,
        'case "$1" in get_throttled) echo throttled=0x50005;; measure_clock) echo "frequency(48)=1500398464";; esac\n',
    )
    assert machine.throttling == [
        "under-voltage now", "throttled now", "under-voltage since boot", "throttled since boot"
    ]  # fmt: skip
    assert machine.clock_mhz == pytest.approx(1500.4, abs=0.1)


@pytest.mark.parametrize("body", ["exit 1\n", "echo nonsense\n", "echo throttled=what\n"])
def test_a_firmware_without_an_answer_is_unknown(tmp_path, body):
    machine = vcgencmd(tmp_path, body)
    assert machine.throttling is None and machine.clock_mhz is None


@pytest.mark.parametrize(
    ("compatible", "part", "soc", "cpu"),
    [
        ("raspberrypi,model-zero-2-w\0brcm,bcm2837\0", "0xd03", "bcm2837", "Cortex-A53"),
        ("raspberrypi,4-model-b\0brcm,bcm2711\0", "0xd08", "bcm2711", "Cortex-A72"),
        ("raspberrypi,5-model-b\0brcm,bcm2712\0", "0xd0b", "bcm2712", "Cortex-A76"),
    ],
)
def test_chip_and_core(tmp_path, compatible, part, soc, cpu):
    put(tmp_path, "proc/device-tree/compatible", compatible)
    put(tmp_path, "proc/cpuinfo", f"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: {part}\n\nModel\t: Pi\n")
    assert (Machine(tmp_path).soc, Machine(tmp_path).cpu) == (soc, cpu)


@pytest.mark.parametrize(
    ("abilities", "state", "words"),
    [
        (OpusAbilities("libopus 1.3.1"), "ok", "LBRR and classic concealment; no DRED of its own"),
        (OpusAbilities("libopus 1.5.2", True), "ok", "concealment; may have a DRED of its own, which is not used"),
        (OpusAbilities("libopus 1.5.2", True, True), "ok", "concealment by a network (--opus-complexity 5); may"),
        (OpusAbilities("libopus 1.6.1", True, True, True), "ok", "enhanced speech (--opus-complexity 6 or 7); may"),
        (OpusAbilities("libopus 1.2.1"), "warn", "1.2.1"),
        (OpusAbilities("libopus unknown"), "ok", "not understood"),
    ],
)
def test_what_a_libopus_means(monkeypatch, abilities, state, words):
    monkeypatch.setattr(doctor, "opus_abilities", lambda: abilities)
    found = doctor._libopus()
    assert found.state == state and words in found.value
