# SPDX-License-Identifier: BSD-2-Clause
"""What the operating system's refusals mean for the user."""

import errno

ADVICE = {
    errno.EADDRINUSE: "end the program that has this port, or take another port",
    errno.EADDRNOTAVAIL: "take an address of this machine (`ip address` lists them)",
    errno.ENOSPC: "make room on this disk, or write elsewhere",
    errno.EROFS: "write elsewhere",
}


def refusal(error: OSError) -> str:
    """Return one line for the user: what is refused, why, and what to do where that is known."""
    if error.filename is None or not error.strerror:
        return str(error)
    advice = ADVICE.get(error.errno or 0)
    return f"{error.filename}: {error.strerror}" + (f"; {advice}" if advice else "")
