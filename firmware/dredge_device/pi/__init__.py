# SPDX-License-Identifier: BSD-2-Clause
"""The receiver on a Raspberry Pi (CPython with NumPy).

- ``receiver``: packets in, one 20 ms decision out; the recovery ladder
- ``recovery``: which later packet can help a lost one, and why not
- ``voice``: the vocoder's life from the start of a gap to the first real packet
- ``history``: what was played lately, as samples and as feature rows
- ``seam``: joining two pieces of speech without a click
- ``parts``: the decoder, models and packet readers the receiver is made of
- ``meter``: CPU time per stage
- ``output``: WAV file, sound card, nothing
- ``process``: the device process: one socket, two threads
"""
