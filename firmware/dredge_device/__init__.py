# SPDX-License-Identifier: BSD-2-Clause
# Dredge on the device.
#
# Portable core (MicroPython and CPython; imports nothing but struct, json, array, binascii):
#   rtp        RFC 3550 header, running sequence numbers, who the sender is
#   rtcp       RTCP packets: receiver report, APP, compound datagrams
#   control    what host and device say to each other inside RTCP APP "DRDG" packets
#   framing    datagrams on a serial line: COBS, sequence number, CRC-32
#   fragments  a report larger than a datagram, cut, acknowledged, put together again
#   jitter     the buffer: one decision per packet period, a missing packet is an event
#   delay      how late packets are against the best of them
#   playout    when to play what: fixed or adaptive
#   budget     CPU time per frame in fixed-size histograms
#   telemetry  counters, loss bursts, interarrival jitter
#   timeline   source, delay and CPU time of every frame, small enough to send
#   units      sample rate, frame and packet, declared once
#   session    one session: it begins, plays, drains what is buffered, and reports
#   reports    what its host is told, every second and at the end
#   agent      what it answers; without sockets and clocks
#
# pi (CPython with NumPy): the receiver that turns packets into speech, audio output, the process.
#
# Time is always passed in, as integer microseconds in the core and as seconds (float) in pi.
