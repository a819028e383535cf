# SPDX-License-Identifier: BSD-2-Clause
"""The receiver on a Raspberry Pi (CPython with NumPy).

    receiver              packets in, 20 ms of speech out
    input/                datagrams to numbered packets in the jitter buffer
    concealment/          speech for every packet period: received, from DRED, predicted, or classic concealment
    playout_statistics    what was played; stage_timer: CPU time per stage
    interfaces, factory   what the parts of a receiver must offer, and the real ones
    output/               WAV file, sound card, nothing
    transport/            UDP sockets and serial lines
    security/             who may talk to the device, and the keys of a session
    service/              the device process: streams, load governor, pacing, scheduling
    machine               what this machine is
"""
