# SPDX-License-Identifier: BSD-2-Clause
"""Interoperable SRTP: one static key for all peers, from a session description (SDES, RFC 4568)."""

from collections.abc import Callable
from typing import Any

from dredge_device import rtp
from dredge_device.pi.security import session_keys
from dredge_device.pi.transport.addresses import name_of
from dredge_device.telemetry import Counters


class StaticAccess:
    """Access by SRTP for media and SRTCP for control (RFC 3711), with the same 30 bytes of key and salt.

    There is no handshake and no state per unknown peer: every holder of the key is served, and a recording can be
    replayed to a process that was started again. ``warn`` takes a kind and a line for the user. Raises ImportError
    without pylibsrtp.
    """

    def __init__(self, key: bytes, warn: Callable[[str, str], None] = lambda kind, text: None) -> None:
        self._inbound = session_keys.srtp(key, outbound=False)
        self._outbound = session_keys.srtp(key, outbound=True)
        self._warn = warn
        self.counters = Counters(("forged", "replayed", "withheld"))

    def receive(self, datagram: bytes, peer: Any, now_us: int) -> tuple[bytes | None, list[bytes]]:
        """Return the datagram in the clear when it is genuine and new."""
        del now_us
        undo = self._inbound.unprotect_rtcp if rtp.is_rtcp(datagram) else self._inbound.unprotect
        try:
            clear: bytes = undo(datagram)
        except Exception as error:  # pylibsrtp's own class cannot be named without importing it
            replayed = "replay" in str(error)
            self.counters.add("replayed" if replayed else "forged")
            if not replayed:
                self._warn("wrong key", f"{name_of(peer)} has another key than the session description, or none")
            return None, []
        return clear, []

    def wrap(self, datagram: bytes, peer: Any) -> bytes | None:
        """Return the datagram as SRTCP."""
        del peer
        if not rtp.is_rtcp(datagram):
            self.counters.add("withheld")
            return None
        sealed: bytes = self._outbound.protect_rtcp(datagram)
        return sealed
