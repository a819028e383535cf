# SPDX-License-Identifier: BSD-2-Clause
"""The parts of reports that describe the device process: timing, load, the link, the machine."""

from dredge_device.pi.machine import Machine
from dredge_device.pi.schema.documents import StatusCounts, StreamCounts
from dredge_device.pi.schema.report import Link, OutputReport
from dredge_device.pi.security.access import Access
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.service.streams.admission import Inbox
from dredge_device.pi.transport.endpoint import Endpoint


class ProcessFigures:
    """The figures of a process, read by the playing thread."""

    def __init__(self, machine: Machine, governor: Governor, endpoint: Endpoint, access: Access, inbox: Inbox) -> None:
        self._machine, self._governor = machine, governor
        self._endpoint, self._access, self._inbox = endpoint, access, inbox

    def session(self, pacer: Pacer) -> OutputReport:
        """Return the parts of the final report of a session; and restart the counts of the pacer."""
        pacing = pacer.session(self._governor.late())
        load = self._governor.report()
        return {"machine": self._machine.facts(), "pacing": pacing, "load": load, "link": self._link()}

    def status(self, running: int, most: int, ended: int) -> StatusCounts:
        """Return the parts of a status document: all streams together."""
        streams: StreamCounts = {"running": running, "most": most, "ended": ended}
        return {"streams": streams, "governor": self._governor.report(), "link": self._link()}

    def _link(self) -> Link:
        inbox = {"overflow": self._inbox.overflow, "dropped": self._inbox.dropped}
        return {**self._endpoint.report(), **self._access.counters.snapshot(), **inbox}
