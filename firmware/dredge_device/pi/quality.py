# SPDX-License-Identifier: BSD-2-Clause
"""Quality levels: how much work a receiver may do for a lost packet; and the kinds of periods that differ in work."""

FULL, SMALL, CLASSIC, CLOSED = range(4)  # levels of the device
LATE = 4  # one period of one stream: nothing that is not finished in time may go on
QUALITY = ("full", "small", "classic", "closed", "hurried")  # their names in reports
OVERLOAD = "device at its load limit"  # the reason of a period that is concealed although a vocoder is there

# Received; received after a gap; lost, when the vocoder begins; the same, when it goes on; the same, when it has
# predicted so far and a packet that describes the gap has arrived.
PLAIN, AFTER, FIRST, NEXT, FOUND = range(5)
LOST = (FIRST, NEXT, FOUND)
