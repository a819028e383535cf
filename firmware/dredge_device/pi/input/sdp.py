# SPDX-License-Identifier: BSD-2-Clause
"""Session descriptions (RFC 8866) of Opus streams: payload types, redundancy (RFC 2198), static keys (RFC 4568)."""

import base64
import binascii
import ipaddress
import re
from dataclasses import dataclass

from dredge_device import rtp
from dredge_device.pi.input.payloads import PayloadTypes

SUITE = "AES_CM_128_HMAC_SHA1_80"
KEY_BYTES = 30  # 16 of key, 14 of salt
# draft-ietf-mlcodec-opus-dred: the longest history of the redundancy in extension 32, in ms. The first is of
# the stream that is described, the second the longest that its receiver can use; both are hints.
SENT, USABLE = "sprop-ext32-dred-duration", "ext32-dred-duration"
_LONGEST_MS = 60_000  # a larger number is taken for a mistake
LARGEST = 65536


@dataclass(frozen=True)
class Description:
    """The session description of a stream.

    types: payload types of Opus and of redundant blocks; key: of SRTP, 30 bytes, None for RTP in the clear. history_ms:
    how far back DRED in extension 32 may reach; usable_ms: the same, as far as a receiver can use it; None where the
    description does not say.
    """

    types: PayloadTypes
    key: bytes | None = None
    history_ms: int | None = None
    usable_ms: int | None = None


def parse(text: str) -> Description:
    """Return what the description says of its audio. Raises ValueError with one sentence."""
    if len(text) > LARGEST:
        raise ValueError(f"session description of {len(text)} characters, expected {LARGEST} at most")
    formats: dict[int, dict[str, str]] = {}
    opus: set[int] = set()
    red: set[int] = set()
    key, audio = None, True
    for line in text.splitlines():
        name, _, value = line.strip().partition("=")
        if name == "m":
            audio = value.startswith("audio ")
        elif name == "a" and audio:
            found = re.fullmatch(r"rtpmap:(\d{1,3})\s+([\w-]+)/(\d+)(?:/\d+)?", value.strip())
            if found and int(found[1]) < 128 and found[2].lower() in ("opus", "red"):
                (opus if found[2].lower() == "opus" else red).add(int(found[1]))
            elif value.startswith("fmtp:"):
                number, _, parameters = value.removeprefix("fmtp:").partition(" ")
                if number.isdigit():
                    formats.setdefault(int(number[:3]), {}).update(_parameters(parameters))
            elif value.startswith("crypto:"):
                key = key or _key(value)
    if not opus:
        raise ValueError("the session description names no Opus (a=rtpmap:111 opus/48000/2)")
    durations = [
        max((ms for number in opus if (ms := _duration(formats.get(number, {}).get(name))) is not None), default=None)
        for name in (SENT, USABLE)
    ]
    return Description(PayloadTypes(frozenset(opus), frozenset(red)), key, *durations)


def _parameters(text: str) -> dict[str, str]:
    """Format parameters by their names in lower case."""
    pairs = (part.partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _duration(text: str | None) -> int | None:
    """Return the milliseconds, None for anything else: an invalid parameter is ignored (RFC 7587 section 7)."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 5 or int(text) > _LONGEST_MS:
        return None
    return int(text)


def _key(value: str) -> bytes:
    found = re.match(r"crypto:\d+\s+(\S+)\s+inline:([A-Za-z0-9+/=]+)", value)
    if not found or found[1] != SUITE:
        raise ValueError(f"the session description has the key of another suite, expected {SUITE}")
    try:
        key = base64.b64decode(found[2], validate=True)
    except binascii.Error:
        key = b""
    if len(key) != KEY_BYTES:
        raise ValueError(f"the key of the session description has {len(key)} bytes, expected {KEY_BYTES}")
    return key


def build(
    address: str, port: int, payload_type: int = rtp.PAYLOAD_TYPE, *, name: str = "dredge", key: bytes | None = None,
    mux: bool = False, origin: str = "127.0.0.1", history_ms: int = 0,
) -> str:  # fmt: skip
    """Return the description of a stream to this address, as RFC 7587 section 7 wants Opus described; key: SRTP by
    SDES.

    history_ms: how far back DRED in extension 32 reaches, 0 for a stream without.
    """
    history = f"; {SENT}={history_ms}" if history_ms else ""
    lines = [
        "v=0",
        f"o=- 0 0 IN {_family(origin)} {origin}",
        f"s={name}",
        f"c=IN {_family(address)} {address}",
        "t=0 0",
        f"m=audio {port} RTP/{'SAVP' if key else 'AVP'} {payload_type}",
        f"a=rtpmap:{payload_type} opus/48000/2",
        f"a=fmtp:{payload_type} stereo=0; sprop-stereo=0; maxplaybackrate=16000; sprop-maxcapturerate=16000{history}",
        "a=ptime:20",
    ]
    if key is not None:
        lines.append(f"a=crypto:1 {SUITE} inline:{base64.b64encode(key).decode()}")
    if mux:
        lines.append("a=rtcp-mux")
    return "".join(f"{line}\r\n" for line in lines)


def _family(address: str) -> str:
    try:
        return f"IP{ipaddress.ip_address(address.split('%')[0]).version}"
    except ValueError:
        return "IP4"
