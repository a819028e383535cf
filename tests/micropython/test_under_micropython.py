# SPDX-License-Identifier: BSD-2-Clause
"""The portable tests give the same results under CPython, MicroPython, and MicroPython with the words of a board."""

from __future__ import annotations

import json
import sys

import interpreters
import make_vectors
import mpy
import pytest

ARM_HEAP = ["-X", f"heapsize={interpreters.HEAP}"]


def test_all_modules_are_found():
    assert {"test_mp_line", "test_mp_core", "test_mp_dred", "test_mp_board"} <= set(interpreters.MODULES)


@pytest.mark.parametrize("module", interpreters.MODULES)
def test_micropython_gives_the_results_of_cpython(module):
    command = interpreters.need(interpreters.native())
    here = interpreters.run([sys.executable], "runner.py", module)
    assert all(line.startswith("ok ") for line in here) and here
    assert interpreters.run(command, "runner.py", module) == here


@pytest.mark.parametrize("module", interpreters.MODULES)
def test_32_bit_micropython_with_the_heap_of_a_board_gives_them_too(module):
    command = interpreters.need(interpreters.arm())
    here = interpreters.run([sys.executable], "runner.py", module)
    assert interpreters.run([*command, *ARM_HEAP], "runner.py", module) == here


def test_runner_reports_a_failure(tmp_path):
    """The runner would be worthless if a failing test went unnoticed."""
    (tmp_path / "runner.py").write_text((interpreters.PORTABLE / "runner.py").read_text())
    (tmp_path / "test_mp_bad.py").write_text("def test_no():\n    assert 1 == 2\n")
    for command in ([sys.executable], interpreters.native()):
        if command is not None:
            with pytest.raises(AssertionError, match="not ok test_mp_bad test_no"):
                interpreters.run(command, str(tmp_path / "runner.py"), "test_mp_bad")


@pytest.mark.parametrize("script", ["heap_check.py", "heap_check_audio.py", "heap_check_radio.py"])
@pytest.mark.parametrize("which", ["native", "arm"])
def test_packet_path_takes_no_heap(which, script):
    command = interpreters.need(interpreters.native() if which == "native" else interpreters.arm())
    lines = interpreters.run([*command, *(ARM_HEAP if which == "arm" else [])], script)
    taken = {name: value for name, value in (line.split() for line in lines)}
    assert taken.pop("locked") == "ok"
    assert len(taken) >= (8 if script == "heap_check.py" else 2)
    assert {name: value for name, value in taken.items() if float(value) != 0} == {}


def test_heap_check_would_notice_an_allocation(tmp_path):
    """The same script with one line that makes a bytes object per packet."""
    command = interpreters.need(interpreters.native())
    text = (interpreters.PORTABLE / "heap_check.py").read_text()
    changed = text.replace("    meter.frame(n, times)\n", "    meter.frame(n, times)\n    bytes(100)\n")
    assert changed != text
    (tmp_path / "heap_check.py").write_text(changed)
    (tmp_path / "heap.py").write_text((interpreters.PORTABLE / "heap.py").read_text())
    lines = interpreters.run(command, str(tmp_path / "heap_check.py"))
    assert float(next(line for line in lines if line.startswith("budget.frame")).split()[1]) >= 100


def test_vectors_are_current():
    """Headers and offsets in dred_vectors.json are what the product writes today."""
    there = json.loads(make_vectors.FILE.read_text())
    made = make_vectors.make()
    assert [p["head"] for p in there["packets"]] == [p["head"] for p in made["packets"]]
    assert there["short_covers"] == made["short_covers"]


def test_every_file_compiles_for_the_boards():
    table = mpy.sizes()
    assert {"dredge_device/rtp.py", "dredge_device/agent.py", "dredge_board/uart_framing.py"} <= set(table)
    assert not any(name.startswith("dredge_device/pi") for name in table)
    assert all(0 < size < 8192 for row in table.values() for size in row.values())
    total = {arch: sum(row[arch] for row in table.values()) for arch in ("armv6m", "armv7emsp")}
    assert all(size < 64 * 1024 for size in total.values()), total
