# SPDX-License-Identifier: BSD-2-Clause
"""A talk: microphone and loudspeaker at both ends, one socket, each end being host and device.

    shared_endpoint    the socket, and the dispatch of datagrams to the two halves
    sending            source → sender → link, in a thread
    receiving          link → receiver → sink, in a thread that the sink's clock drives
    gate               the microphone's processing: mute, push-to-talk, half duplex
    delay              the delay from mouth to ear in its parts
    talk               both halves together: `Talk`
"""
