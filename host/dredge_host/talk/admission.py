# SPDX-License-Identifier: BSD-2-Clause
"""The access to one end of a talk, and the limit on datagrams to a peer with an unproven address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dredge_device.pi.security.access import Access, KeyedAccess, OpenAccess
from dredge_device.pi.security.session_keys import KeyFileError, read_key
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.transport.endpoint import is_local
from dredge_device.pi.transport.schemes import scheme_of
from dredge_host.errors import UsageError
from dredge_host.links.link import Link
from dredge_host.talk.options import TalkOptions


class Admission:
    """The key of both directions, if there is one. rekeyed: called with a peer that has new keys; notices: reports
    peers that are refused.

    Raises UsageError for a bad key file, ImportError without pylibsrtp.
    """

    def __init__(self, options: TalkOptions, rekeyed: Callable[[Any], None], notices: Notices) -> None:
        self._calls = options.to is not None
        try:
            self._key = None if options.key_file is None else read_key(options.key_file)
        except KeyFileError as error:
            raise UsageError(str(error)) from None
        self.access: Access = OpenAccess(limited=not _is_local(options), warn=notices.warn)
        if self._key is not None:
            self.access = KeyedAccess(self._key, 2, rekeyed, warn=notices.warn)

    @property
    def keyed(self) -> bool:
        """True when only holders of the key are accepted."""
        return self._key is not None

    def secured(self, link: Link) -> Link:
        """Return the link with this end's keys."""
        if self._key is None:
            return link
        from dredge_host.links.secure import SecureLink

        return SecureLink(link, self._key)

    def may_send(self, datagram: bytes, peer: Any) -> bool:
        """Return whether a datagram may go to a peer: always to the called one and to holders of the key, to others in
        proportion to the bytes received.
        """
        return self._calls or self.keyed or self.access.wrap(datagram, peer) is not None


def _is_local(options: TalkOptions) -> bool:
    """Return whether senders' addresses cannot be forged on this link."""
    if options.to is not None and not scheme_of(options.to).may_amplify:
        return True
    return is_local(options.listen or "udp://127.0.0.1:0")
