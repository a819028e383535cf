# SPDX-License-Identifier: BSD-2-Clause
"""The status of one end of a talk: that of a device's session for what it hears, with what it says beside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dredge_device.pi.status.teller import Teller
from dredge_host.errors import UsageError
from dredge_host.talk.hearing import Hearing


def tell(
    url: str, allow_remote: bool, address: str, hearing: Hearing, state: Callable[[], dict[str, Any]]
) -> Teller:
    """Publish the status at this URL until it is closed. state: of the talk, for its part of the document (`talk`).

    Raises UsageError (the URL), OSError (it cannot listen there), CapabilityError (no paho-mqtt).
    """
    def counts() -> dict[str, Any]:
        streams = {"running": int(hearing.peer is not None), "most": 1, "ended": hearing.sessions_ended}
        return {"streams": streams, "governor": hearing.governor.report(), "talk": state()}

    try:
        hearing.status = Teller(url, allow_remote, ("talk", address, hearing.info), hearing.log, counts)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return hearing.status
