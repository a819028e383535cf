# SPDX-License-Identifier: BSD-2-Clause
# The common part of all main loops: they run for ever, collect garbage between two periods, and
# describe the board.
import gc
import sys
import time

from dredge_device.control import PROTOCOL_VERSION


# Return the answer to a hello: protocol, board and MicroPython's version, with the fields of the program.
def described(about):
    facts = {"ok": True, "protocol": PROTOCOL_VERSION, "board": sys.platform}
    facts["version"] = ".".join([str(part) for part in sys.implementation[1][:3]])
    facts.update(about)
    return facts


# A program defines step(), which runs the loop once and waits at most until the next period.
class MainLoop:
    def __init__(self):
        self._collected_us = 0  # the longest collection so far

    # Run for ever; rest() is called once per round (it feeds a watchdog, and looks after the Wi-Fi).
    def run(self, rest):
        while True:
            self.step()
            rest()

    # Collect garbage before it is urgent; call it between two periods.
    def _collect(self):
        if gc.mem_free() < gc.mem_alloc():
            start = time.ticks_us()
            gc.collect()
            self._collected_us = max(self._collected_us, time.ticks_diff(time.ticks_us(), start))

    # Return the heap in bytes, and the longest collection in microseconds.
    def _heap(self):
        return {"free": gc.mem_free(), "used": gc.mem_alloc(), "collect_us": self._collected_us}
