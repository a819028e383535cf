# SPDX-License-Identifier: BSD-2-Clause
"""What the operating system's refusals mean for the user."""

import errno
import os

ADVICE = {
    errno.EADDRINUSE: "end the program that has this port, or take another port",
    errno.EADDRNOTAVAIL: "take an address of this machine (`ip address` lists them)",
    errno.EDQUOT: "make room on this disk, or write elsewhere",
    errno.ENOSPC: "make room on this disk, or write elsewhere",
    errno.EROFS: "write elsewhere",
}
_BROKEN_PIPE = os.strerror(errno.EPIPE)


def refusal(error: OSError, what: str | os.PathLike[str] | None = None) -> str:
    """Return one line for the user: what is refused, why, and what to do where that is known.

    what: a name for what is refused (a path as it was given, a URL); else the error's own file name, if it has one.
    """
    if what is None:
        what = error.filename
    why = error.strerror if error.errno and error.strerror else str(error)
    if why == _BROKEN_PIPE:
        why = "its reader has ended"
    advice = ADVICE.get(error.errno or 0)
    return ("" if what is None else f"{what}: ") + why + (f"; {advice}" if advice else "")
