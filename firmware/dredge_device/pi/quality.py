# SPDX-License-Identifier: BSD-2-Clause
"""Quality levels: limits on a receiver's work for a lost packet; and the kinds of periods that differ in work."""

FULL, SMALL, CLASSIC, CLOSED = range(4)  # levels of the device
LATE = 4  # for one period of one stream: synthesis that cannot finish in time is stopped
QUALITY = ("full", "small", "classic", "closed", "hurried")  # their names in reports
OVERLOAD = "device at its load limit"  # the reason of a period that is concealed although there is a vocoder

# Received; received after a gap; lost, first of a gap (the vocoder begins); lost, later in a gap; the same after
# predicted periods, when a packet that describes the gap has just arrived.
PLAIN, AFTER, FIRST, NEXT, FOUND = range(5)
LOST = (FIRST, NEXT, FOUND)
