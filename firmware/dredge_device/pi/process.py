# SPDX-License-Identifier: BSD-2-Clause
"""The device process: one socket, a thread that listens, a thread that plays."""

import ipaddress
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dredge_device import agent as agent_states
from dredge_device.agent import Agent
from dredge_device.pi.identity import describe
from dredge_device.pi.output import CapabilityError, Output, open_output
from dredge_device.pi.pacer import Pacer
from dredge_device.pi.receiver import Receiver

EXIT_OK, EXIT_USAGE, EXIT_UNREACHABLE, EXIT_CAPABILITY, EXIT_INTERRUPTED = 0, 2, 3, 5, 130
_LAST_WORDS_S = 1.0  # how long an interrupted process tries to deliver its final report
_MAX_DATAGRAM = 65535


class ListenError(ValueError):
    """The address is not one this process may listen on."""


@dataclass
class Options:
    """Settings of the process; a host may change the last three for its session."""

    listen: str = "udp://127.0.0.1:5004"
    out: str = "null"
    once: bool = False  # leave after the first session
    allow_remote: bool = False
    playout_ms: int = 1000
    conceal: str = "dred"
    lbrr: bool = True


def parse_listen(text: str, allow_remote: bool) -> tuple[str, int]:
    """Host and port of ``udp://HOST:PORT``; ListenError when it is another thing or not local."""
    host, colon, port = text.removeprefix("udp://").rpartition(":")
    if not text.startswith("udp://") or not colon or not port.isdigit() or int(port) > 65535:
        raise ListenError(f"listen address is '{text}', expected udp://HOST:PORT")
    if not allow_remote and not _is_loopback(host):
        raise ListenError(
            f"'{host}' can be reached from other machines, and the stream is neither encrypted "
            "nor authenticated: add --allow-remote if that is what you want"
        )
    return host, int(port)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _make_receiver(options: dict[str, Any]) -> Receiver:
    playout, conceal, lbrr = options["playout_ms"], options["conceal"], options["lbrr"]
    if not isinstance(playout, int) or not isinstance(conceal, str) or not isinstance(lbrr, bool):
        raise ValueError("playout_ms must be an integer, conceal a string and lbrr true or false")
    return Receiver(playout, conceal, lbrr)


class Process:
    """Socket, agent and output of one device process.

    Raises ListenError, OSError (cannot bind or write), CapabilityError (no sound card) and
    the models' own errors.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        address = parse_listen(options.listen, options.allow_remote)
        self._output: Output = open_output(options.out)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(0.1)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self.signal_number = 0
        defaults = {
            "playout_ms": options.playout_ms, "conceal": options.conceal, "lbrr": options.lbrr,
        }  # fmt: skip
        self._pacer = Pacer()
        self._agent = Agent(_make_receiver, defaults, describe(), on_end=self._end_session)

    @property
    def address(self) -> str:
        """Where the process listens, with the port the system chose."""
        host, port = self._socket.getsockname()[:2]
        return f"udp://{host}:{port}"

    def stop(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ends the process after its next period; fits signal.signal."""
        self.signal_number = number
        self._stopping.set()

    def run(self) -> None:
        """Listens and plays until stopped (or, with once, until the first session is over)."""
        listener = threading.Thread(target=self._listen, name="listen", daemon=True)
        listener.start()
        try:
            self._play()
        finally:
            self._stopping.set()
            listener.join()
            self._socket.close()
            self._output.discard()

    def _listen(self) -> None:
        done = False
        while not done:
            done = self._done_listening()
            try:
                datagram, peer = self._socket.recvfrom(_MAX_DATAGRAM)
            except TimeoutError:
                continue
            except ConnectionError:  # an earlier answer found nobody there: the peer's affair
                continue
            now_us = time.monotonic_ns() // 1000
            with self._lock:
                answers = self._agent.handle(datagram, peer, now_us)
            self._send(answers, peer)

    def _done_listening(self) -> bool:
        return self._stopping.is_set() and self._agent.state != agent_states.REPORTING

    def _play(self) -> None:
        self._pacer = Pacer()
        while not self._stopping.is_set():
            self._pacer.wait()
            self._period()
            if self._options.once and self._agent.sessions_ended:
                return
        self._last_words()

    def _period(self) -> None:
        played = None
        with self._lock:
            if self._agent.state in (agent_states.ACTIVE, agent_states.DRAINING):
                played = self._agent.receiver.pull()
                self._agent.played(played.packet, played.source, played.delay_ms, played.cpu_us)
        if played is not None:
            # Outside the lock: a sound card may block.
            self._output.write(played.pcm, played.packet is not None)
        self._tick()

    def _tick(self) -> None:
        with self._lock:
            peer = self._agent.peer
            datagrams = self._agent.tick(time.monotonic_ns() // 1000)
            if self._agent.over():
                self._agent.renew()
        self._send(datagrams, peer)

    def _last_words(self) -> None:
        """Interrupted: completes the output and tries to deliver the final report."""
        with self._lock:
            self._agent.interrupt()
        until = time.monotonic() + _LAST_WORDS_S
        while self._agent.state == agent_states.REPORTING and time.monotonic() < until:
            self._tick()
            time.sleep(0.02)
        with self._lock:
            if self._agent.state == agent_states.REPORTING:
                self._agent.renew()

    def _end_session(self) -> dict[str, Any]:
        return {**self._output.close(), "pacing": self._pacer.report()}

    def _send(self, datagrams: list[bytes], peer: Any) -> None:
        for datagram in datagrams:
            try:
                self._socket.sendto(datagram, peer)
            except OSError:  # a full queue or a vanished peer: reports are repeated anyway
                return


def run(options: Options, ready: Callable[[str], None] | None = None) -> int:
    """Runs the device process in this thread and returns its exit code (docs/protocol.md).

    ``ready`` is called with the address once it listens; sentences about what went wrong go to
    standard error.
    """
    try:
        process = Process(options)
    except CapabilityError as error:
        return _complain(error, EXIT_CAPABILITY)
    except OSError as error:
        return _complain(error, EXIT_UNREACHABLE)
    except ValueError as error:
        return _complain(error, EXIT_USAGE)
    except RuntimeError as error:  # models or libopus missing
        return _complain(error, EXIT_CAPABILITY)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, process.stop)
    (ready or _announce)(process.address)
    process.run()
    return EXIT_INTERRUPTED if process.signal_number == signal.SIGINT else EXIT_OK


def _announce(address: str) -> None:
    print(f"listening {address}", flush=True)


def _complain(error: Exception, code: int) -> int:
    print(f"dredge agent: {error}", file=sys.stderr)
    return code
