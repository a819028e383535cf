# SPDX-License-Identifier: BSD-2-Clause
"""A network that breaks: what is lost is counted, what comes back is used, and what does not is told."""

import errno
import json
import signal
import socket
import subprocess
import sys

import pytest
from processes import environment

from dredge_device.pi.service import process
from dredge_device.pi.transport.endpoint import UdpEndpoint
from dredge_device.pi.transport.udp import MAX_DATAGRAM
from dredge_host.errors import UnreachableError
from dredge_host.links.udp import UdpLink

ERRORS = (errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, errno.EAGAIN, errno.ENOBUFS, errno.ECONNREFUSED)


class Broken:
    """A socket that fails with one error so many times, and then works."""

    def __init__(self, inner, code, times):
        self._inner, self._code, self.times = inner, code, times

    def __getattr__(self, name):
        return getattr(self._inner, name)

    def _work(self, call, *arguments):
        if self.times:
            self.times -= 1
            raise OSError(self._code, "broken")
        return call(*arguments)

    def recvfrom(self, size):
        return self._work(self._inner.recvfrom, size)

    def sendto(self, data, peer):
        return self._work(self._inner.sendto, data, peer)

    def recv(self, size):
        return self._work(self._inner.recv, size)

    def send(self, data):
        return self._work(self._inner.send, data)


@pytest.mark.parametrize("code", ERRORS)
def test_a_device_goes_on_listening_and_sending(code):
    near, far = UdpEndpoint("127.0.0.1", 0), UdpEndpoint("127.0.0.1", 0)
    broken = Broken(near._sockets[socket.AF_INET], code, 2)
    near._sockets[socket.AF_INET] = broken
    for _ in range(2):
        near.send(b"lost", place(far))
    near.send(b"kept", place(far))
    assert far.recv(1.0)[0] == b"kept" and near.report()["unsent"] == 2
    far.send(b"question", place(near))
    broken.times, heard = 2, []
    for _ in range(3):
        near._ready = broken if broken.times else near._ready  # the socket that had the last datagram fails
        heard.append(near.recv(0.5))
    assert [h[0] for h in heard if h] == [b"question"]
    # A peer that is gone is no fault, and nothing to read is none either.
    assert near.report()["unheard"] == (0 if code in (errno.ECONNREFUSED, errno.EAGAIN) else 2)
    near.close()
    far.close()


def test_a_datagram_too_long_to_be_ours_is_counted_and_not_cut():
    near, far = UdpEndpoint("127.0.0.1", 0), UdpEndpoint("127.0.0.1", 0)
    for size in (MAX_DATAGRAM + 1, 9000, MAX_DATAGRAM):
        far.send(bytes(size), place(near))
    heard = [near.recv(0.5) for _ in range(3)]
    assert [len(h[0]) for h in heard if h] == [MAX_DATAGRAM]
    assert near.report()["too_long"] == 2
    near.close()
    far.close()


def place(endpoint):
    """(host, port) of an endpoint on IPv4."""
    host, _, port = endpoint.address.removeprefix("udp://").rpartition(":")
    return host, int(port)


@pytest.mark.parametrize("code", ERRORS)
def test_a_host_says_which_link_failed(code):
    near, far = UdpEndpoint("127.0.0.1", 0), None
    link = UdpLink("127.0.0.1", place(near)[1])
    link._socket = far = Broken(link._socket, code, 1)
    with pytest.raises(UnreachableError, match=r"udp://127\.0\.0\.1"):
        link.send(b"x")
    link.send(b"y")
    datagram, peer, _ = near.recv(1.0)
    assert datagram == b"y"
    near.send(b"answer", peer)
    far.times = 1
    with pytest.raises(UnreachableError, match=r"udp://127\.0\.0\.1"):
        link.recv(1.0)
    assert link.recv(1.0) == b"answer"
    link.close()
    near.close()


def test_a_datagram_that_is_too_long_is_one_loss():
    near = UdpEndpoint("127.0.0.1", 0)
    near.send(bytes(70000), place(near))
    assert near.report()["unsent"] == 1
    link = UdpLink("127.0.0.1", place(near)[1])
    with pytest.raises(UnreachableError, match="Message too long"):
        link.send(bytes(70000))
    link.close()
    near.close()


def test_a_device_whose_listener_dies_ends(monkeypatch, capsys):
    def deaf(self, timeout):
        raise RuntimeError("a bug")

    monkeypatch.setattr(UdpEndpoint, "recv", deaf)
    monkeypatch.setattr(process.threading, "excepthook", lambda arguments: None)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        code = process.run(process.Options(listen="udp://127.0.0.1:0", conceal="opus"), lambda address: None)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert code == 3 and "the thread that listens has died" in capsys.readouterr().err


INSIDE = """
ip link set lo up
"$1" -m dredge_device --listen udp://127.0.0.1:5004 --out null > "$2/said" 2> "$2/complaint" &
agent=$!
while ! grep -q listening "$2/said"; do kill -0 $agent || exit 9; sleep 0.05; done
"$1" -m dredge_host stream "$3" --to udp://127.0.0.1:5004 --redundancy 0 --conceal opus --playout fixed:100 \
    --json --json-lines > "$2/json" 2> "$2/host" &
host=$!
seconds() { grep -c t_s "$2/host"; }
while [ "$(seconds "$@")" -lt 1 ]; do kill -0 $host || exit 8; sleep 0.05; done
ip link set lo down
told=$(seconds "$@")
while [ "$(seconds "$@")" -lt $((told + 2)) ] && kill -0 $host; do sleep 0.05; done
if [ "$4" = back ]; then ip link set lo up; fi
wait $host
echo $? > "$2/code"
kill $agent
wait $agent
echo $? > "$2/agent"
"""


def without_network(tmp_path, clip, how):
    """A stream in a network namespace whose only interface goes down while it runs."""
    if subprocess.run(["unshare", "-rn", "ip", "link"], capture_output=True).returncode:
        pytest.skip("needs root, network namespaces and ip: sudo make test, apt-get install iproute2")
    command = ["unshare", "-rn", "sh", "-c", INSIDE, "sh", sys.executable, str(tmp_path), str(clip), how]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment())
    assert (tmp_path / "agent").exists(), (done, (tmp_path / "host").read_text())
    assert (tmp_path / "agent").read_text() == "0\n"
    assert "Traceback" not in (tmp_path / "complaint").read_text() + (tmp_path / "host").read_text()
    return int((tmp_path / "code").read_text())


def test_an_interface_that_goes_down_for_a_second(tmp_path, speech):
    code = without_network(tmp_path, speech(4), "back")
    document = json.loads((tmp_path / "json").read_text())
    packets = document["device_report"]["packets"]
    assert code in (0, 1) and packets["sent"] == 200 == packets["arrived"] + packets["missing"]
    assert packets["missing"] >= 30 and packets["arrived"] >= 60


def test_an_interface_that_stays_down_is_told(tmp_path, speech):
    assert without_network(tmp_path, speech(3), "gone") == 3
    complaint = (tmp_path / "host").read_text()
    assert "dredge: udp://127.0.0.1:5004" in complaint
