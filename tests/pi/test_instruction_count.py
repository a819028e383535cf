# SPDX-License-Identifier: BSD-2-Clause
"""Instructions of the receive path by class of period (`make count-pi`)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from instruction_count import emulated, guest  # noqa: E402
from instruction_count.breakdown import breakdown, part  # noqa: E402
from instruction_count.cases import CASES, WARM_UP, cases_of  # noqa: E402
from instruction_count.emulated import Counted  # noqa: E402
from instruction_count.table import lines  # noqa: E402

LIBRARIES = [(0x1000, 0x2000, "/site/dredge_kernels/lpcnet.abi3.so"), (0x3000, 0x4000, "/usr/bin/python3.11")]
SOURCES = [("opus", "opus"), ("dred", "opus"), ("dred", "dred"), ("opus", "dred"), ("plc", "dred")]
CLASSES = [("", guest.EMPTY, "opus", "opus"), *[("small", "dred", *both) for both in SOURCES]]


def counted(periods, runs=None):
    return Counted(CLASSES, "neon", LIBRARIES, periods, runs or {})


@pytest.fixture(scope="module")
def cases():
    return cases_of(CASES)


def test_periods_are_named_by_what_they_are_filled_from_and_what_was_before(cases):
    result = breakdown(counted([(2, 100), (3, 900), (4, 300), (4, 500), (5, 200), (6, 70)]), cases)["small"]
    assert {name: figures["mean"] for name, figures in result.items()} == {
        "dred_plain": 100, "dred_first": 900, "dred_next": 400, "dred_after": 200, "dred_other": 70, "dred_mean": 345,
    }  # fmt: skip
    assert (result["dred_next"]["least"], result["dred_next"]["most"], result["dred_mean"]["periods"]) == (300, 500, 6)


def test_what_the_marks_take_is_not_counted(cases):
    result = breakdown(counted([(1, 40), (1, 60), (2, 1050)]), cases)["small"]
    assert result["dred_plain"]["mean"] == 1000


def test_instructions_belong_to_the_library_they_lie_in(cases):
    runs = {0x1010: {2: 600}, 0x3010: {2: 200, 3: 5}, 0x9000: {2: 100}}
    by = breakdown(counted([(2, 450), (2, 450)], runs), cases)["small"]["dred_plain"]["by"]
    assert by == {"lpcnet": 300, "interpreter": 100, "other": 50}


def test_parts_have_names_for_people():
    names = {"/a/dredge_kernels/features.abi3.so": "features", "/a/dredge_kernels/laplace.abi3.so": "other kernels",
             "/a/dredge_audio.libs/libopus-1f.so.0": "libopus", "/l/libc.so.6": "interpreter", "[vdso]": "interpreter",
             "/n/_multiarray_umath.cpython-311-aarch64-linux-gnu.so": "NumPy"}  # fmt: skip
    assert {path: part(path) for path in names} == names


def test_a_table_shows_an_earlier_run_beside_this_one(cases):
    result = breakdown(counted([(2, 400_000)]), cases)
    earlier = {"small": {"dred_plain": {"mean": 1_160_000}}}
    head, row, *_ = lines(result, earlier)
    assert "before" in head and "1.16" in row and "0.40" in row
    assert "before" not in lines(result, {})[0]


def test_cases_lose_what_their_names_say(cases):
    for case in cases:
        assert len(case.lost) == len(case.data) and not any(case.lost[:WARM_UP])
        assert 0.1 < sum(case.lost) / (len(case.lost) - WARM_UP) < 0.9


def test_the_guest_and_the_plugin_agree():
    header = (ROOT / "scripts/instruction_count/qemu_plugin.h").read_text()
    assert f"#define MARK {guest.MARK} " in header
    assert f"#define CLASSES {guest.MOST_CLASSES + 1}\n" in (emulated.HERE / "counter.c").read_text()
    numbers = guest.Numbers()
    with pytest.raises(OverflowError):
        [numbers[key] for key in range(guest.MOST_CLASSES + 1)]


def test_every_class_of_the_table_occurs(cases, tmp_path):
    """The program of the emulated processor, on this one: marks are refused, classes are the same."""
    case = next(case for case in cases if case.name == "dred")
    (tmp_path / "cases").write_bytes(emulated.pickled(["small"], [case]))
    guest.main(str(tmp_path / "cases"), str(tmp_path / "said"))
    said = json.loads((tmp_path / "said").read_text())
    sources = ("opus", "dred")
    classes = {tuple(name) for name in said["classes"]}
    assert classes == {("", guest.EMPTY, "opus", "opus"), *[("small", "dred", a, b) for a in sources for b in sources]}
    assert any("lpcnet" in path for _, _, path in said["libraries"])


@pytest.mark.skipif(not shutil.which("qemu-aarch64") or not shutil.which("aarch64-linux-gnu-gcc"),
                    reason="needs both: apt-get install gcc-aarch64-linux-gnu qemu-user")  # fmt: skip
def test_the_plugin_counts_what_ran_between_two_marks(tmp_path):
    """A program whose loop has a known number of instructions."""
    source = tmp_path / "program.c"
    source.write_text(
        "#include <unistd.h>\n#include <sys/syscall.h>\nint main(void){syscall(24301,0L);"
        '__asm__ volatile("mov x9,#1000\\n1: nop\\nsubs x9,x9,#1\\nb.ne 1b\\n":::"x9","cc");'
        "syscall(24301,2L);syscall(24301,1L);return 0;}\n"
    )
    program, plugin, out = tmp_path / "program", tmp_path / "counter.so", tmp_path / "counts"
    subprocess.run(["aarch64-linux-gnu-gcc", "-O2", "-static", source, "-o", program], check=True)
    emulated.build_plugin(emulated.HERE / "counter.c", plugin)
    subprocess.run(["qemu-aarch64", "-plugin", f"{plugin},out={out}", program], check=True)
    rows = [line.split() for line in out.read_text().splitlines()]
    periods = {row[1]: int(row[2]) for row in rows if row[0] == "period"}
    assert 3000 <= periods["2"] < 3100 and periods["1"] < 100
    loop = max(int(word.split(":")[1]) for row in rows if row[0] == "run" for word in row[2:])
    assert loop in (2997, 3000)
