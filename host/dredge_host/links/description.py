# SPDX-License-Identifier: BSD-2-Clause
"""The session description of a stream over a link."""

from __future__ import annotations

from pathlib import Path

from dredge_device import rtp
from dredge_device.pi.input.sdp import build
from dredge_device.pi.output.files import PRIVATE, OutputFile
from dredge_device.pi.transport.schemes import RTP, UDP, scheme_of
from dredge_host.errors import UsageError
from dredge_host.links.open import parse_udp
from dredge_host.settings import Settings


def write_description(
    path: str | Path, url: str, settings: Settings, key: bytes | None = None, keyed: bool = False,
    payload_type: int = rtp.PAYLOAD_TYPE,
) -> None:  # fmt: skip
    """Write the SDP (RFC 8866) of the stream that goes to this URL, for its owner only.

    key: of SRTP, where it is static; keyed: the two ends negotiate keys for the session, which a file cannot contain.
    Raises UsageError for such a stream and for a link other than RTP over UDP, OutputError for a file that cannot be
    written.
    """
    if scheme_of(url) not in (UDP, RTP):
        raise UsageError(f"--sdp describes RTP over UDP ({UDP.usage} or {RTP.usage}), not {url}")
    if keyed:
        raise UsageError(f"--sdp: a session's keys are made when it begins; only those of {RTP.usage} fit in a file")
    host, port = parse_udp(url)
    text = build(host, port, payload_type, key=key, history_ms=settings.standard_history_ms)
    with OutputFile(path, keep=False, mode=PRIVATE) as file:
        file.write(text.encode("ascii"))
