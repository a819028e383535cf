# SPDX-License-Identifier: BSD-2-Clause
"""The same cells on a Dask cluster: tasks carry their speech, so workers need no files, only dredge itself.

Dask executes any code that it is sent: use a cluster whose network you trust, or tls:// (Dask's own security settings).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from queue import Empty, Queue
from threading import Lock
from typing import Any

from dredge_host.console import note
from dredge_host.errors import UnreachableError, VersionMismatch, need
from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.material import Task
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.running.cell import CellRunner, Failure
from dredge_host.evaluation.running.identity import Identity, identity
from dredge_host.evaluation.running.workers import Result

TIMEOUT_S = 10
ALONE_S = 60  # longest wait for a scheduler whose last worker died
POLL_S = 1.0
RESULT_S = 5.0  # longest wait for the cells of a finished task
PER_WORKER = 3  # tasks in flight per thread, so that little speech waits at the scheduler

_LOCK = Lock()  # PLCMOS draws its raters from a generator that threads would share
_RUNNERS: dict[Plan, CellRunner] = {}


def run_task(plan: Plan, task: Task, wanted: Identity) -> list[tuple[str, Measurement | Failure]]:
    """Return all cells of a task, on a worker. Raises VersionMismatch if the worker's dredge differs from the
    requesting one.
    """
    own = identity(plan)
    different = [name for name in wanted if own.get(name) != wanted[name]]
    if different:
        raise VersionMismatch(
            f"a worker of the cluster has another {', '.join(different)} than this machine; "
            f"install the same dredge and metrics on both"
        )
    with _LOCK:
        runner = _RUNNERS.get(plan)
        if runner is None:
            _RUNNERS.clear()
            runner = _RUNNERS[plan] = CellRunner(plan)
        return list(runner.run(task))


def run_on_cluster(plan: Plan, tasks: Sequence[Task], address: str) -> Generator[Result, None, None]:
    """Yield every cell once, in the order in which the workers of a scheduler finish them.

    address: tcp://host:port. Tasks of a worker that dies are done by another one. Raises CapabilityError without the
    package distributed, UnreachableError without a scheduler or workers, VersionMismatch for other software.
    """
    distributed = need("distributed", "--scheduler", "cluster")
    wanted = identity(plan)
    with _client(distributed, address) as client:
        waiting = list(reversed(tasks))
        running: dict[Any, Task] = {}
        finished: Queue[Any] = Queue()
        patience = _Patience(client, address)
        most = PER_WORKER * max(1, sum(client.nthreads().values()))
        while waiting or running:
            while waiting and len(running) < most:
                task = waiting.pop()
                future = client.submit(run_task, plan, task, wanted, pure=False)
                running[future] = task
                future.add_done_callback(finished.put)
            future = patience.next(finished)
            found = _cells(distributed, future, running[future], address)
            if found is None:  # for as long as nobody takes the task up, it is done again and again at once
                patience.spent(RESULT_S)
                future.add_done_callback(finished.put)
            else:
                patience.renew()
                task = running.pop(future)
                yield from ((task, method, cell) for method, cell in found)


class _Patience:
    """The waiting for a cluster: how long its scheduler has been away, or without any worker."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self.renew()

    def renew(self) -> None:
        """Begin anew: the cluster has given something."""
        self._away = self._alone = 0.0
        self._said = False

    def next(self, finished: Queue[Any]) -> Any:
        """Return the next future that is done. Raises as `spent` does."""
        while True:
            try:
                return finished.get(timeout=POLL_S)
            except Empty:
                self.spent(POLL_S)

    def spent(self, seconds: float) -> None:
        """Take in that so long was waited in vain.

        Raises UnreachableError when the scheduler has been away for TIMEOUT_S, or without any worker for ALONE_S; that
        one waits for workers is announced once.
        """
        client, address = self._client, self._address
        self._away = 0.0 if client.status == "running" else self._away + seconds
        self._alone = 0.0 if self._away or client.scheduler_info().get("workers") else self._alone + seconds
        if self._away >= TIMEOUT_S:
            raise _lost(address)
        if self._alone >= 2 * POLL_S and not self._said:
            self._said = True
            note(f"{address}: no worker is left; waiting {ALONE_S} s for one (dask worker {address} --nthreads 1)")
        if self._alone >= ALONE_S:
            raise UnreachableError(
                f"{address}: the last worker went away and none came in {ALONE_S} s; what was finished is cached, "
                f"so start some with `dask worker {address} --nthreads 1` and run this again"
            )


def _cells(distributed: Any, future: Any, task: Task, address: str) -> list[tuple[str, Measurement | Failure]] | None:
    """Return the cells of one finished task; a failure of the cluster fails them all.

    None when they cannot be had: they lay on a worker that has died since, and another one will do the task again.
    """
    try:
        found: list[tuple[str, Measurement | Failure]] = future.result(timeout=RESULT_S)
    except TimeoutError:
        return None
    except distributed.KilledWorker:
        return [(method, Failure("every worker that began it died")) for method in task.methods]
    except distributed.CancelledError:
        raise _lost(address) from None
    return found


def _lost(address: str) -> UnreachableError:
    return UnreachableError(f"{address}: the scheduler went away; what was finished is in the cache, if there is one")


def _client(distributed: Any, address: str) -> Any:
    try:
        client = distributed.Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UnreachableError(f"{address}: no Dask scheduler answers there ({type(error).__name__})") from None
    try:
        client.wait_for_workers(1, timeout=TIMEOUT_S)
    except TimeoutError:
        client.close()
        raise UnreachableError(
            f"{address}: the scheduler has no workers; start some with `dask worker {address} --nthreads 1`"
        ) from None
    return client
