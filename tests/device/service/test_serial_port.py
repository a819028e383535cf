# SPDX-License-Identifier: BSD-2-Clause
"""Datagrams over real pseudo-terminals: exact, damaged, slow, unplugged."""

import random
import time
from types import SimpleNamespace

import pytest
from cable import Cable, Faults

from dredge_device.pi.transport import serial_port
from dredge_device.pi.transport.schemes import BYTE_STREAMS, scheme_of
from dredge_device.pi.transport.serial_port import LineError, SerialLine
from dredge_device.pi.transport.serial_url import Board, SerialAddress, find_board, parse_serial


@pytest.fixture
def cable(tmp_path):
    with Cable(tmp_path) as made:
        yield made


def lines(cable, baud=921600):
    return [SerialLine(f"serial://{end}?baud={baud}") for end in cable.ends]


def datagrams(count, seed=1, size=300):
    dice = random.Random(seed)
    return [bytes(dice.randrange(256) for _ in range(dice.randrange(size))) for _ in range(count)]


def receive(line, count, seconds=60.0):
    until, got = time.monotonic() + seconds, []
    while len(got) < count and time.monotonic() < until:
        datagram = line.recv(min(0.1, seconds))
        if datagram is not None:
            got.append(datagram)
    return got


def wait_for(what, seconds=60.0):
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.01)
    assert what()


def test_both_directions_carry_any_bytes_in_order(cable):
    near, far = lines(cable)
    there, back = datagrams(60, 1), datagrams(60, 2)
    for one, two in zip(there, back, strict=True):
        near.send(one)
        far.send(two)
    assert receive(far, 60) == there and receive(near, 60) == back
    assert near.counters()["damaged"] == 0 and near.counters()["frames"] == 60
    assert far.recv(0.0) is None
    near.close()
    far.close()


def test_damage_costs_frames_but_never_lies(tmp_path):
    """Bit errors, lost and inserted bytes: what arrives is a part of what was sent, in order."""
    with Cable(tmp_path, faults=Faults(flipped=5e-4, dropped=5e-4, inserted=5e-4)) as cable:
        near, far = lines(cable)
        sent = [n.to_bytes(2, "big") + datagram for n, datagram in enumerate(datagrams(400, 3))]
        got = []
        for datagram in sent:
            near.send(datagram)
            got += receive(far, 1, 0.002)
        cable.faults.flipped = cable.faults.dropped = cable.faults.inserted = 0.0
        ends = 0
        while not got or got[-1] != b"the end":  # the cable carries in order: what has not come by then is lost
            near.send(b"the end")
            ends += 1
            got += receive(far, 1, 0.2)
        got = [datagram for datagram in got if datagram != b"the end"]
        assert cable.faulty > 20
        assert set(got) <= set(sent) and got == sorted(got)
        assert len(sent) - cable.faulty - 1 <= len(got) < len(sent)
        assert 0 <= far.counters()["missed"] - (len(sent) - len(got)) < ends  # the line knows how many it lost
        near.close()
        far.close()


def test_a_slow_line_drops_what_it_cannot_carry_and_says_so(tmp_path):
    with Cable(tmp_path, baud=57600) as cable:
        near, far = lines(cable, baud=57600)
        sent = datagrams(400, 4)
        for datagram in sent:
            near.send(datagram)
        overruns = near.overruns
        near.close()
        got = receive(far, len(sent) - overruns)
        assert overruns > 0 and len(got) + overruns == len(sent)
        assert set(got) <= set(sent)
        far.close()


def test_the_line_comes_back_after_it_was_unplugged(cable):
    near, far = lines(cable)
    near.send(b"before")
    assert receive(far, 1) == [b"before"]
    cable.unplug()
    wait_for(lambda: not near.up and not far.up)
    near.send(b"nobody is there")
    cable.plug()
    wait_for(lambda: near.up and far.up)
    near.send(b"after")
    far.send(b"and back")
    assert receive(far, 1) == [b"after"] and receive(near, 1) == [b"and back"]
    assert near.counters()["reopened"] == 1 and near.unsent == 1
    near.close()
    far.close()


def test_whoever_watches_is_told_that_the_port_is_gone_and_back(cable, capfd):
    near, far = lines(cable)
    assert near.trouble == ""
    cable.unplug()
    wait_for(lambda: not near.up)
    assert "is gone: was it unplugged?" in near.trouble and cable.ends[0] in near.trouble
    cable.plug()
    wait_for(lambda: near.up)
    assert near.trouble == ""
    near.close()
    far.close()
    said = capfd.readouterr().err
    assert said.count(f"{cable.ends[0]} is gone: was it unplugged?") == 1 and f"{cable.ends[0]} is back" in said
    assert near.trouble == "" and far.trouble == ""  # closed by us: nobody's fault


def test_a_datagram_that_no_frame_holds_is_counted(cable):
    near, far = lines(cable)
    near.send(bytes(2049))
    near.send(bytes(2048))
    assert receive(far, 1) == [bytes(2048)]
    assert near.counters()["too_long"] == 1
    near.close()
    far.close()


def test_closing_sends_what_is_queued(cable):
    near, far = lines(cable)
    for n in range(20):
        near.send(bytes([n]))
    near.close()
    assert receive(far, 20) == [bytes([n]) for n in range(20)]
    far.close()


def test_a_port_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(LineError, match="cannot be opened"):
        SerialLine(f"serial://{tmp_path}/no-such-tty")
    assert issubclass(LineError, ConnectionError)


def test_pyserials_own_loop_hears_itself():
    line = SerialLine("serial+loop://")
    line.send(b"echo \0")
    assert receive(line, 1) == [b"echo \0"]
    line.close()


def test_a_line_through_a_server_of_rfc_2217():
    """pyserial's own server half in front of a port that hears itself; its client refuses a write timeout."""
    import socket
    import threading

    import serial
    from serial import rfc2217

    server = socket.create_server(("127.0.0.1", 0))
    port = serial.serial_for_url("loop://", timeout=0.02)

    def serve():
        connection, _ = server.accept()
        manager = rfc2217.PortManager(port, SimpleNamespace(write=connection.sendall))

        def upwards():
            while not stopped.is_set():
                if data := port.read(256):
                    connection.sendall(b"".join(manager.escape(data)))

        thread = threading.Thread(target=upwards, daemon=True)
        thread.start()
        with connection:
            while data := connection.recv(4096):
                port.write(b"".join(manager.filter(data)))
        stopped.set()
        thread.join()

    stopped = threading.Event()
    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    line = SerialLine(f"rfc2217://127.0.0.1:{server.getsockname()[1]}?baud=57600")
    sent = datagrams(20, 5)
    for datagram in sent:
        line.send(datagram)
    assert receive(line, 20) == sent and port.baudrate == 57600
    line.close()
    serving.join(60)
    server.close()


def test_a_line_over_tcp(tmp_path):
    """pyserial's socket:// against a socket that echoes."""
    import socket
    import threading

    server = socket.create_server(("127.0.0.1", 0))

    def echo():
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                connection.sendall(data)

    thread = threading.Thread(target=echo, daemon=True)
    thread.start()
    line = SerialLine(f"socket://127.0.0.1:{server.getsockname()[1]}")
    sent = datagrams(20, 5)
    for datagram in sent:
        line.send(datagram)
    assert receive(line, 20) == sent
    line.close()
    thread.join(60)
    server.close()


class Port:
    """A port whose CTS line and options are visible."""

    def __init__(self, cts):
        self._cts, self.opened = cts, False

    @property
    def cts(self):
        if isinstance(self._cts, Exception):
            raise self._cts
        return self._cts

    def open(self):
        self.opened = True


@pytest.mark.parametrize(
    ("flow", "cts", "expected"),
    [("off", True, False), ("on", False, True), ("auto", True, True), ("auto", False, False),
     ("auto", OSError("no modem lines"), False)],
)  # fmt: skip
def test_flow_control_is_used_when_it_is_offered(monkeypatch, flow, cts, expected):
    port = Port(cts)
    monkeypatch.setattr("serial.serial_for_url", lambda *_, **__: port)
    assert serial_port.open_port(SerialAddress("/dev/x", 115200, flow)) is port
    assert port.opened and port.rtscts is expected and port.baudrate == 115200
    assert not {"dtr", "rts"} & set(vars(port))  # reset lines are left alone


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("serial:///dev/ttyUSB0?baud=115200", SerialAddress("/dev/ttyUSB0", 115200)),
        ("serial:///dev/ttyAMA0", SerialAddress("/dev/ttyAMA0", 921600)),
        ("serial://COM3?baud=9600&rtscts=auto", SerialAddress("COM3", 9600, "auto")),
        ("socket://pi:7000", SerialAddress("socket://pi:7000")),
        ("rfc2217://pi:7000?baud=57600&ign_set_control",
         SerialAddress("rfc2217://pi:7000?ign_set_control", 57600)),
        ("serial+loop://", SerialAddress("loop://")),
    ],
)  # fmt: skip
def test_urls(url, expected):
    assert scheme_of(url) in BYTE_STREAMS
    assert parse_serial(url) == expected


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("serial://", "expected serial://DEVICE"),
        ("udp://x:1", "expected serial://DEVICE"),
        ("serial:///dev/x?baud=fast", "baud is 'fast', expected a number from 1200"),
        ("serial:///dev/x?baud=300", "from 1200 to"),
        ("serial:///dev/x?rtscts=maybe", "expected one of off, on, auto"),
        ("serial:///dev/x?parity=e", "unknown option 'parity'"),
    ],
)
def test_bad_urls(url, sentence):
    with pytest.raises(ValueError, match=sentence):
        parse_serial(url)


def usb(device, vid=None, pid=None):
    return SimpleNamespace(device=device, vid=vid, pid=pid)


def test_only_exactly_one_known_board_is_found():
    pico, other = usb("/dev/ttyACM0", 0x2E8A, 5), usb("/dev/ttyS0")
    assert find_board([other, pico]) == Board("/dev/ttyACM0", 0x2E8A, 0x0005)
    with pytest.raises(ValueError, match="no known board"):
        find_board([other])
    with pytest.raises(ValueError, match=r"several boards.*ttyACM0.*Pico.*ttyUSB0 \(CP210x\)"):
        find_board([pico, usb("/dev/ttyUSB0", 0x10C4, 0xEA60)])


@pytest.fixture
def plugged(monkeypatch):
    """What the USB connectors say: a list that a test fills."""
    from serial.tools import list_ports

    ports = []
    monkeypatch.setattr(list_ports, "comports", lambda: list(ports))
    return ports


def test_a_board_that_comes_back_under_another_name_is_found_again(tmp_path, plugged):
    """Two real cables: the board's end is unplugged from the first and comes back as the end of the second."""
    first, second = tmp_path / "one", tmp_path / "two"
    for folder in (first, second):
        folder.mkdir()
    with Cable(first) as before, Cable(second) as after:
        plugged.append(SimpleNamespace(device=before.ends[0], vid=0x2E8A, pid=0x0005, serial_number="e66"))
        line = SerialLine("serial://auto?baud=230400")
        peer = SerialLine(f"serial://{before.ends[1]}?baud=230400")
        peer.send(b"before")
        assert receive(line, 1) == [b"before"]
        peer.close()
        plugged.clear()
        before.unplug()
        wait_for(lambda: not line.up)
        for name, serial in ((after.ends[1], "another board"), (after.ends[0], "e66")):
            plugged.append(SimpleNamespace(device=name, vid=0x2E8A, pid=0x0005, serial_number=serial))
        wait_for(lambda: line.up)
        assert line.address.port == after.ends[0]
        peer = SerialLine(f"serial://{after.ends[1]}?baud=230400")
        peer.send(b"after")
        line.send(b"answer")
        assert receive(line, 1) == [b"after"] and receive(peer, 1) == [b"answer"]
        assert line.counters()["reopened"] == 1
        peer.close()
        line.close()
        before.plug()


def test_a_board_is_not_guessed_where_two_are_alike_and_a_named_port_stays(plugged):
    board = Board("/dev/ttyACM0", 0x2E8A, 0x0005)
    for name in ("/dev/ttyACM1", "/dev/ttyACM2"):
        plugged.append(SimpleNamespace(device=name, vid=0x2E8A, pid=0x0005, serial_number=None))
    assert SerialAddress(board.port, board=board).now().port == "/dev/ttyACM0"
    del plugged[1]
    assert SerialAddress(board.port, board=board).now().port == "/dev/ttyACM1"
    assert SerialAddress("/dev/ttyUSB0").now().port == "/dev/ttyUSB0"
