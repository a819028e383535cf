# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of links by the scheme of their URL, and what host and device have to know about each.

A new kind is a row here, an endpoint in endpoint.ENDPOINTS and a link in the host's links.open.LINKS. What carries a
board's plain samples is no link of a stream: it is a source (host, audio_io) and an output (device, output).
"""

from typing import NamedTuple


class Scheme(NamedTuple):
    """usage: how a URL looks; needs_probe: bytes may be damaged, or too many for the line, so probes go over it before
    a stream; may_amplify: a sender's address can be forged, so nobody is answered more than it has sent; keyed: a
    pre-shared key makes sense on it.
    """

    usage: str
    needs_probe: bool = False
    may_amplify: bool = False
    keyed: bool = True


UDP = Scheme("udp://HOST:PORT", may_amplify=True)
SERIAL = Scheme("serial://DEVICE?baud=N", needs_probe=True)  # a port of this machine
TUNNEL = Scheme("socket://HOST:PORT", needs_probe=True)  # a serial line somewhere else, over TCP
LOOP = Scheme("loop://", keyed=False)  # a device within the host's own process
RTP = Scheme("rtp://HOST:PORT", may_amplify=True, keyed=False)  # a receiver that speaks RTP only; keys are static
BYTE_STREAMS = (SERIAL, TUNNEL)  # one peer each
PCM_UDP = Scheme("udp-pcm://[ADDR]:PORT", keyed=False)  # plain samples of a board on the network
PCM_LINE = Scheme("board://DEVICE?baud=N", keyed=False)  # the same on a serial port of this machine, USB included
PCM = (PCM_UDP, PCM_LINE)
OTHER = Scheme("", may_amplify=True)  # nothing is known of it

# socket, rfc2217, loop and spy are pyserial's own URLs of byte streams.
SCHEMES = {
    "udp": UDP,
    "rtp": RTP,
    "serial": SERIAL,
    "socket": TUNNEL,
    "rfc2217": TUNNEL,
    "serial+loop": SERIAL,
    "serial+spy": SERIAL,
    "loop": LOOP,
    "udp-pcm": PCM_UDP,
    "board": PCM_LINE,
}


def scheme_of(url: str) -> Scheme:
    """Return the kind of link that a URL names, OTHER for anything else."""
    name, colon, _ = url.partition("://")
    return SCHEMES.get(name, OTHER) if colon else OTHER
