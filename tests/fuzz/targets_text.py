# SPDX-License-Identifier: BSD-2-Clause
"""What users type: losses, networks, URLs, listen addresses, playout policies."""

from __future__ import annotations

from collections.abc import Callable

from target import Plan, Target, check

from dredge_device.pi.transport.endpoint import ListenError, parse_listen
from dredge_device.pi.transport.schemes import scheme_of
from dredge_device.pi.transport.serial_url import parse_serial
from dredge_host.errors import UsageError
from dredge_host.links.open import parse_udp
from dredge_host.sending import network
from dredge_host.sending.loss import parse_loss
from dredge_host.settings import parse_playout


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def run_loss(data: bytes) -> bool:
    """A loss model: its decisions come at once, however large its numbers are."""
    text = _text(data)
    if "trace" in text:
        return False
    try:
        model = parse_loss(text)
    except UsageError:
        return False
    check(0 <= model.expected_rate <= 1, f"a rate of {model.expected_rate}")
    for _ in range(50):
        check(model.lost() in (True, False), "a decision that is none")
    return True


def run_network(data: bytes) -> bool:
    """Delay, jitter, disorder and copies."""
    delay, jitter, reorder, duplicate = (_text(part) for part in (data.split(b"\0") + [b""] * 4)[:4])
    try:
        net = network.Network(delay, jitter, reorder, duplicate)
    except UsageError:
        return False
    for n in range(20):
        net.put(0.02 * n, b"x")
        due = net.due()
        check(due is None or 0 <= due < 1e9, f"a packet is due at {due}")
    return len(net.take(1e9)) >= 20


def run_url(data: bytes) -> bool:
    """One text for every reader of addresses: each has its own kind of refusal."""
    text, understood = _text(data), False
    readers: tuple[tuple[Callable[[], object], type[Exception]], ...] = (
        (lambda: parse_udp(text), UsageError),
        (lambda: parse_listen(text, allow_remote=True), ListenError),
        (lambda: parse_listen(text, allow_remote=False), ListenError),
        (lambda: parse_serial(text), ValueError),
        (lambda: parse_playout(text), UsageError),
    )
    for reader, refusal in readers:
        try:
            reader()
        except refusal:
            continue
        understood = True
    scheme_of(text)
    return understood


def run_settings(data: bytes) -> bool:
    """Numbers of a run at and beyond their limits."""
    from dredge_host.settings import Settings

    plan = Plan(data)
    values = (0, -1, 1, 100, 5000, 5001, 256001, 24000, 0.5, float("nan"), float("inf"))
    try:
        settings = Settings(
            bitrate=values[plan.below(len(values))], redundancy_s=values[plan.below(len(values))],
            playout_ms=values[plan.below(len(values))], loss_pct=values[plan.below(len(values))],
            conceal=_text(plan.piece()), vocoder=_text(plan.piece()), dred_version=plan.number(),
        )  # type: ignore[arg-type]  # fmt: skip
    except UsageError:
        return False
    check(6000 <= settings.bitrate <= 256000 and 0 <= settings.redundancy_s <= 10, "a setting beyond its limits")
    return True


LOSSES = (b"harsh", b"none", b"10%", b"gilbert:rate=10%,burst=3,max=15", b"ge:1%,r=20%,1-h=50%,k=1",
          b"burst:ms=300,every=2s")  # fmt: skip
URLS = (b"udp://127.0.0.1:5004", b"udp://[::1]:9", b"serial:///dev/ttyUSB0?baud=921600&rtscts=auto", b"socket://h:1",
        b"fixed:200", b"adaptive:900", b"serial+loop://?logging=x")  # fmt: skip

TARGETS = (
    Target("loss", "loss grammar", run_loss, lambda: list(LOSSES),
           words=(b"rate=", b"burst=", b"every=", b"1e9", b"nan", b"\xc2\xb2", b"1e-320"), limit=100, repeat=400),
    Target("network", "network grammar", run_network,
           lambda: [b"40ms\0uniform:20ms\x005%,by=5\x001%", b"\0pareto:10ms\0\0"],
           words=(b"normal:", b"by=", b"\xc2\xb2", b"1e9", b"nan"), limit=100, repeat=300),
    Target("url", "URLs, listen addresses and playout policies", run_url, lambda: list(URLS),
           words=(b"udp://", b"serial://", b"?baud=", b"\xc2\xb2", b"[", b"%00"), limit=200, repeat=300),
    Target("settings", "settings of a run", run_settings,
           lambda: [bytes([7, 8, 3, 3, 4]) + b"dred\x08standard\xd1"], limit=64, repeat=300),
)  # fmt: skip
