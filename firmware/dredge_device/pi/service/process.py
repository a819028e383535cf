# SPDX-License-Identifier: BSD-2-Clause
"""The device process: one thread receives, one decodes and renders, and one per output plays."""

import math
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from dredge_device.pi.clock import monotonic_us
from dredge_device.pi.factory import ModelCache
from dredge_device.pi.machine import Machine
from dredge_device.pi.output.files import OutputError, is_stdout
from dredge_device.pi.output.interface import CapabilityError, Format
from dredge_device.pi.schema.documents import Description
from dredge_device.pi.security import session_keys
from dredge_device.pi.service import scheduling
from dredge_device.pi.service.building import (
    calibration_for,
    description_of,
    expected_costs,
    history_notes,
    make_access,
    make_receiver,
)
from dredge_device.pi.service.capabilities import describe
from dredge_device.pi.service.figures import ProcessFigures
from dredge_device.pi.service.governor import Governor
from dredge_device.pi.service.listener import Listener
from dredge_device.pi.service.notices import Notices
from dredge_device.pi.service.options import AUTO, Options
from dredge_device.pi.service.pacer import Pacer
from dredge_device.pi.service.stream_factory import StreamFactory
from dredge_device.pi.service.streams.admission import Candidates, Inbox
from dredge_device.pi.service.streams.receiver_pool import ReceiverPool
from dredge_device.pi.service.streams.sessions import Sessions
from dredge_device.pi.standard_streams import ERROR, say
from dredge_device.pi.status.reporter import StatusReporter
from dredge_device.pi.transport.endpoint import ListenError, is_local, open_endpoint, parse_listen
from dredge_device.pi.transport.errors import refusal

__all__ = ["ListenError", "Options", "Process", "parse_listen", "run"]

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_CAPABILITY, EXIT_INTERRUPTED = 0, 2, 3, 5, 130
_LAST_WORDS_S = 1.0  # longest time in which an interrupted process delivers its final report
_LINGER_S = 0.6


class Process:
    """Endpoint, access and streams of one device process; ``machine``: the facts about the machine in its reports.

    Raises ListenError, OSError (cannot bind or write), LineError (no such serial port),
    CapabilityError (no sound card, no paho-mqtt), ImportError (no pylibsrtp) and the models' own errors.
    """

    def __init__(self, options: Options, machine: Machine | None = None) -> None:
        self._machine = machine or Machine()
        self.calibration = calibration_for(options.vocoder, self._machine)
        if options.vocoder == AUTO and self.calibration is not None:
            options = replace(options, vocoder=self.calibration.choice.vocoder)
        self.options = options
        self._agreed = description_of(options)
        remote = options.allow_remote or options.key_file is not None or self._agreed.key is not None
        self.notices = Notices(quiet=options.quiet)
        self._inbox = Inbox()
        self._access = make_access(
            options,
            self._agreed.key,
            lambda peer: self._sessions.rekeyed(peer),
            lambda peer: peer in self._inbox.running,
            self.notices.warn,
        )
        self.info: Description = {**describe(self._machine), "boot": secrets.token_hex(4), "vocoder": options.vocoder}
        self._endpoint = open_endpoint(options.listen, remote)
        self._stopping = threading.Event()
        self._listener = Listener(self._endpoint, self._inbox, self._stopping)
        self.signal_number = 0
        self._pacer = Pacer()
        self._models = ModelCache()
        expected = expected_costs(options.vocoder, self.calibration)
        self._governor = Governor(monotonic_us, lambda: time.thread_time_ns() // 1000, expected)
        figures = ProcessFigures(self._machine, self._governor, self._endpoint, self._access, self._inbox)
        form = Format(options.rate, options.channels)
        try:
            self._pool = ReceiverPool(
                lambda wanted: make_receiver(wanted, self._models, self._agreed.types, form), options.for_session())
            factory = StreamFactory(
                options, self.info, self._pool.make, lambda: figures.session(self._pacer),
                lambda *report: self._sessions.log.reported(*report), self.notices,
            )  # fmt: skip
            self._sessions = Sessions(
                factory, options.streams, self._governor, self.notices,
                Candidates(self._agreed.types.opus | self._agreed.types.red))
        except BaseException:
            self._endpoint.close()
            raise
        self._status: StatusReporter | None = None
        try:
            sessions = self._sessions
            self._status = StatusReporter(
                options.status, options.allow_remote, ("agent", self.address, self.info), sessions.log,
                lambda: figures.status(len(sessions.peers), options.streams, sessions.sessions_ended), self._machine,
            )  # fmt: skip
        except BaseException:
            self.close()
            raise
        self.status_url = self._status.url

    @property
    def address(self) -> str:
        """The URL on which the process listens, with the port that the system chose."""
        return self._endpoint.address

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """End the process after its next period; usable as a handler of signal.signal."""
        self.signal_number = number
        self._stopping.set()

    def notes(self) -> list[str]:
        """Apply the scheduling that was asked for to the calling thread; return the results as sentences."""
        key_file, said = self.options.key_file, scheduling.apply(self.options)
        if key_file is not None and session_keys.open_to_others(key_file):
            said.append(f"{key_file} can be read by other users: chmod 600 {key_file}")
        return said + history_notes(self.options, self._agreed)

    def run(self) -> None:
        """Listen and play until stopped (or, with once, until the first session is over)."""
        self._listener.start()
        try:
            self._play()
        finally:
            self._stopping.set()
            self._listener.stop()
            self.close()
        if self._listener.dead:
            raise OSError("the thread that listens has died; what it said is above")

    def close(self) -> None:
        """Free everything of a process that was never run."""
        if self._status is not None:
            self._status.close()
        self._endpoint.close()
        self._sessions.close()
        self._pool.close()

    def _play(self) -> None:
        self._pacer = Pacer()
        until = math.inf if self.options.seconds is None else time.monotonic() + self.options.seconds
        while not self._stopping.is_set() and time.monotonic() < until:
            self._answer()
            if self._pacer.passed():
                if not self._inbox.running:  # late wake-ups without a session belong to no report
                    self._pacer.restart()
                self._send(self._sessions.tick(self._pacer.ticked_us))
                self._inbox.running = self._sessions.peers
                if self._status is not None:
                    self._status.tick(self._pacer.ticked_us)
                if self.options.once and self._sessions.sessions_ended:
                    self._linger()
                    return
            if not self._sessions.render(monotonic_us()):
                self._pacer.sleep()
        self._last_words()

    def _linger(self) -> None:
        """Answer for a while after the goodbye, because the answer may have been lost and the host asks again."""
        until = time.monotonic() + _LINGER_S
        while time.monotonic() < until and not self._stopping.is_set():
            time.sleep(0.02)
            self._answer()

    def _answer(self) -> None:
        """Answer the datagrams since the last period, up to the limit per period."""
        arrived = self._inbox.take()
        for datagram, peer, now_us in arrived:
            clear, answers = self._access.receive(datagram, peer, now_us)
            for answer in answers:
                self._endpoint.send(answer, peer)
            if clear is not None:
                self._send([(answer, peer) for answer in self._sessions.handle(clear, peer, now_us)])
        if any(peer not in self._inbox.running for _, peer, _ in arrived):
            self._inbox.running = self._sessions.peers

    def _last_words(self) -> None:
        """Complete the output after an interruption and try to deliver the final reports."""
        self._sessions.interrupt()
        until = time.monotonic() + _LAST_WORDS_S
        while self._sessions.reporting and time.monotonic() < until:
            self._answer()
            self._send(self._sessions.report(monotonic_us()))
            time.sleep(0.02)
        self._sessions.give_up()

    def _send(self, datagrams: list[tuple[bytes, Any]]) -> None:
        for datagram, peer in datagrams:
            wrapped = self._access.wrap(datagram, peer)
            if wrapped is not None:
                self._endpoint.send(wrapped, peer)


def run(options: Options, ready: Callable[[str], None] | None = None) -> int:
    """Listen and play until stopped (or, with once, until the first session is over)."""
    try:
        process = Process(options)
    except CapabilityError as error:
        return _complain(error, EXIT_CAPABILITY)
    except OutputError as error:
        return _complain(error, EXIT_USAGE)
    except OSError as error:
        return _complain(error, EXIT_UNREACHABLE)
    except ValueError as error:
        return _complain(error, EXIT_USAGE)
    except (RuntimeError, ImportError) as error:  # models, libopus or pylibsrtp missing
        return _complain(error, EXIT_CAPABILITY)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
            signal.signal(number, process.stop)
    try:
        for note in process.notes():
            process.notices.note(note)
    except ValueError as error:
        process.close()
        return _complain(error, EXIT_USAGE)
    try:
        (ready or _announcer(options))(process.address)
    except OSError as error:  # standard output is closed or full
        process.close()
        return _complain(error, EXIT_USAGE)
    process.notices.note(_ready(process.address, process.options, process.info))
    if options.vocoder == AUTO and process.calibration is not None:
        process.notices.note(process.calibration.line())
    if process.status_url is not None:
        process.notices.note(f"status at {process.status_url}")
    try:
        process.run()
    except OSError as error:  # for example a network interface that was removed
        return _complain(error, EXIT_UNREACHABLE)
    name = signal.Signals(process.signal_number).name if process.signal_number else ""
    process.notices.note(f"stopped by {name}" if name else "done")
    if process.signal_number == signal.SIGINT:
        return EXIT_INTERRUPTED
    return EXIT_USAGE if options.once and _output_failed(process) else EXIT_OK


def _output_failed(process: Process) -> bool:
    """Return whether an output has failed while its session ran, or at the end of the last one."""
    last = process._sessions.log.last
    at_the_end = last is not None and bool((last.report.get("output") or {}).get("error"))
    return at_the_end or process._sessions.lost_outputs > 0


def _announcer(options: Options) -> Callable[[str], None]:
    """Return a function that prints where the process listens: on standard output, unless the speech goes there."""
    where = sys.stderr if is_stdout(options.out) else sys.stdout
    return lambda address: print(f"listening {address}", file=where, flush=True)


def _ready(address: str, options: Options, info: Description) -> str:
    """Return one line with the process's URL, its access and its playout."""
    who = "this machine" if is_local(options.listen) else "everybody"
    who = "holders of the key" if options.key_file else "the session description's sender" if options.sdp else who
    policy = "adaptive" if options.adaptive else "fixed"
    return (
        f"ready at {address} for {who}, {options.streams} at a time; playout {policy}:{options.playout_ms}, "
        f"losses by {options.conceal}, vocoder {options.vocoder}, output {options.out}; "
        f"{info['board']}, kernels {info['simd']}, {info['opus']}"
    )


def _complain(error: Exception, code: int) -> int:
    say(refusal(error) if isinstance(error, OSError) else str(error), ERROR)
    return code
