# SPDX-License-Identifier: BSD-2-Clause
# Dredge on the device.
#
# Portable core (MicroPython and CPython; imports nothing but struct, json, array, binascii):
#   rtp        RFC 3550 header, running sequence numbers, who the sender is
#   rtcp       RTCP packets: receiver report, APP, compound datagrams
#   control    messages between host and device inside RTCP APP "DRDG" packets
#   framing    datagrams on a serial line: COBS, sequence number, CRC-32
#   fragments  a report larger than a datagram, cut, acknowledged, put together again
#   jitter     the jitter buffer: one decision per packet period
#   delay      how late packets are against the fastest of them
#   playout    when to play what: fixed or adaptive
#   budget     CPU time per frame in fixed-size histograms
#   telemetry  counters, loss bursts, interarrival jitter
#   timeline   source, delay and CPU time of every frame, small enough to send
#   units      sample rate, frame and packet, declared once
#   session    one session: it begins, plays, drains what is buffered, and reports
#   reports    its reports to the host, every second and at the end
#   agent      its answers; without sockets and clocks
#
# pi (CPython with NumPy): the receiver that turns packets into speech, audio output, the process.
#
# Time is always passed in, as integer microseconds.
