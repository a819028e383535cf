# SPDX-License-Identifier: BSD-2-Clause
"""The host's half of a session with a device: it is greeted and configured, and its reports are collected."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import cast

from dredge_device import control
from dredge_device.pi.schema.documents import Description, SessionRequest
from dredge_device.pi.schema.report import DeviceReport
from dredge_device.pi.transport.schemes import scheme_of
from dredge_host.errors import UnreachableError, VersionMismatch
from dredge_host.links.link import Link, trouble_of
from dredge_host.live.control_channel import ControlChannel, Update
from dredge_host.settings import Settings

RETRY_S = 0.25
GREETING_S = 3.0
REQUEST_BYTES = 1100  # padded length of requests over UDP, since a device never answers more than it received



class Session(ControlChannel):
    """A session with a device agent over a link.

    Control messages are RTCP APP packets on the same link as the media (RFC 5761). `clock` and `sleep` replace real
    time in tests. Errors: UnreachableError (no or a refusing answer), VersionMismatch (another protocol or other
    models).
    """

    def __init__(self, link: Link, clock: Callable[[], float] = time.monotonic, update: Update | None = None) -> None:
        super().__init__(link, clock, update)
        self._number = 0
        self.device: Description = {}
        self._wanted: SessionRequest = {}

    def greet(self, models: list[str] | None = None) -> Description:
        """Greet the device and return its description; with `models`, it must have the same ones."""
        info = self._ask(control.HELLO, {"role": "host"}, GREETING_S)
        self.device, self.boot = info, info.get("boot")
        theirs = info.get("models")
        # A probe reads headers only and has no models.
        if models is not None and info.get("role") != "probe" and theirs != models:
            raise VersionMismatch(
                f"{self.link.url}: the device has the models {theirs}, this host {models}; "
                "install the same version of dredge on both"
            )
        return info

    def configure(
        self, settings: Settings, ssrc: int, first_sequence: int, first_timestamp: int = 0
    ) -> Description:
        """Configure the device's playout, and announce where the stream begins."""
        self._wanted = {
            **settings.for_session(),
            "ssrc": ssrc,
            "first_sequence": first_sequence,
            "first_timestamp": first_timestamp,
        }
        self.report = None  # an earlier final report belongs to another session
        return self._ask(control.CONFIGURE, self._wanted, GREETING_S)

    @property
    def key_changes(self) -> int:
        """The number of key changes of the link since its first keys; 0 without keys."""
        return int(getattr(self.link, "key_changes", 0))

    def rehello(self) -> None:
        """Greet and configure again while streaming, without waiting, in case the device restarted."""
        renew = getattr(self.link, "renew", None)
        self._number += 2
        requests: tuple[tuple[int, Mapping[str, object]], ...] = (
            (control.HELLO, {"role": "host"}), (control.CONFIGURE, self._wanted)
        )  # fmt: skip
        for step, (kind, document) in enumerate(requests):
            self.transmit(self._request(kind, self._number - 1 + step, document))
        if renew is not None:
            self._tolerantly(renew)

    def probe(self, body: bytes, timeout: float = 1.0) -> float | None:
        """Send these bytes and return the seconds until the device has echoed them unchanged; None if it did not."""
        self._number += 1
        begin = self._clock()
        self._echo = None
        self._awaited = control.PROBE, self._number & 0xFFFF
        self.link.send(control.build(control.Message(control.PROBE, self._number, body)))
        while self._clock() - begin < timeout:
            self.listen(begin + timeout, once=True)
            if self._echo == (self._number & 0xFFFF, body):
                return self._clock() - begin
        return None

    def ping(self) -> None:
        """Send a probe without waiting for it; `round_trip_s` is set when it returns."""
        self._number += 1
        self._ping = (self._number & 0xFFFF, self._clock())
        self.transmit(control.build(control.Message(control.PROBE, self._number)))

    def goodbye(self, last_sequence: int | None, wait_s: float, timestamp: int | None = None) -> DeviceReport | None:
        """End the stream; returns the final report if it arrives complete within `wait_s`."""
        body = {} if last_sequence is None else {"last_sequence": last_sequence & 0xFFFF}
        if timestamp is not None:
            body["last_timestamp"] = timestamp
        self._ask(control.BYE, body, GREETING_S)
        until = self._clock() + wait_s
        while self.report is None and self._clock() < until:
            self.listen(min(until, self._clock() + 0.1))
        if self.report is not None:
            self.listen(self._clock() + 0.05)  # acknowledge repetitions still in transit
        return self.report

    def _ask(self, kind: int, document: Mapping[str, object], timeout: float) -> Description:
        self._number += 1
        request = self._request(kind, self._number, document)
        self._awaited, self._answer = (kind, self._number & 0xFFFF), None
        until = self._clock() + timeout
        while self._clock() < until:
            self.link.send(request)
            retry = self._clock() + RETRY_S
            while self._clock() < retry:
                self.listen(retry, once=True)
                if self._answer is not None:
                    return self._accepted(cast(Description, self._answer))
        why = trouble_of(self.link) or f"no answer within {timeout:g} s; is the other end running, with the same key?"
        raise UnreachableError(f"{self.link.url}: {why}")

    def _request(self, kind: int, number: int, document: Mapping[str, object]) -> bytes:
        bare = control.build(control.with_document(kind, number, document))
        if not scheme_of(self.link.url).may_amplify:
            return bare
        padding = "." * max(0, REQUEST_BYTES - len(bare))
        return control.build(control.with_document(kind, number, {**document, "padding": padding}))

    def _accepted(self, answer: Description) -> Description:
        if answer.get("ok") is False:
            raise UnreachableError(f"{self.link.url}: the device refused: {answer.get('error')}")
        return answer
