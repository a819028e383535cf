# SPDX-License-Identifier: BSD-2-Clause
"""Our network and loss models in the words of `tc netem` (docs/reference/host.md), for a kernel that does the same."""

from dredge_host.errors import UsageError
from dredge_host.sending.loss import parse_loss
from dredge_host.sending.network import Network


def tc_netem(network: Network, loss: str = "", device: str = "eth0") -> str:
    """Return the `tc` command that makes the kernel do the same on this device."""
    words = [f"tc qdisc add dev {device} root netem limit 100000"]
    if network.delay_s or network.jitter_s:
        words.append(_delay(network))
    if network.reorder:
        words.append(f"reorder {100 * (1 - network.reorder):g}%  # with a delay of {20 * network.by} ms")
    if network.duplicate:
        words.append(f"duplicate {100 * network.duplicate:g}%")
    return " ".join([words[0], *([loss] if loss else []), *words[1:]])


def _delay(network: Network) -> str:
    """Return our delay as netem writes it; netem puts its jitter on both sides of the delay, ours only lengthens it."""
    half = network.jitter_s / 2 if network.shape == "uniform" else network.jitter_s
    shift = half if network.shape == "uniform" else 0.0
    words = f"delay {1000 * (network.delay_s + shift):g}ms"
    if network.jitter_s:
        words += f" {1000 * half:g}ms"
        words += f" distribution {network.shape}" if network.shape != "uniform" else ""
    return words


def netem_loss(spec: str) -> str:
    """Return a loss model of ours in netem's words. Raises UsageError where it has none."""
    model = parse_loss(spec)
    if spec == "none":
        return ""
    if model.gemodel is not None:
        p, r, h, k = model.gemodel
        return f"loss gemodel {100 * p:.6g}% {100 * r:.6g}% {100 * (1 - h):.6g}% {100 * (1 - k):.6g}%"
    raise UsageError(f"loss '{spec}': tc netem has no such model; use trace:FILE on the sending side")
