# SPDX-License-Identifier: BSD-2-Clause
# machine.UART for MicroPython's unix port, where there is none: a terminal device that never waits.
import os
import termios

_VTIME = 5  # places in the list of control characters (Linux, termios(3))
_VMIN = 6


# The device is named by the environment; pins and buffer sizes have no meaning here.
def UART(number, baud, **_options):
    file = open(os.getenv("DREDGE_UART"), "r+b")  # noqa: SIM115
    termios.setraw(file.fileno())
    attributes = termios.tcgetattr(file.fileno())
    attributes[6][_VMIN] = 0
    attributes[6][_VTIME] = 0
    termios.tcsetattr(file.fileno(), termios.TCSANOW, attributes)
    return file


def reset():
    raise SystemExit
