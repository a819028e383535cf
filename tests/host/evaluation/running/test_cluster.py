# SPDX-License-Identifier: BSD-2-Clause
"""A real Dask cluster of worker processes on this machine: the same records, also when a worker dies."""

import logging
import os

import pytest
from evaluate_fakes import speech_folder
from ports import free_port
from waiting import until

from dredge_host import errors
from dredge_host.errors import CapabilityError, UnreachableError, VersionMismatch, exit_code
from dredge_host.evaluation.material.material import from_folder
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.running import cluster, grid
from dredge_host.evaluation.running.cell import Failure
from dredge_host.evaluation.running.identity import identity

PLAN = Plan(methods=("silence", "opus", "red"), seconds=0.5, scores=(), recogniser=None)
CELLS = 4 * 3 * 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return speech_folder(tmp_path_factory.mktemp("speech") / "test")


@pytest.fixture
def two_workers(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed", reason="needs distributed: dredge extras add cluster")
    monkeypatch.chdir(tmp_path)  # Dask leaves a scratch folder where it starts
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=":0",
        silence_logs=logging.CRITICAL, local_directory=str(tmp_path),
    ) as running:  # fmt: skip
        yield running


def comparable(records):
    varying = ("cached", "cpu_us_per_packet")
    return [{key: value for key, value in record.items() if key not in varying} for record in records]


@pytest.mark.slow
def test_a_cluster_gives_what_one_process_gives_though_a_worker_is_killed(folder, two_workers):
    material = from_folder(folder, PLAN)
    here = grid.run(material, PLAN)
    killed = []

    def kill_one():
        if not killed:
            killed.append(next(iter(two_workers.workers.values())).pid)
            os.kill(killed[0], 9)

    there = grid.run(material, PLAN, scheduler=two_workers.scheduler_address, on_cell=kill_one)
    assert comparable(there["records"]) == comparable(here["records"]) and len(there["records"]) == CELLS
    assert there["timing"]["workers"] == two_workers.scheduler_address
    assert killed and killed[0] != os.getpid()


@pytest.mark.slow
def test_a_cluster_whose_last_worker_died_is_not_waited_for_ever(folder, two_workers, monkeypatch, capsys):
    """No nanny starts it again: the evaluation says so, waits a while, and ends."""
    pytest.importorskip("distributed", reason="needs distributed: dredge extras add cluster")
    from distributed.core import Status

    monkeypatch.setattr(cluster, "ALONE_S", 4)
    monkeypatch.setattr(cluster, "POLL_S", 0.5)
    material, killed = from_folder(folder, PLAN), []

    def kill_all():
        if not killed:
            for worker in list(two_workers.workers.values()):
                killed.append(worker.pid)
                worker.status = Status.closing_gracefully  # or it would start a new process
                os.kill(worker.pid, 9)
            until(lambda: not two_workers.scheduler.workers)  # at least half of the tasks are not even sent

    with pytest.raises(UnreachableError, match="the last worker went away and none came in 4 s"):
        grid.run(material, PLAN, scheduler=two_workers.scheduler_address, on_cell=kill_all)
    assert "no worker is left; waiting 4 s for one" in capsys.readouterr().err


def test_nobody_at_the_address(folder, monkeypatch):
    pytest.importorskip("distributed", reason="needs distributed: dredge extras add cluster")
    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.3)
    address = f"tcp://127.0.0.1:{free_port()}"
    with pytest.raises(UnreachableError, match="no Dask scheduler answers there") as caught:
        grid.run(from_folder(folder, PLAN), PLAN, scheduler=address)
    assert exit_code(caught.value) == 3


def test_an_address_of_another_kind(folder):
    pytest.importorskip("distributed", reason="needs distributed: dredge extras add cluster")
    with pytest.raises(UnreachableError, match="nonsense://x: no Dask scheduler answers there"):
        grid.run(from_folder(folder, PLAN), PLAN, scheduler="nonsense://x")


def test_without_the_package(folder, monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named '{name}'")

    monkeypatch.setattr(errors, "import_module", missing)
    with pytest.raises(CapabilityError, match=r"distributed.*run `dredge extras add cluster`") as caught:
        grid.run(from_folder(folder, PLAN), PLAN, scheduler="tcp://127.0.0.1:1")
    assert exit_code(caught.value) == 5


class FakeDistributed:
    """A cluster in this process that is not well: it has no workers, or they die, or the scheduler goes away."""

    class KilledWorker(Exception):
        pass

    class CancelledError(BaseException):
        pass

    def __init__(self, workers=1, error=None, status="running"):
        self.count, self.error, self.status = workers, error or self.KilledWorker("x"), status
        self.futures = self.most = 0

    def Client(self, address, **_):
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def close(self):
        self.closed = True

    def wait_for_workers(self, count, timeout):
        if self.count < count:
            raise TimeoutError

    def nthreads(self):
        return {"tcp://w": self.count}

    def scheduler_info(self):
        return {"workers": dict.fromkeys(range(self.count))}

    def submit(self, *_, **__):
        self.futures += 1
        return FakeFuture(self)


class FakeFuture:
    """Done at once (or never, when its scheduler is away), with the error that its cluster has."""

    def __init__(self, distributed):
        self.distributed = distributed

    def add_done_callback(self, tell):
        if self.distributed.status == "running":
            tell(self)

    def result(self, timeout):
        self.distributed.most = max(self.distributed.most, self.distributed.futures)
        self.distributed.futures -= 1
        raise self.distributed.error


def test_a_task_that_kills_every_worker_is_named(folder, monkeypatch):
    fake = FakeDistributed()
    monkeypatch.setattr(cluster, "need", lambda *_: fake)
    tasks = from_folder(folder, PLAN).tasks(PLAN.methods)
    found = list(cluster.run_on_cluster(PLAN, tasks, "tcp://w"))
    assert len(found) == CELLS and {cell for *_, cell in found} == {Failure("every worker that began it died")}
    assert [(t.number, method) for t, method, _ in found[:3]] == [(0, "silence"), (0, "opus"), (0, "red")]
    assert fake.most == cluster.PER_WORKER < len(tasks)  # speech does not pile up at the scheduler


@pytest.mark.parametrize(
    "fake", [FakeDistributed(error=FakeDistributed.CancelledError()), FakeDistributed(status="connecting")]
)
def test_a_scheduler_that_goes_away_does_not_keep_people_waiting(folder, monkeypatch, fake):
    monkeypatch.setattr(cluster, "need", lambda *_: fake)
    monkeypatch.setattr(cluster, "POLL_S", 0.01)
    monkeypatch.setattr(cluster, "TIMEOUT_S", 0.03)
    with pytest.raises(UnreachableError, match="tcp://w: the scheduler went away; what was finished is in the cache"):
        next(cluster.run_on_cluster(PLAN, from_folder(folder, PLAN).tasks(PLAN.methods), "tcp://w"))


def test_cells_that_lay_on_a_worker_that_died_are_waited_for_again(folder, monkeypatch):
    class Again(FakeFuture):
        late = True

        def result(self, timeout):
            if self.late:
                self.late = False
                raise TimeoutError
            return super().result(timeout)

    fake = FakeDistributed()
    monkeypatch.setattr(fake, "submit", lambda *_, **__: Again(fake))
    monkeypatch.setattr(cluster, "need", lambda *_: fake)
    found = list(cluster.run_on_cluster(PLAN, from_folder(folder, PLAN).tasks(PLAN.methods), "tcp://w"))
    assert len(found) == CELLS


def test_cells_that_nobody_is_left_to_compute_again_are_not_waited_for_ever(folder, monkeypatch, capsys):
    class Gone(FakeFuture):
        def result(self, timeout):
            self.distributed.count = 0  # its worker was the last one
            raise TimeoutError

    fake = FakeDistributed()
    monkeypatch.setattr(fake, "submit", lambda *_, **__: Gone(fake))
    monkeypatch.setattr(cluster, "need", lambda *_: fake)
    with pytest.raises(UnreachableError, match="the last worker went away and none came in 60 s"):
        list(cluster.run_on_cluster(PLAN, from_folder(folder, PLAN).tasks(PLAN.methods), "tcp://w"))
    assert capsys.readouterr().err.count("no worker is left; waiting 60 s for one") == 1


def test_a_scheduler_without_workers(folder, monkeypatch):
    fake = FakeDistributed(workers=0)
    monkeypatch.setattr(cluster, "need", lambda *_: fake)
    with pytest.raises(UnreachableError, match="no workers; start some with `dask worker tcp://w --nthreads 1`"):
        next(cluster.run_on_cluster(PLAN, from_folder(folder, PLAN).tasks(PLAN.methods), "tcp://w"))
    assert fake.closed


def test_a_worker_with_another_dredge_refuses(folder):
    task = from_folder(folder, PLAN).tasks(("opus",))[0]
    wanted = identity(PLAN)
    assert dict(cluster.run_task(PLAN, task, wanted))["opus"]["loss_pct"] > 0
    other = {**wanted, "code": "0" * 64, "models": {}}
    with pytest.raises(VersionMismatch, match="a worker of the cluster has another code, models than this machine"):
        cluster.run_task(PLAN, task, other)
