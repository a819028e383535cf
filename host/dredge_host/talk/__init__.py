# SPDX-License-Identifier: BSD-2-Clause
"""Talking: microphone and loudspeaker at both ends, one socket, each end host and device at once.

    line       the socket; what is for the hearing half and what for the speaking half
    speaking   source → sender → link, in a thread
    hearing    link → receiver → sink, in a thread that the sink's clock drives
    gate       what of the microphone goes out: mute, push-to-talk, half duplex
    delay      from mouth to ear, piece by piece
    talk       both halves together: `Talk`
"""
