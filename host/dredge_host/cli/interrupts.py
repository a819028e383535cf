# SPDX-License-Identifier: BSD-2-Clause
"""Ctrl-C and the signals that end a service, for the process of the `dredge` command."""

from __future__ import annotations

import atexit
import os
import signal
from types import FrameType

_AGAIN_S = 0.02  # until a signal that came during an import is looked at again
_IMPORT = "<frozen importlib"  # beginning of the file names of Python's import system


def interrupt_on(*numbers: signal.Signals) -> None:
    """Let these signals raise KeyboardInterrupt, so that nothing half-written stays; ignored ones (nohup) stay ignored.

    It is never raised in the middle of an import, but after it: NumPy prints an error that meets its own import and
    goes on to say that NumPy is broken.
    """
    pid = os.getpid()
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0.0)  # a verb that ends meanwhile has ended

    def interrupt(number: int, frame: FrameType | None) -> None:
        if os.getpid() != pid:
            signal.signal(number, signal.SIG_DFL)  # a worker process is ended by the one that started it
            os.kill(os.getpid(), number)
        elif _importing(frame):
            signal.signal(signal.SIGALRM, lambda _, later: interrupt(number, later))
            signal.setitimer(signal.ITIMER_REAL, _AGAIN_S)
        else:
            raise KeyboardInterrupt

    for number in numbers:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, interrupt)


def _importing(frame: FrameType | None) -> bool:
    """Tell whether a frame is part of an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(_IMPORT):
            return True
        frame = frame.f_back
    return False
