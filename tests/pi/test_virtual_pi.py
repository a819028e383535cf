# SPDX-License-Identifier: BSD-2-Clause
"""The parts of the virtual board that this machine can check without booting one (`make test-pi` boots it)."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from waiting import until

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from virtual_pi import __main__ as command  # noqa: E402
from virtual_pi import board, goals, table  # noqa: E402
from virtual_pi.boot_image import layers, wheel  # noqa: E402
from virtual_pi.boot_image.cpio import Cpio, Skip  # noqa: E402
from virtual_pi.boot_image.prepare import TOOLS  # noqa: E402
from virtual_pi.figures import Cell, replayed  # noqa: E402
from virtual_pi.row_file import RowFile, read  # noqa: E402
from virtual_pi.runner import Runner  # noqa: E402
from virtual_pi.stream import Speech  # noqa: E402


def entries(data: bytes) -> dict[str, tuple[int, bytes]]:
    """Name to (mode, content) of a newc archive, read by the format's description (cpio(5))."""
    found, at = {}, 0
    while True:
        assert data[at : at + 6] == b"070701"
        mode, size, length = (int(data[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in (1, 6, 11))
        name = data[at + 110 : at + 110 + length - 1].decode()
        at += (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return found
        found[name] = (mode, data[at : at + size])
        at += (size + 3) // 4 * 4


def row(**other):
    good = {"mips": 500, "model": "small", "loss": table.BURSTS, "playout": "fixed:1000"}
    return {**good, "share": 100.0, "late_periods": 0, "underruns": 0, **other}


@pytest.mark.parametrize("mips", [16, 100, 350, 500, 512.5, 700, 999, 1000, 1001, 1500, 2000, 4000])
def test_a_second_of_the_guest_is_so_many_instructions(mips):
    shift, frequency = board.rate(mips)
    instructions_per_qemu_second = 1e9 / 2**shift
    assert instructions_per_qemu_second * frequency / 1e9 == pytest.approx(mips * 1e6, rel=1e-6)


def test_a_speed_that_qemu_cannot_show_is_refused():
    for mips in (0, 15, 4001):
        with pytest.raises(ValueError, match="expected 16 to 4000"):
            board.rate(mips)


def test_image_holds_a_tree_without_what_is_skipped(tmp_path):
    (tmp_path / "keep/tests").mkdir(parents=True)
    (tmp_path / "keep/tests/no.py").write_text("")
    (tmp_path / "keep/yes.py").write_text("print()")
    (tmp_path / "keep/dredge_a").write_text("not at the top")
    (tmp_path / "dredge_b").mkdir()
    (tmp_path / "header.h").write_text("")
    (tmp_path / "link").symlink_to("keep/yes.py")
    (tmp_path / "folder-link").symlink_to("keep")
    skip = Skip(paths=["keep/none"], anywhere=["tests"], ends=[".h"], starts=["dredge_"])

    def made() -> bytes:
        file = io.BytesIO()
        cpio = Cpio(file)
        cpio.tree(tmp_path, "site", skip)
        cpio.close()
        return file.getvalue()

    first = made()
    there = entries(first)
    assert set(there) == {"site/keep", "site/keep/yes.py", "site/keep/dredge_a", "site/link", "site/folder-link"}
    assert there["site/keep/yes.py"][1] == b"print()"
    assert stat.S_ISLNK(there["site/folder-link"][0]) and there["site/folder-link"][1] == b"keep"
    assert stat.S_ISDIR(there["site/keep"][0])
    os.utime(tmp_path / "keep/yes.py", (1, 1))
    assert made() == first, "the image depends on file times"


@pytest.mark.skipif(shutil.which(f"python{layers.PYTHON}") is None, reason=f"this machine has no python{layers.PYTHON}")
def test_layer_has_bytecode_that_no_file_time_makes_stale(tmp_path, monkeypatch):
    monkeypatch.setenv("DREDGE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "source").mkdir()
    (tmp_path / "source/module.py").write_text("def where(): return 1\n")

    def made() -> bytes:
        with layers._layer("one.cpio") as layer:
            if layer.cpio is not None:
                layer.add_python(tmp_path / "source", "site", Skip())
        return layer.path.read_bytes()

    first = made()
    compiled = next(data for name, (_, data) in entries(first).items() if name.endswith(".pyc"))
    assert compiled[4:8] == b"\x01\0\0\0", "not a hash that nobody checks (PEP 552)"
    assert b"/site/module.py" in compiled and str(tmp_path).encode() not in compiled
    (tmp_path / "source/module.py").unlink()
    assert made() == first, "the layer was made again"
    assert not [path for path in (tmp_path / "cache/pi").iterdir() if path.name != "layers"], "scratch was left"


def test_wheel_is_found_again_until_a_source_changes(tmp_path, monkeypatch):
    for name in wheel.SOURCES:
        path = tmp_path / name
        if (ROOT / name).is_dir():
            path.mkdir(parents=True, exist_ok=True)
            (path / "module.pyx").write_text("a")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("b")
    monkeypatch.setattr(wheel, "ROOT", tmp_path)
    before = wheel.sources_hash()
    (tmp_path / "firmware/module.c").write_text("made from module.pyx")
    (tmp_path / "firmware/module.so").write_text("made from module.c")
    assert wheel.sources_hash() == before
    (tmp_path / "firmware/module.pyx").write_text("c")
    assert wheel.sources_hash() != before


def test_same_seed_gives_the_same_packets_and_losses():
    one, two = (Speech().stream(1.0, table.BURSTS, 3) for _ in range(2))
    assert one == two and len(one.data) == 50
    assert Speech().stream(25.0, table.GAPS, 3).lost.count(True) > 0.97 * 1250


def said_here(folder: Path, cell: Cell) -> dict:
    """What the board's job says when it runs on this machine."""
    shutil.copytree(ROOT / "scripts/virtual_pi/guest", folder, dirs_exist_ok=True)
    (folder / "settings.json").write_text(json.dumps(asdict(cell)))
    done = subprocess.run([sys.executable, folder / "job.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1].removeprefix(board.MARK))


def test_job_reports_what_the_real_agent_did(tmp_path):
    """The board's own job, here: it starts an agent, replays packets, and its figures add up."""
    cell = Cell(1000, "small", table.BURSTS, playout="fixed:200", seconds=3.0)
    stream = Speech().stream(cell.seconds, cell.loss, cell.seed)
    (tmp_path / "stream.pkl").write_bytes(stream.pickled())
    result = replayed(cell, stream, said_here(tmp_path, cell))
    assert result["packets"] == 150
    assert result["lost"] == sum(stream.lost) == sum(result["lost_by_source"].values())
    assert result["dred"] == result["lost_by_source"].get("dred", 0)
    assert 0 < result["coverable"] <= result["lost"]
    assert result["delay_ms"] > 150 and result["ready_s"] > 0 and result["pss_kb"] > 10_000
    assert json.loads(json.dumps(result)) == result


def test_table_has_every_speed_model_and_loss():
    wanted = command.cells(command.options([]))
    talks = [cell for cell in wanted if cell.job == "talk"]
    adaptive = [cell for cell in wanted if cell.playout == "adaptive" and cell.job == "replay"]
    assert {cell.mips for cell in adaptive} == set(table.SPEEDS) and {cell.model for cell in adaptive} == {"auto"}
    assert {(cell.mips, cell.model, cell.playout) for cell in talks} == {
        (1500, "standard", "adaptive"), (1500, "small", "adaptive"),
    }  # fmt: skip
    assert len(wanted) == len(set(wanted)) == len(table.SPEEDS) * 3 * len(table.LOSSES) + len(talks) + len(adaptive)
    chosen = command.cells(command.options(["--mips", "500", "--model", "standard"]))
    assert chosen == [Cell(500, "standard", table.BURSTS)]
    short = command.cells(command.options(["--short", "--seconds", "25"]))
    assert short and set(short) <= set(wanted)
    assert {cell.seconds for cell in command.cells(command.options(["--short"]))} == {12.0}


@pytest.mark.parametrize(
    "words", ["--mips 5", "--loss 200%", "--playout late", "--seconds 0", "--repeat 0", "--model standard --jobs 0"]
)
def test_wrong_option_is_one_sentence(words, capsys):
    assert command.main(words.split()) == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.startswith("test-pi: ") and said.err.count("\n") == 1


@pytest.mark.skipif(any(shutil.which(name) is None for name in TOOLS),
                    reason="needs qemu-system-aarch64: apt-get install qemu-system-arm dpkg")  # fmt: skip
def test_without_a_debian_archive_the_exit_code_is_3(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("DREDGE_CACHE", str(tmp_path))
    monkeypatch.setenv("DREDGE_DEBIAN_MIRROR", "http://127.0.0.1:9/debian")
    assert command.main(["--mips", "500", "--wheel", str(tmp_path / "any.whl")]) == 3
    assert "no Debian arm64 system can be had for the virtual board" in capsys.readouterr().err


def test_goals_are_judged_where_they_are_set():
    assert goals.missed(row()) == []
    assert "98.9 % of the coverable" in goals.missed(row(share=98.9))[0]
    assert goals.missed(row(share=95.0, mips=350, late_periods=3)) == []
    assert "1 late periods" in goals.missed(row(late_periods=1))[0]
    assert "2 underruns" in goals.missed(row(loss=table.GAPS, underruns=2, late_periods=9))[0]
    assert goals.missed(row(share=0.0, loss=table.HEAVY)) == []
    assert goals.missed(row(share=0.0, playout="adaptive")) == []


def test_repetitions_that_differ_are_named():
    assert command.differing([row(), row(), row(mips=700), row(mips=700)], 2) == []
    assert "differ in share" in command.differing([row(), row(share=99.0)], 2)[0]


def test_rows_are_kept_until_the_code_is_another(tmp_path):
    cell, other = Cell(500, "small", table.BURSTS), Cell(700, "small", table.BURSTS)
    kept = RowFile(tmp_path / "rows", "one")
    assert kept.find(cell) is None
    kept.add({**asdict(cell), "share": 1.0})
    made = kept.add({**asdict(cell), "share": 2.0})
    assert kept.find(cell) == made == {**asdict(cell), "share": 2.0, "code": "one"} and kept.find(other) is None
    assert RowFile(tmp_path / "rows", "two").find(cell) is None
    with (tmp_path / "rows").open("a") as file:
        file.write('{"mips": 500, "model"')
    assert len(read(tmp_path / "rows")) == 2, "a line that was not finished"


def test_a_table_that_was_interrupted_goes_on_where_it_stopped(tmp_path, monkeypatch):
    cells = [Cell(mips, "small", table.BURSTS) for mips in (500, 700, 1000)]
    ran = []

    class Counting(Runner):
        def _measured(self, cell):
            if len(ran) == 2:
                raise board.BoardError("interrupted")
            ran.append(cell.mips)
            return {**asdict(cell), "share": 100.0}

    kept = RowFile(tmp_path / "rows", "one")
    with pytest.raises(board.BoardError):
        list(Counting(None, kept).all(cells, 1))
    ran.clear()
    assert [row["mips"] for row in Counting(None, kept).all(cells, 1)] == [500, 700, 1000] and ran == [1000]
    ran.clear()
    list(Counting(None, kept, anew=True).all(cells[:1], 1))
    assert ran == [500]


def test_a_table_is_printed_row_by_row(capsys):
    full = {"coverable": 1, "lost": 1, "dred": 1, "classic": 0, "period_mean_ms": 1.0, "period_p99_ms": 2.0,
            "period_max_ms": 3.0, "delay_ms": 1000.0, "cpu_pct": 5.0, "ready_s": 1.5, "pss_kb": 51200,
            "job": "replay", "wake_max_ms": 0.1}  # fmt: skip

    def results():
        yield row(**full, vocoder="small")
        assert capsys.readouterr().out.count("\n") == 3, "the first row waits for the others"
        yield row(**{**full, "model": "auto", "vocoder": "standard"})

    command.show(results(), False)
    assert "auto: standard" in capsys.readouterr().out


def test_a_board_that_hangs_is_ended_by_its_own_cpu_time(tmp_path, monkeypatch):
    monkeypatch.setattr(board, "command", lambda *_: [sys.executable, "-c", "while True: pass"])
    monkeypatch.setattr(board, "_LONGEST_S", 1)
    with pytest.raises(board.BoardError, match="CPU time"):
        board.run(tmp_path, tmp_path, 500, "cortex-a53")


STARTS_A_BOARD = """
import sys
from virtual_pi import board
from virtual_pi.figures import Cell
from virtual_pi.row_file import RowFile
from virtual_pi.runner import Runner

class Bare(Runner):
    def _boot(self, cell, files):
        return board.run("", "", 500, "cortex-a53")

sleeper = "import os, time; open(%r, 'w').write(str(os.getpid())); time.sleep(60)"
board.command = lambda *_: [sys.executable, "-c", sleeper]
list(Bare(None, RowFile(None, "code"), anew=True).all([Cell(500, "small", "0%%", seconds=1)], 1))
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_no_emulator_is_left_when_the_command_is_ended(tmp_path, how):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "scripts")}
    said = tmp_path / "pid"
    process = subprocess.Popen([sys.executable, "-c", STARTS_A_BOARD % str(said)], env=environment)
    try:
        until(lambda: said.exists() and said.read_text())
        emulator = int(said.read_text())
        assert running(emulator)
        process.send_signal(how)
        process.wait()
        until(lambda: not running(emulator))
    finally:
        process.kill()


def running(pid: int) -> bool:
    """Return whether a process runs; one that ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
