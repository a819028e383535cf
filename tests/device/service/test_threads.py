# SPDX-License-Identifier: BSD-2-Clause
"""The pieces of the device process: output thread, streams by host, what the system permits."""

import os
import socket
import threading

import numpy as np
import pytest
from device_fakes import fake_parts, packet
from device_host import Host, start_agent
from waiting import LONGEST_S, until

from dredge_device import control, rtp
from dredge_device.agent import Agent
from dredge_device.pi.machine import Machine
from dredge_device.pi.output.threaded import ThreadedOutput
from dredge_device.pi.receiver import Receiver
from dredge_device.pi.service import scheduling
from dredge_device.pi.service.building import make_access, output_for
from dredge_device.pi.service.options import Options
from dredge_device.pi.service.process import Process
from dredge_device.pi.service.streams.sessions import Sessions, StreamSession
from dredge_device.pi.transport.addresses import is_loopback
from dredge_device.pi.transport.endpoint import ListenError, open_endpoint
from dredge_host.doctor import doctor

PIECE = np.arange(320, dtype=np.int16)
OPTIONS = {"playout_ms": 40, "adaptive": False, "conceal": "dred", "lbrr": True}


class Slow:
    """An output that waits for permission before every write."""

    def __init__(self, error=None):
        self.gate, self.written, self.error, self.discarded = threading.Event(), 0, error, False

    def write(self, pcm, spoken, at_us=0):
        self.gate.wait(LONGEST_S)
        if self.error:
            raise self.error
        self.written += 1

    def close(self):
        return {"kind": "slow", "written": self.written}

    def discard(self):
        self.discarded = True


def test_a_slow_disk_gets_everything_and_delays_nobody():
    slow = Slow()
    output = ThreadedOutput(slow, is_file=True)
    for _ in range(500):
        output.write(PIECE, True)  # returns although nothing is written yet
    assert slow.written == 0
    slow.gate.set()
    assert output.close() == {"kind": "slow", "written": 500}
    output.discard()
    assert slow.discarded


def test_a_slow_card_loses_what_it_cannot_play_in_time():
    slow = Slow()
    output = ThreadedOutput(slow, is_file=False)
    for _ in range(100):
        output.write(PIECE, True)
    slow.gate.set()
    report = output.close()
    assert report["written"] + report["dropped"] == 100 and report["dropped"] >= 45
    assert output.close()["dropped"] == 0
    output.discard()


def test_a_full_disk_is_not_silent():
    output = ThreadedOutput(Slow(OSError("No space left on device")), is_file=True)
    output._output.gate.set()
    with pytest.raises(OSError, match="No space left"):
        for _ in range(10000):
            output.write(PIECE, True)
    output.discard()


class Ear:
    def __init__(self):
        self.spoken = 0

    def write(self, pcm, spoken, at_us=0):
        assert pcm.shape == (320,)
        self.spoken += spoken

    def close(self):
        return {}

    def discard(self):
        self.spoken = -1


def board(most):
    clock = [0]

    def make(index):
        def receiver(options):
            return Receiver(options["playout_ms"], clock_us=lambda: clock[0], parts=fake_parts())

        return StreamSession(Agent(receiver, OPTIONS, {"ok": True, "index": index}), Ear())

    return Sessions(make, most), clock


def test_hosts_have_streams_of_their_own():
    streams, clock = board(3)
    for n in range(60):
        for host in range(3):
            streams.handle(rtp.build(n, 960 * n, 7, packet(n)), host, clock[0])
        sent = streams.period(clock[0])
        clock[0] += 20_000
        assert all(peer in range(3) for _, peer in sent)
    assert len(streams.streams) == 3
    assert [stream.output.spoken for stream in streams.streams] == [58] * 3
    assert {stream.agent.peer for stream in streams.streams} == {0, 1, 2}


def test_one_host_too_many_is_told_so_and_an_idle_stream_is_used_again():
    streams, _ = board(2)
    hello = control.build(control.Message(control.HELLO, 1))
    for host in (0, 1):
        (answer,) = streams.handle(hello, host, 0)
        assert control.parse(answer)[0].document()["index"] == host
    (answer,) = streams.handle(hello, 2, 0)
    assert control.parse(answer)[0].document() == {"ok": False, "error": "all 2 streams of the device are in use"}
    streams.interrupt()
    streams.give_up()
    assert streams.sessions_ended == 2 and not streams.reporting
    (answer,) = streams.handle(hello, 2, 0)
    assert control.parse(answer)[0].document()["ok"] and len(streams.streams) == 2
    streams.close()
    assert all(stream.output.spoken == -1 for stream in streams.streams)


def test_refused_priorities_are_explained(monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    assert "not permitted" in scheduling.real_time() and "LimitRTPRIO" in scheduling.real_time()
    monkeypatch.setattr(os, "sched_setscheduler", lambda *_: None)
    assert "SCHED_FIFO" in scheduling.real_time()


@pytest.mark.parametrize(("answer", "words"), [(0, "memory is locked"), (-1, "LimitMEMLOCK")])
def test_locked_memory_says_what_came_of_it(monkeypatch, answer, words):
    class Library:
        def __init__(self, *_, **__):
            pass

        def mlockall(self, flags):
            assert flags == 3
            return answer

    monkeypatch.setattr(scheduling.ctypes, "CDLL", Library)
    assert words in scheduling.lock_memory()


def test_cores_that_are_not_there_are_refused(monkeypatch):
    pinned = []
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(os, "sched_setaffinity", lambda _, cores: pinned.append(cores))
    assert scheduling.pin(1) == "decoding on core 1" and pinned == [{1}]
    with pytest.raises(ValueError, match="core 9 is not available, expected one of 0, 1"):
        scheduling.pin(9)


def test_the_report_reads_the_board_as_doctor_does(tmp_path):
    """A Raspberry Pi that is known by its part number, and whose firmware alone knows of throttling."""
    for name, text in {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
        "proc/cpuinfo": "processor : 0\nCPU part : 0xd08\nHardware : BCM2835\n",
        "sys/class/thermal/thermal_zone0/temp": "61234\n",
        "usr/bin/vcgencmd": '#!/bin/sh\n[ "$1" = get_throttled ] && echo throttled=0x50005\n',
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "usr/bin/vcgencmd").chmod(0o755)
    machine = Machine(tmp_path)
    process = Process(Options(listen="udp://127.0.0.1:0", conceal="opus", once=True), machine)
    thread = threading.Thread(target=process.run)
    thread.start()
    host = Host(("127.0.0.1", int(process.address.rpartition(":")[2])))
    try:
        assert host.ask(control.HELLO)["board"] == "Raspberry Pi 4 Model B Rev 1.4"
        assert host.ask(control.BYE)["ok"]
        reported = host.final()["output"]["machine"]
    finally:
        process.stop()
        thread.join()
        host.close()
    assert reported == machine.facts()
    assert (reported["cpu"], reported["temperature_c"]) == ("Cortex-A72", 61.234)
    assert reported["throttling"] == [
        "under-voltage now", "throttled now", "under-voltage since boot", "throttled since boot"
    ]  # fmt: skip
    page = {finding.name: finding.value for finding in doctor.examine(machine)}
    assert page["throttling"] == ", ".join(reported["throttling"])
    assert page["cpu"].startswith(reported["cpu"])


@pytest.mark.parametrize(
    ("url", "remote", "sentence"),
    [("udp://0.0.0.0:0", False, "--key-file"), ("udp://x", True, "expected udp://HOST:PORT or serial"),
     ("tcp://127.0.0.1:1", True, "expected udp")],
)  # fmt: skip
def test_addresses_that_are_refused(url, remote, sentence):
    with pytest.raises(ListenError, match=sentence):
        open_endpoint(url, remote)


def test_an_endpoint_is_told_from_its_peers():
    near, far = open_endpoint("udp://127.0.0.1:0", False), open_endpoint("udp://localhost:0", False)
    host, port = near.address.removeprefix("udp://").split(":")
    far.send(b"x" * 5000, (host, int(port)))  # longer than any stream needs: counted, and no memory is lost
    far.send(b"x" * 4096, (host, int(port)))
    assert near.recv(5.0) is None and len(near.recv(5.0)[0]) == 4096
    assert near.report()["too_long"] == 1
    far.send(b"x", ("0.0.0.0", 0))
    assert far.report() == {"kind": "udp", "unsent": 1, "unheard": 0, "too_long": 0}
    near.close()
    far.close()


def test_localhost_needs_no_resolver(monkeypatch):
    def unknown(*about, **how):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    endpoint = open_endpoint("udp://localhost:0", False)
    assert endpoint.address.startswith("udp://127.0.0.1:")
    endpoint.close()
    with pytest.raises(OSError, match="'elsewhere' is not known; listen on an address"):
        open_endpoint("udp://elsewhere:0", True)


def test_limits_apply_to_remote_peers_without_a_key_only(tmp_path):
    assert is_loopback("127.3.4.5") and not is_loopback("example.org")
    assert make_access(Options(listen="udp://127.0.0.1:1", allow_remote=True)).wrap(b"x", "peer") == b"x"
    assert make_access(Options(listen="serial:///dev/x")).wrap(b"x", "peer") == b"x"
    assert make_access(Options(listen="udp://0.0.0.0:1", allow_remote=True)).wrap(b"x", "peer") is None


def test_files_of_streams_have_names_of_their_own(tmp_path):
    first, second = (output_for(Options(out=str(tmp_path / "a.wav")), index) for index in range(2))
    second.write(PIECE, True)
    assert second.close()["file"] == str(tmp_path / "a-s2.wav")
    for output in (first, second):
        output.discard()


@pytest.mark.skipif(os.geteuid() != 0 or len(os.sched_getaffinity(0)) < 2, reason="needs two cores and root: sudo")
def test_only_the_thread_that_decodes_is_real_time_and_on_its_core():
    """A flood keeps the listening thread busy: it must not run before the decoder, nor on its core."""
    core = min(os.sched_getaffinity(0))
    process, _ = start_agent("--conceal", "opus", "--realtime", "--core", str(core))
    try:
        if "not permitted" in process.stderr.readline() + process.stderr.readline():
            pytest.skip("this machine permits no real-time scheduling")

        def threads():
            return [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]

        def settled():
            return len(threads()) >= 4 and len([t for t in threads() if os.sched_getaffinity(t) == {core}]) == 1

        until(settled)
        real_time = [t for t in threads() if os.sched_getscheduler(t) & os.SCHED_FIFO]
        assert [t for t in threads() if os.sched_getaffinity(t) == {core}] == real_time == [process.pid]
    finally:
        process.kill()
        process.communicate()
