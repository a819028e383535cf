# SPDX-License-Identifier: BSD-2-Clause
"""rtpdump files (rtptools, Wireshark): a line, a header of 16 bytes, then one record per datagram."""

from __future__ import annotations

import struct

from dredge_host.capture.packets import ANY, Capture, Choice
from dredge_host.capture.rtp_stream import RtpStreams

MAGIC = b"#!rtpplay1.0 "
_HEADER = 16
_RECORD = struct.Struct(">HHI")      # length with these 8 bytes, length of the RTP packet (0: RTCP), milliseconds
MAX_LINE = 200


def read(data: bytes, choice: Choice = ANY) -> Capture:
    """Return the packets of the chosen stream. Raises ValueError for a damaged file."""
    end = data.find(b"\n", 0, MAX_LINE)
    if end < 0:
        raise ValueError(f"rtpdump: expected a first line of at most {MAX_LINE} bytes")
    at = end + 1 + _HEADER
    streams, notes = RtpStreams(), []
    while at < len(data):
        if len(data) - at < _RECORD.size:
            notes.append("the file ends inside a record")
            break
        size, original, milliseconds = _RECORD.unpack_from(data, at)
        if size < _RECORD.size:
            raise ValueError(f"rtpdump: at byte {at} a record of {size} bytes, expected {_RECORD.size} or more")
        body = data[at + _RECORD.size : at + size]
        if len(body) < size - _RECORD.size:
            notes.append("the file ends inside a record")
            break
        if original > len(body):
            streams.left_out["records cut off by the recorder (rtpdump needs -F dump)"] += 1
        elif original:
            streams.add(body[:original], milliseconds / 1000)
        at += size
    capture = streams.choose("rtpdump", choice)
    capture.notes += notes[:10]
    return capture
