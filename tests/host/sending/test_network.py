# SPDX-License-Identifier: BSD-2-Clause
"""Delay, jitter, disorder, copies: statistics over a million packets, and a kernel that agrees."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from netem import netem_loss, tc_netem

from dredge_host.errors import UsageError
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.loss_statistics import measure_loss
from dredge_host.sending.network import Network

MILLION = 1_000_000


def lags(**models) -> np.ndarray:
    network = Network(**models, seed=3)
    return np.array([network.lag() for _ in range(MILLION)]) * 1000


def test_nothing_asked_for_changes_nothing() -> None:
    network = Network()
    network.put(1.0, b"a")
    network.put(1.0, b"b")
    assert network.due() == 1.0 and network.take(1.0) == [b"a", b"b"]
    assert network.due() is None and network.counters() == {"delayed": 0, "reordered": 0, "duplicated": 0}


def test_uniform_jitter() -> None:
    late = lags(delay="40ms", jitter="20ms")
    assert late.min() >= 40 and late.max() <= 60
    assert late.mean() == pytest.approx(50, abs=0.05)
    assert late.std() == pytest.approx(20 / 12**0.5, abs=0.02)
    assert abs(np.corrcoef(late[:-1], late[1:])[0, 1]) < 0.005


def test_normal_jitter_never_arrives_early() -> None:
    late = lags(jitter="normal:10ms")
    assert (late >= 0).all() and (late == 0).mean() == pytest.approx(0.5, abs=0.003)
    assert late.mean() == pytest.approx(10 / (2 * np.pi) ** 0.5, abs=0.03)


def test_pareto_jitter_has_its_mean_and_a_heavy_tail() -> None:
    late = lags(jitter="pareto:10ms")
    assert late.mean() == pytest.approx(10, abs=0.15)
    assert (late > 50).mean() == pytest.approx((1 + 50 / 20) ** -3, rel=0.03)


def test_reordering_holds_packets_back_by_so_many() -> None:
    late = lags(reorder="5%,by=5")
    assert set(np.round(late).tolist()) == {0.0, 100.0}
    assert (late > 0).mean() == pytest.approx(0.05, abs=0.001)


def test_reordered_packets_are_overtaken_by_exactly_five() -> None:
    network = Network(reorder="10%,by=5", seed=2)
    out = []
    for n in range(5000):
        network.put(n * 0.02, n.to_bytes(4, "big"))
        out += [int.from_bytes(d, "big") for d in network.take(n * 0.02 + 0.001)]
    out += [int.from_bytes(d, "big") for d in network.take(1e9)]
    assert sorted(out) == list(range(5000))
    late = [n for place, n in enumerate(out) if any(m > n for m in out[max(0, place - 12) : place])]
    assert len(late) == pytest.approx(network.counters()["reordered"], abs=60)


def test_duplicates_come_as_often_as_asked() -> None:
    network = Network(duplicate="2%", seed=5)
    for n in range(MILLION):
        network.put(0.0, b"")
        network.take(0.0) if n % 1000 == 0 else None
    assert network.counters()["duplicated"] / MILLION == pytest.approx(0.02, abs=0.0006)


@pytest.mark.parametrize(
    ("spec", "rate", "burst"),
    [("10%", 0.10, 1 / 0.9), ("gilbert:rate=20%,burst=5", 0.20, 5.0), ("gilbert:rate=20%,burst=5,max=15", 0.20, 5.0),
     ("ge:2%,20%", 0.0909, 5.0), ("ge:p=1%,r=10%,1-h=70%,1-k=1%", 0.0727, None), ("burst:ms=300,every=2s", 0.15, 15.0)],
)  # fmt: skip
def test_losses_have_the_statistics_they_promise(spec, rate, burst) -> None:
    model = parse_loss(spec, 11)
    assert model.expected_rate == pytest.approx(rate, abs=0.0005)
    stats = measure_loss([model.lost() for _ in range(MILLION)])
    assert stats.rate == pytest.approx(model.expected_rate, rel=0.03)
    if burst is not None:
        assert stats.mean_burst == pytest.approx(burst, rel=0.03)


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ({"delay": "40ms"}, "delay 40ms"),
        ({"delay": "40ms", "jitter": "20ms"}, "delay 50ms 10ms"),
        ({"jitter": "normal:10ms"}, "delay 0ms 10ms distribution normal"),
        ({"duplicate": "1%"}, "duplicate 1%"),
        ({"delay": "100ms", "reorder": "5%,by=5"}, "delay 100ms reorder 95%"),
    ],
)
def test_netem_says_the_same(models, words) -> None:
    command = tc_netem(Network(**models), "", "eth1")
    assert command.startswith("tc qdisc add dev eth1 root netem") and words in command


def test_netem_losses() -> None:
    assert netem_loss("none") == ""
    assert netem_loss("10%") == "loss gemodel 10% 90% 100% 0%"
    assert netem_loss("gilbert:rate=20%,burst=5") == "loss gemodel 5% 20% 100% 0%"
    with pytest.raises(UsageError, match="no such model"):
        netem_loss("burst:ms=300,every=2s")


@pytest.mark.parametrize(
    "wrong",
    [{"delay": "fast"}, {"delay": "-1ms"}, {"jitter": "gamma:3ms"}, {"reorder": "5%,by=x"}, {"reorder": "5"},
     {"reorder": "5%,by=0"}, {"reorder": "5%,by=²"}, {"reorder": "5%,by=" + "9" * 5000},
     {"duplicate": "101%"}, {"duplicate": "1"}],
)  # fmt: skip
def test_nonsense_is_refused_with_an_example(wrong) -> None:
    name = next(iter(wrong))
    with pytest.raises(UsageError, match=name):
        Network(**wrong)


RECEIVE = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("10.77.0.2", 5004)); s.settimeout(3)
print("ready", flush=True); got = []
try:
    while True: got.append(int.from_bytes(s.recv(100)[:4], "big"))
except TimeoutError: print(*got)
"""


@pytest.fixture
def namespaces():
    """Two network namespaces and a cable between them; skipped where that is not permitted."""
    if not (shutil.which("ip") and shutil.which("tc")) or os.geteuid() != 0:
        pytest.skip("needs root, ip and tc: sudo make test, apt-get install iproute2")
    names = [f"dredge-{os.getpid()}-{side}" for side in "ab"]

    def run(*words: str) -> None:
        subprocess.run(words, check=True, capture_output=True)

    try:
        for name in names:
            run("ip", "netns", "add", name)
        run("ip", "link", "add", "dg-a", "netns", names[0], "type", "veth", "peer", "name", "dg-b", "netns", names[1])
        for name, device, address in zip(names, ("dg-a", "dg-b"), ("10.77.0.1/24", "10.77.0.2/24"), strict=True):
            run("ip", "-n", name, "addr", "add", address, "dev", device)
            run("ip", "-n", name, "link", "set", device, "up")
        yield names, run
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this system makes no network namespaces: {error.stderr.decode()[:100]}")
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def send_in(namespace: str, count: int) -> None:
    code = (
        "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
        f"for n in range({count}):\n    s.sendto(n.to_bytes(4,'big')+bytes(60),('10.77.0.2',5004))\n"
        "    n % 20 or time.sleep(0.002)"
    )
    subprocess.run(["ip", "netns", "exec", namespace, sys.executable, "-c", code], check=True, timeout=120)


def test_the_kernel_loses_like_our_model(namespaces) -> None:
    """netem on a real path, told in our words, has our statistics."""
    names, run = namespaces
    spec, count = "gilbert:rate=20%,burst=5", 20_000
    command = tc_netem(Network(delay="5ms"), netem_loss(spec), "dg-a").split()
    try:
        run("ip", "netns", "exec", names[0], *command)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this kernel has no netem: {error.stderr.decode()[:100]}")
    receiver = subprocess.Popen(
        ["ip", "netns", "exec", names[1], sys.executable, "-c", RECEIVE], stdout=subprocess.PIPE, text=True
    )
    assert receiver.stdout is not None and receiver.stdout.readline() == "ready\n"
    send_in(names[0], count)
    got = {int(word) for word in receiver.communicate(timeout=60)[0].split()}
    theirs = measure_loss([n not in got for n in range(count)])
    model = parse_loss(spec, 4)
    ours = measure_loss([model.lost() for _ in range(count)])
    assert theirs.rate == pytest.approx(ours.rate, abs=0.025)
    assert theirs.mean_burst == pytest.approx(ours.mean_burst, rel=0.12)

