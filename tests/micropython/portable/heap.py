# SPDX-License-Identifier: BSD-2-Clause
# Bytes of heap that a step takes per packet, measured by MicroPython itself.
import gc

WARM = 700  # the first 14 s fill what has a fixed size
PACKETS = 2000


def per_packet(name, step):
    for n in range(WARM):
        step(n)
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for n in range(WARM, WARM + PACKETS):
        step(n)
    used = gc.mem_alloc() - before
    gc.enable()
    print(name, used / PACKETS)
