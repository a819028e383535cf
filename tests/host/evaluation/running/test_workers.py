# SPDX-License-Identifier: BSD-2-Clause
"""Real processes: the same cells as in one, a crash costs one cell, Ctrl-C loses nothing that was done."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from multiprocessing import active_children

import pytest
from evaluate_fakes import speech_folder

from dredge_host.errors import DredgeError
from dredge_host.evaluation.material.material import from_folder
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.running import grid, workers
from dredge_host.evaluation.running.cache import Cache

PLAN = Plan(methods=("silence", "opus", "red"), seconds=0.5, scores=(), recogniser=None)
ARGUMENTS = ["--seconds", "0.5", "--no-plcmos", "--no-estoi", "--no-words"]
for _method in PLAN.methods:
    ARGUMENTS += ["--method", _method]
CELLS = 4 * 3 * len(PLAN.methods)


SAME_CODE = "0" * 64  # for the cache: whoever edits a source while this runs shall not fail it


@pytest.fixture(scope="module", autouse=True)
def code_does_not_change():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dredge_host.evaluation.running.identity.code_digest", lambda first: SAME_CODE)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return speech_folder(tmp_path_factory.mktemp("speech") / "test")


def comparable(records):
    varying = ("cached", "cpu_us_per_packet")
    return [{key: value for key, value in record.items() if key not in varying} for record in records]


@pytest.fixture(scope="module")
def in_one_process(folder):
    return grid.run(from_folder(folder, PLAN), PLAN)


def test_two_processes_give_what_one_gives(folder, in_one_process):
    seen = set()
    result = grid.run(from_folder(folder, PLAN), PLAN, jobs=2, on_cell=lambda: seen.add(len(active_children())))
    assert seen <= {1, 2} and in_one_process["timing"]["workers"] == 1
    assert comparable(result["records"]) == comparable(in_one_process["records"])
    assert result["timing"]["workers"] == 2 and not active_children()


def test_a_process_that_dies_costs_the_cell_it_was_at(folder, tmp_path, in_one_process):
    killed = []

    def kill_one():
        if not killed:
            victim = active_children()[0]
            killed.append(victim)
            victim.kill()

    material = from_folder(folder, PLAN)
    with pytest.raises(DredgeError) as caught:
        grid.run(material, PLAN, jobs=2, cache=tmp_path, on_cell=kill_one)
    text = str(caught.value)
    assert text.startswith("clip ") and "losses, method " in text
    assert "the process that computed it was killed by signal 9 (SIGKILL)" in text
    assert text.endswith(f"{CELLS - 1} of {CELLS} cells are done and kept, the same command goes on from there")
    result = grid.run(material, PLAN, cache=tmp_path)
    assert result["timing"]["cells_cached"] == CELLS - 1
    assert comparable(result["records"]) == comparable(in_one_process["records"])


# The command as it is, but the fifth cell that is kept presses Ctrl-C: SIGINT for the whole process group.
INTERRUPTED = """
import os, signal
from dredge_host.cli.main import main
from dredge_host.evaluation.running import identity
from dredge_host.evaluation.running.cache import Cache

identity.code_digest = lambda first: "0" * 64
put, kept = Cache.put, []

def put_and_interrupt(self, key, cell):
    put(self, key, cell)
    kept.append(key)
    if len(kept) == 5:
        os.killpg(0, signal.SIGINT)

Cache.put = put_and_interrupt
if __name__ == "__main__":
    main()
"""


def test_ctrl_c_keeps_every_finished_cell(folder, tmp_path, in_one_process):
    (tmp_path / "interrupted.py").write_text(INTERRUPTED)
    command = [sys.executable, str(tmp_path / "interrupted.py"), "evaluate", str(folder), *ARGUMENTS]
    command += ["--jobs", "2", "--cache", str(tmp_path / "cells")]
    done = subprocess.run(command, start_new_session=True, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 130, done.stderr
    assert done.stderr.rstrip().endswith("interrupted") and "Traceback" not in done.stderr
    files = list((tmp_path / "cells").rglob("*.json"))
    assert len(files) == 5
    assert [p for p in (tmp_path / "cells").rglob("*") if p.is_file() and p not in files] == []
    store = Cache(tmp_path / "cells")
    assert all(store.get(path.stem) == json.loads(path.read_text())["cell"] for path in files)
    computed = []
    result = grid.run(
        from_folder(folder, PLAN), PLAN, cache=tmp_path / "cells", on_cell=lambda: computed.append(1)
    )
    assert len(computed) == CELLS - len(files) == CELLS - result["timing"]["cells_cached"]
    differing = ("timing", "records", "summary", "strata", "loss_rates")
    assert {k: v for k, v in result.items() if k not in differing} == {
        k: v for k, v in in_one_process.items() if k not in differing
    }
    for key in ("records", "summary"):
        assert comparable(result[key]) == comparable(in_one_process[key])
    for key in ("strata", "loss_rates"):
        assert list(result[key]) == list(in_one_process[key])
        for name, rows in result[key].items():
            assert comparable(rows) == comparable(in_one_process[key][name])


def test_a_single_job_is_a_process_too(folder):
    """With this process's threads its sums would be others."""
    plan = replace(PLAN, methods=("silence",), clips=1, crossed=False)
    seen = []
    alone = grid.run(from_folder(folder, plan), plan, jobs=1, on_cell=lambda: seen.append(len(active_children())))
    assert seen == [1] and len(alone["records"]) == 1


def test_workers_keep_to_one_thread_and_the_environment_stays(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with workers._one_thread():
        assert {os.environ[name] for name in workers.ONE_THREAD} == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


def test_a_worker_goes_on_with_its_clip(folder):
    """Only then what its cells share is computed once."""
    tasks = from_folder(folder, PLAN).tasks(PLAN.methods)
    waiting = [tasks[0], tasks[3], tasks[1]]
    worker = object.__new__(workers.Worker)
    worker._clip, worker.connection = "", type("Pipe", (), {"send": lambda self, task: None})()
    taken = []
    while waiting:
        worker.take(waiting)
        taken.append(worker.task.number)
    assert taken == [0, 1, 3]
    worker.take(waiting)
    assert worker.task is None


@pytest.mark.parametrize(
    ("code", "text"), [(-9, "was killed by signal 9 (SIGKILL); is there enough memory?"), (3, "ended with exit code 3")]
)
def test_how_a_process_ended(code, text):
    assert workers._ending(code) == text


def test_all_cores_means_those_that_this_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert workers.cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert workers.cores() >= 1
