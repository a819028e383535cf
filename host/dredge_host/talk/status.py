# SPDX-License-Identifier: BSD-2-Clause
"""The status of one end of a talk: the session of the received speech as for a device, and the sent speech."""

from __future__ import annotations

from collections.abc import Callable

from dredge_device.pi.schema.documents import StatusCounts, StreamCounts
from dredge_device.pi.status.reporter import StatusReporter
from dredge_host.errors import UsageError
from dredge_host.talk.documents import TalkState
from dredge_host.talk.receiving import ReceivingHalf


def tell(
    url: str, allow_remote: bool, address: str, receiving: ReceivingHalf, state: Callable[[], TalkState]
) -> StatusReporter:
    """Publish the status at this URL until it is closed. state: of the talk, for its part of the document (`talk`).

    Raises UsageError (the URL), OSError (it cannot listen there), CapabilityError (no paho-mqtt).
    """
    def counts() -> StatusCounts:
        ended = receiving.sessions_ended
        streams: StreamCounts = {"running": int(receiving.peer is not None), "most": 1, "ended": ended}
        return {"streams": streams, "governor": receiving.governor.report(), "talk": state()}

    try:
        receiving.status = StatusReporter(url, allow_remote, ("talk", address, receiving.info), receiving.log, counts)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return receiving.status
