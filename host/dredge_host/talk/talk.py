# SPDX-License-Identifier: BSD-2-Clause
"""A talk: both halves together."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from dredge_device.pi.output.interface import Output
from dredge_device.pi.schema.report import TalkPart
from dredge_device.pi.service import scheduling
from dredge_device.pi.service.notices import Notices
from dredge_host.audio_io.open import open_source
from dredge_host.audio_io.source import Source
from dredge_host.console import note
from dredge_host.errors import UnreachableError
from dredge_host.talk.admission import Admission
from dredge_host.talk.documents import TalkResult, TalkState
from dredge_host.talk.loudspeaker import Loudspeaker
from dredge_host.talk.options import TalkOptions
from dredge_host.talk.receiving import ReceivingHalf
from dredge_host.talk.result import document, state
from dredge_host.talk.running.halves import Halves
from dredge_host.talk.running.watchdog import Watchdog
from dredge_host.talk.sending import SendingHalf
from dredge_host.talk.shared_endpoint import SharedEndpoint
from dredge_host.talk.signal.gate import MicrophoneGate
from dredge_host.talk.status import tell

_UPDATE_S = 0.25
_LOOK_S = 5.0  # between two checks that both halves are alive; an unanswered call takes 3 s

Update = Callable[[TalkState], None]


class Talk:
    """One end of a talk; both ends run the same. The constructor opens all devices and ports; `start` begins.

    muted: called once per packet beside the attribute of the same name; source: gives 20 ms at a time in place of
    options.mic; output: takes 20 ms at a time in place of options.speaker, in a separate thread. Attributes to set
    at any time: ``muted``, ``volume``. A context manager: at its end the other end gets a goodbye and everything is
    closed.

    Raises UsageError, InputError (file), CapabilityError (card, pylibsrtp, libspeexdsp), UnreachableError (port taken).
    """

    def __init__(
        self,
        options: TalkOptions,
        *,
        muted: Callable[[], bool] | None = None,
        source: Source | None = None,
        output: Output | None = None,
    ) -> None:
        self.options = options
        notices = Notices(note)
        with ExitStack() as opened:
            self._admission = Admission(options, lambda peer: self._receiving.rekeyed(peer), notices)
            self.gate = MicrophoneGate(
                options.ptt, options.half_duplex, options.echo, muted or _never, lambda: self._speaker.level.now_db
            )
            opened.callback(self.gate.close)
            self._source = source or open_source(options.mic, options.rate, repeat=options.seconds is not None)
            opened.callback(self._source.close)
            self._speaker = Loudspeaker(options.speaker, options.rate, options.volume, output)
            opened.callback(self._speaker.discard)
            remote = options.allow_remote or self._admission.keyed
            self._shared = SharedEndpoint(options.to, options.listen, remote, self._admission.keyed, notices)
            opened.callback(self._shared.close)
            self._make_halves()
            self.status_url: str | None = None
            if options.status is not None:
                status = tell(options.status, options.allow_remote, self.address, self._receiving, self.state)
                opened.callback(status.close)
                self.status_url = status.url
            self._opened = opened.pop_all()

    def _make_halves(self) -> None:
        from dredge_models.registry import model_ids

        options, admission = self.options, self._admission
        self._receiving = ReceivingHalf(self._shared, admission.access, options.settings, self._speaker, self._about)
        self._speaker.delay = self._receiving.delay
        if self.gate.echo is not None:
            self._speaker.heard = self.gate.echo.played
        self._sending = SendingHalf(
            self._shared, options, self._source,
            peer=self._peer, hung_up=lambda: self._receiving.hung_up, gate=self.gate, muted=lambda: self.gate.shut,
            secure=admission.secured, may_send=admission.may_send,
            models=model_ids() if options.settings.conceal == "dred" else None,
        )  # fmt: skip
        self._halves = Halves(self._sending, self._receiving, options)

    @property
    def address(self) -> str:
        """The address at which this end can be called."""
        return self._shared.address

    @property
    def muted(self) -> bool:
        """Whether silence is sent, and no earlier speech."""
        return self.gate.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self.gate.muted = muted

    @property
    def volume(self) -> float:
        """The gain of the output."""
        return self._speaker.volume

    @volume.setter
    def volume(self, factor: float) -> None:
        self._speaker.volume = min(max(factor, 0.0), 16.0)

    def start(self) -> None:
        """Start the threads that call, answer, send and play."""
        self._halves.start()

    def run(self, update: Update | None = None) -> TalkResult:
        """Talk until `options.seconds` are over, the other end has hung up (`options.once`), `end` or Ctrl-C.

        Returns `result`. Raises UnreachableError without any call, and the halves' errors; Ctrl-C's KeyboardInterrupt.
        """
        if not self._halves.started:
            self.start()
        watchdog, looked = Watchdog(lambda: (self._sending.turns, self._receiving.turns)), 0.0
        try:
            while not self._halves.over():
                if update is not None:
                    update(self.state())
                self._halves.ending.wait(_UPDATE_S)
                if time.monotonic() - looked > _LOOK_S:
                    looked = time.monotonic()
                    watchdog.look()
        finally:
            self.end()
        if self._halves.error is not None:
            raise self._halves.error
        if not self._sending.calls and self.options.seconds is not None and not self._receiving.sessions_ended:
            raise UnreachableError(_nobody(self._shared.url, self.options))
        return self.result()

    def result(self) -> TalkResult:
        """Return what was sent and received, the losses and delays of both directions (dredge_host.talk.result)."""
        counts = self.seconds, self._source.report(), self._shared.report()
        return document(self._sending, self._receiving, self.options.settings, *counts)

    def end(self) -> None:
        """Say goodbye and wait for the other end's report; safe to call twice."""
        self._halves.end()

    def close(self) -> None:
        """End, and free cards, files and the port."""
        self.end()
        self._opened.close()

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def seconds(self) -> float:
        """The seconds since the first call was answered."""
        first = self._sending.first_s
        return 0.0 if first is None else round(time.monotonic() - first, 2)

    def state(self) -> TalkState:
        """Return the displayed state (dredge_host.talk.result)."""
        return state(self._sending, self._receiving, self.gate, self._speaker.level.db, self.seconds)

    def notes(self) -> list[str]:
        """Apply the process-wide scheduling options and start the status; return the outcomes as sentences."""
        said = [f"status at {self.status_url}"] if self.status_url is not None else []
        return [*said, scheduling.lock_memory()] if self.options.lock_memory else said

    def _peer(self) -> Any | None:
        return self._shared.called if self._shared.called is not None else self._receiving.peer

    def _about(self) -> TalkPart:
        spoken = self._sending.delay
        return {"sent": spoken.report() if spoken is not None else None, "received": self._receiving.delay.report()}


def _nobody(url: str, options: TalkOptions) -> str:
    whom = "nobody with this key" if options.key_file else "nobody"
    return f"{url}: {whom} answered or called within {options.seconds:g} s"


def _never() -> bool:
    return False
