# SPDX-License-Identifier: BSD-2-Clause
"""The agent behind the walls that its unit puts up, as far as they can be put up without systemd."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dredge_host.deploy.systemd_unit import Agent, unit
from dredge_host.links import agent_process
from dredge_host.links.agent_process import AgentProcess
from dredge_host.links.open import open_link
from dredge_host.live.session import Session
from dredge_host.live.stream import stream
from dredge_host.sending.audio import packets, read_audio
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import Settings

PR_GET_MDWE = 66  # prctl(2), Linux 6.3; 65 sets it
WX = """\
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None)
if libc.prctl(65, 1, 0, 0, 0):
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    os.execv(sys.argv[1], sys.argv[1:])
sys.exit("memory is writable and executable in spite of prctl")
"""


@pytest.fixture
def behind(monkeypatch):
    """Makes AgentProcess start behind another program."""

    def put(*words):
        start = subprocess.Popen
        monkeypatch.setattr(agent_process.subprocess, "Popen", lambda command, **kw: start([*words, *command], **kw))

    return put


def session(tmp_path, demo):
    """A short stream with losses, everything switched on that needs permission; the device's sources."""
    pcm = read_audio(demo).pcm[:9600]
    settings = Settings(playout_ms=120, loss="gilbert:rate=25%,burst=3")
    options = ["--once", "--realtime", "--lock-memory", "--core", str(min(os.sched_getaffinity(0)))]
    with AgentProcess(out=tmp_path / "out.wav", playout_ms=120, options=options) as agent:
        link = open_link(agent.url)
        outcome = stream(packets(pcm), Session(link), settings, parse_loss(settings.loss, 3))
        link.close()
    assert outcome.report is not None and (tmp_path / "out.wav").exists()
    return outcome.report["sources"]


@pytest.fixture
def demo():
    return Path(agent_process.__file__).parents[1] / "assets/demo_speech.flac"


def test_no_memory_needs_to_be_writable_and_executable(behind, tmp_path, demo):
    """MemoryDenyWriteExecute: neural runtime, BLAS and ctypes do without code that is made at run time."""
    if ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel has no PR_SET_MDWE (Linux 6.3)")
    behind(sys.executable, "-c", WX)
    sources = session(tmp_path, demo)
    assert sources["dred"] > 0 and sources["opus"] > 0


def filter_sets() -> dict[str, set[str]]:
    """systemd's own groups of system calls."""
    text = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True).stdout
    sets: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("@"):
            members = sets[line.strip()] = set()
        elif line.startswith("    ") and "#" not in line:
            members.add(line.strip())
    return sets


def calls_of(names: list[str], sets: dict[str, set[str]]) -> set[str]:
    """The system calls behind names and groups."""
    found: set[str] = set()
    for name in names:
        found |= calls_of(sorted(sets[name]), sets) if name.startswith("@") else {name}
    return found


def permitted() -> set[str]:
    """What the unit's SystemCallFilter lines add up to (systemd.exec(5))."""
    sets, allowed = filter_sets(), set()
    for line in re.findall(r"^SystemCallFilter=(.+)$", unit(Agent(), "/x"), re.MULTILINE):
        named = calls_of(line.removeprefix("~").split(), sets)
        allowed = allowed - named if line.startswith("~") else allowed | named
    return allowed


@pytest.mark.skipif(
    not all(map(shutil.which, ("strace", "systemd-analyze"))),
    reason="needs strace and systemd-analyze: apt-get install strace systemd"
)
def test_no_system_call_is_needed_that_the_unit_forbids(behind, tmp_path, demo):
    log = tmp_path / "calls"
    behind("strace", "-f", "-qq", "-e", "signal=none", "-o", str(log))
    session(tmp_path, demo)
    used = set(re.findall(r"^\d+ +([a-z0-9_]+)\(", log.read_text(errors="replace"), re.MULTILINE))
    assert {"recvfrom", "mlockall", "sched_setscheduler", "sched_setaffinity", "rename"} <= used
    allowed = permitted()
    assert used - allowed == set()
    assert not allowed & {"ptrace", "setuid", "chown", "mount", "init_module", "settimeofday", "nice", "bpf"}
