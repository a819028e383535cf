# SPDX-License-Identifier: BSD-2-Clause
# Dredge on the device.
#
# Portable core (MicroPython and CPython; imports nothing but struct, json, array, binascii):
#   rtp        RFC 3550 header, running sequence numbers, the choice of the sender
#   rtcp       RTCP packets: receiver report, APP, compound datagrams
#   control    messages between host and device inside RTCP APP "DRDG" packets
#   framing    datagrams on a serial line: COBS, sequence number, CRC-32
#   fragments  a report larger than a datagram, cut, acknowledged, put together again
#   jitter     the jitter buffer: one decision per packet period
#   delay      how late packets are against the fastest of them
#   playout    the schedule of playout: fixed or adaptive
#   budget     CPU time per frame in fixed-size histograms
#   telemetry  counters, loss bursts, interarrival jitter
#   timeline   source, delay and CPU time of every packet period, compact enough to send
#   units      sample rate, frame and packet, declared once
#   session    one session: it begins, plays, drains its buffer and reports
#   reports    the reports of a session to the host, every second and at the end
#   agent      the answers to a host; without sockets and clocks
#
# pi (CPython with NumPy): the receiver that turns packets into speech, audio output, the process.
#
# Time is always passed in, as integer microseconds.
