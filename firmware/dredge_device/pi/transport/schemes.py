# SPDX-License-Identifier: BSD-2-Clause
"""Kinds of links by the scheme of their URL, and what host and device have to know about each.

A new kind is a row here, an endpoint in endpoint.ENDPOINTS and a link in the host's links.open.LINKS.
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
}


def scheme_of(url: str) -> Scheme:
    """The kind of link that a URL names; OTHER for anything else."""
    name, colon, _ = url.partition("://")
    return SCHEMES.get(name, OTHER) if colon else OTHER
