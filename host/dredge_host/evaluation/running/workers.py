# SPDX-License-Identifier: BSD-2-Clause
"""Worker processes of this machine: every core computes cells, and a process that dies costs only its current cell."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any

from dredge_host.evaluation.judging.registry import Measurement
from dredge_host.evaluation.material.material import Task
from dredge_host.evaluation.material.plan import Plan
from dredge_host.evaluation.running.cell import CellRunner, Failure

Result = tuple[Task, str, Measurement | Failure]
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_here(plan: Plan, tasks: Sequence[Task], runner: CellRunner | None = None) -> Generator[Result, None, None]:
    """Yield every cell in this process, in order."""
    runner = runner or CellRunner(plan)
    for task in tasks:
        for method, found in runner.run(task):
            yield task, method, found


def run_in_processes(plan: Plan, tasks: Sequence[Task], jobs: int) -> Generator[Result, None, None]:
    """Yield every cell once, in the order in which `jobs` processes finish them.

    A process that dies leaves a Failure for its current cell; a fresh one takes the rest of its task. Closing the
    iterator ends the processes at once.
    """
    waiting = list(tasks)
    workers: list[Worker] = []
    try:
        workers += [Worker(plan) for _ in range(min(jobs, len(waiting)))]
        for worker in workers:
            worker.take(waiting)
        while any(worker.task for worker in workers):
            ready = wait([worker.connection for worker in workers if worker.task])
            for worker in [w for w in workers if w.connection in ready]:
                yield from worker.results(waiting)
    finally:
        for worker in workers:
            worker.stop()


class Worker:
    """One process and its current task."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.task: Task | None = None
        self._left: list[str] = []
        self._clip = ""
        self._start()

    def _start(self) -> None:
        context = get_context("spawn")  # a fork would share the threads and locks of this process's libraries
        self.connection, theirs = context.Pipe()
        with _one_thread():
            self._process = context.Process(target=_serve, args=(theirs, self._plan), daemon=True)
            self._process.start()
        theirs.close()

    def take(self, waiting: list[Task]) -> None:
        """Begin the next task, one of the same clip if there is one: the shared results of the clip are computed
        already.
        """
        same = (k for k, task in enumerate(waiting) if task.clip.digest == self._clip)
        self.task = waiting.pop(next(same, 0)) if waiting else None
        if self.task is None:
            return
        self._clip = self.task.clip.digest
        self._left = list(self.task.methods)
        with suppress(OSError):  # the process died meanwhile; the next wait detects the closed pipe
            self.connection.send(self.task)

    def results(self, waiting: list[Task]) -> Iterator[Result]:
        """Yield what the process has sent; after its last cell it gets the next task."""
        task = self.task
        if task is None:
            return
        try:
            method, found = self.connection.recv()
        except (EOFError, OSError):
            yield from self._died(task, waiting)
            return
        self._left.remove(method)
        if not self._left:
            self.take(waiting)
        yield task, method, found

    def _died(self, task: Task, waiting: list[Task]) -> Iterator[Result]:
        self._process.join()
        method, *rest = self._left
        if rest:
            waiting.insert(0, task._replace(methods=tuple(rest)))
        how = _ending(self._process.exitcode)
        self.connection.close()
        if waiting:
            self._start()
        self.take(waiting)
        yield task, method, Failure(f"the process that computed it {how}")

    def stop(self) -> None:
        """End the process now; its results are not needed."""
        self.connection.close()
        self._process.terminate()
        self._process.join()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was killed by signal {-code} ({signal.Signals(-code).name}); is there enough memory?"
    return f"ended with exit code {code}"


def _serve(connection: Connection[Any, Any], plan: Plan) -> None:
    """Serve as a worker process: tasks in, one message per cell out, until the other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    runner: CellRunner | None = None
    while True:
        try:
            task: Task = connection.recv()
        except (EOFError, OSError):
            return
        runner = runner or CellRunner(plan)
        for method, found in runner.run(task):
            connection.send((method, found))


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let the numerical libraries of a process that starts here use one thread, since each core has a process."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
