# SPDX-License-Identifier: BSD-2-Clause
"""The receiver on a Raspberry Pi (CPython with NumPy).

    receiver              packets in, 20 ms of speech out
    input/                datagrams to numbered packets in the jitter buffer
    concealment/          speech for every packet period: received, from DRED, predicted, or classic concealment
    playing/              packet periods to 20 ms of output
    playout_statistics    counts of what was played; stage_timer: CPU time per stage
    interfaces, factory   the interfaces of a receiver's parts, and the real parts
    output/               WAV file, sound card, nothing
    transport/            UDP sockets and serial lines
    security/             access to the device, and the keys of a session
    service/              the device process: streams, load governor, pacing, scheduling
    machine, clock        the facts about this machine, its monotonic time
"""
