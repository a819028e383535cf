# SPDX-License-Identifier: BSD-2-Clause
"""Scheduling of the playing thread by Linux: real-time priority, a core of its own, locked memory."""

import ctypes
import os
from collections.abc import Collection
from contextlib import suppress

from dredge_device.pi.service.options import Options

PRIORITY = 50  # above ordinary work, below the kernel's own interrupt threads
_MCL_CURRENT, _MCL_FUTURE = 1, 2


def apply(options: Options) -> list[str]:
    """Ask the system for this scheduling of the calling thread; return the outcome as sentences.

    Raises ValueError when there is no such core.
    """
    said = []
    if options.lock_memory:
        said.append(lock_memory())
    if options.core is not None:
        said.append(pin(options.core))
    if options.realtime:
        said.append(real_time())
    return said


def real_time() -> str:
    """Ask for SCHED_FIFO for the calling thread, but not for threads that it starts; return the outcome as a sentence.
    """
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except (PermissionError, OSError) as error:
        return (
            f"real-time scheduling is not permitted ({error.strerror}); run as root, or: "
            "sudo setcap cap_sys_nice=ep $(readlink -f $(which python3)), or LimitRTPRIO=50 in the systemd unit"
        )
    return f"real-time scheduling: SCHED_FIFO, priority {PRIORITY}"


def run_on(cores: Collection[int]) -> None:
    """Keep the calling thread on these cores; nothing changes when they do not exist any more."""
    with suppress(OSError):
        os.sched_setaffinity(0, cores)


def pin(core: int) -> str:
    """Keep the calling thread on one core; return the outcome as a sentence. Raises ValueError when there is no such
    core.
    """
    available = sorted(os.sched_getaffinity(0))
    if core not in available:
        raise ValueError(f"core {core} is not available, expected one of {', '.join(map(str, available))}")
    os.sched_setaffinity(0, {core})
    return f"decoding on core {core}"


def lock_memory() -> str:
    """Lock the memory (mlockall), so that no page fault delays a frame; return the outcome as a sentence."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.mlockall(_MCL_CURRENT | _MCL_FUTURE) == 0:
        return "memory is locked"
    why = os.strerror(ctypes.get_errno())
    return f"memory cannot be locked ({why}); run as root, or LimitMEMLOCK=infinity in the systemd unit"
