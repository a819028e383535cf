# SPDX-License-Identifier: BSD-2-Clause
"""The status of one end of a talk: what it hears is a device's session, what it says stands beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dredge_device.pi.status.document import StatusDocument
from dredge_device.pi.status.open import Status, open_status
from dredge_device.pi.status.publisher import Publisher
from dredge_host.errors import UsageError
from dredge_host.talk.hearing import Hearing


def tell(
    url: str, allow_remote: bool, address: str, hearing: Hearing, state: Callable[[], dict[str, Any]]
) -> Status:
    """Tells it at this URL until it is closed. state: of the talk, for its part of the document (`talk`).

    Raises UsageError (the URL), OSError (it cannot listen there), CapabilityError (no paho-mqtt).
    """
    document = StatusDocument("talk", address, hearing.info)

    def counts() -> dict[str, Any]:
        streams = {"running": int(hearing.peer is not None), "most": 1, "ended": hearing.sessions_ended}
        return {"streams": streams, "governor": hearing.governor.report(), "talk": state()}

    try:
        status = open_status(url, document, allow_remote)
    except ValueError as error:
        raise UsageError(str(error)) from None
    hearing.publisher = Publisher(document, hearing.log, counts)
    return status
