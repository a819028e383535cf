# SPDX-License-Identifier: BSD-2-Clause
"""The factory of a device's streams: an output, an agent, and the process's part of the final report."""

import secrets
from collections.abc import Callable
from typing import Any

from dredge_device.agent import Agent
from dredge_device.pi.schema.documents import Description, SessionRequest
from dredge_device.pi.schema.report import DeviceReport, OutputReport
from dredge_device.pi.service.building import check_options, output_for
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.options import AUTO, Options
from dredge_device.pi.service.streams.sessions import StreamSession
from dredge_device.pi.transport.errors import refusal

MakeReceiver = Callable[[SessionRequest], Any]


class StreamFactory:
    """A callable that makes the stream of an index. options: with the device's vocoder; make_receiver: see
    ReceiverPool.make; about: the process's part of every final report; on_report: see Agent.
    """

    def __init__(
        self,
        options: Options,
        info: Description,
        make_receiver: MakeReceiver,
        about: Callable[[], OutputReport],
        on_report: Callable[[Agent, DeviceReport, int], None],
        notices: Notices,
    ) -> None:
        self._options, self._info, self._make = options, info, make_receiver
        self._about, self._on_report, self._notices = about, on_report, notices

    def __call__(self, index: int) -> StreamSession:
        output = output_for(self._options, index)

        def end_session() -> OutputReport:
            about = self._about()
            try:
                made = output.close()
            except OSError as error:
                self._notices.warn("output", f"the output failed at the end of a session: {refusal(error)}")
                made = {"error": refusal(error)}
            return {**made, **about}

        try:
            agent = Agent(
                self._receiver, self._options.for_session(), self._info, secrets.randbits(32), on_end=end_session,
                check=check_options, on_report=self._on_report,
            )  # fmt: skip
            return StreamSession(agent, output, clock=output.clock)
        except BaseException:
            output.discard()
            raise

    def _receiver(self, wanted: SessionRequest) -> Any:
        """Return a receiver; without a vocoder in the request, it gets the device's."""
        chosen = self._options.vocoder if wanted["vocoder"] == AUTO else wanted["vocoder"]
        return self._make({**wanted, "vocoder": chosen})
