# SPDX-License-Identifier: BSD-2-Clause
"""The receiver on a Raspberry Pi (CPython with NumPy).

- ``receiver``: packets in, one 20 ms decision out; the recovery ladder
- ``recovery``: which later packet can help a lost one, and why not
- ``voice``: the vocoder's life from the start of a gap to the first real packet; ``ceiling``: how loud a guess may be
- ``load``, ``shelf``: what gives way under load; what streams share
- ``history``: what was played lately, as samples and as feature rows
- ``seam``: joining two pieces of speech without a click
- ``parts``: the decoder, models and packet readers the receiver is made of
- ``intake``: datagrams to numbered packets; ``tally``: what was played
- ``stretch``: speech shorter or longer by whole pitch periods
- ``meter``: CPU time per stage
- ``output``: WAV file, sound card, nothing
- ``serialurl``, ``serialline``, ``endpoint``: where datagrams come from
- ``sealing``, ``guard``: who may talk to the device
- ``switchboard``, ``playthread``, ``realtime``: many streams, outputs in threads, punctuality
- ``process``: the device process
"""
