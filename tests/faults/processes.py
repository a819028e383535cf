# SPDX-License-Identifier: BSD-2-Clause
"""Real processes that are hurt."""

import os
import signal
import subprocess
import sys


def environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}


def start(*words, module="dredge_host", ignoring=None):
    """A real `dredge` (or other module) with pipes for what it says; one signal may be ignored, as by nohup."""

    def prepare():
        if ignoring is not None:
            signal.signal(ignoring, signal.SIG_IGN)

    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment(), preexec_fn=prepare,
    )  # fmt: skip


def start_agent(*words, **more):
    """(process, URL) of an agent that listens."""
    agent = start("--listen", "udp://127.0.0.1:0", *words, module="dredge_device", **more)
    line = agent.stdout.readline()
    assert line.startswith("listening "), agent.communicate(timeout=120)
    return agent, line.split()[1]


def end(process, seconds=120):
    """(exit code, standard output, standard error); killed if it does not end."""
    try:
        out, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, errors
