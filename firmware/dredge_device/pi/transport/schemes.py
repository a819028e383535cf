# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of links by the scheme of their URL, and the properties of each for host and device.

A new kind is a row here, an endpoint in endpoint.ENDPOINTS and a link in the host's links.open.LINKS. A carrier of a
board's plain samples is not the link of a stream, but a source (host, audio_io) and an output (device, output).
"""

from typing import NamedTuple


class Scheme(NamedTuple):
    """usage: the form of its URLs; needs_probe: the line may damage or drop bytes, so probes test it before
    a stream; may_amplify: a sender's address can be forged, so answers are never larger than requests; keyed: a
    pre-shared key makes sense on it.
    """

    usage: str
    needs_probe: bool = False
    may_amplify: bool = False
    keyed: bool = True


UDP = Scheme("udp://HOST:PORT", may_amplify=True)
SERIAL = Scheme("serial://DEVICE?baud=N", needs_probe=True)  # a port of this machine
TUNNEL = Scheme("socket://HOST:PORT", needs_probe=True)  # a serial line on another machine, over TCP
LOOP = Scheme("loop://", keyed=False)  # a device within the host's own process
RTP = Scheme("rtp://HOST:PORT", may_amplify=True, keyed=False)  # a receiver that speaks RTP only; keys are static
BYTE_STREAMS = (SERIAL, TUNNEL)  # one peer each
PCM_UDP = Scheme("udp-pcm://[ADDR]:PORT", keyed=False)  # plain samples of a board on the network
PCM_LINE = Scheme("board://DEVICE?baud=N", keyed=False)  # the same on a serial port of this machine, USB included
PCM = (PCM_UDP, PCM_LINE)
OTHER = Scheme("", may_amplify=True)  # an unknown kind

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
