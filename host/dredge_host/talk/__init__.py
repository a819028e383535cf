# SPDX-License-Identifier: BSD-2-Clause
"""Talking: microphone and loudspeaker at both ends, one socket, each end host and device at once.

    shared_endpoint    the socket; what is for the receiving half and what for the sending half
    sending            source → sender → link, in a thread
    receiving          link → receiver → sink, in a thread that the sink's clock drives
    gate               what of the microphone goes out: mute, push-to-talk, half duplex
    delay              from mouth to ear, piece by piece
    talk               both halves together: `Talk`
"""
