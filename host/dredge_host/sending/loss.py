# SPDX-License-Identifier: BSD-2-Clause
"""Packet loss: one small grammar, seeded models, 0/1 traces."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import repeat
from pathlib import Path

from dredge_device.pi.text import read_text
from dredge_device.pi.transport.errors import refusal
from dredge_device.units import PACKET_MS
from dredge_host.errors import InputError, UsageError

MAX_BURST = 100_000          # packets: more than half an hour
MAX_PHASES = 100
_MOST = 1e9                  # of any length or number
_ALWAYS = 1e-4               # below this probability to end per packet, a run always gets its longest length

GRAMMAR = """none                         no loss
10%                          independent losses
gilbert:rate=10%,burst=3     bursts of 3 packets on average; max=15 cuts longer ones
ge:p,r,h,k                   Gilbert-Elliott with the letters of tc netem gemodel
burst:ms=300,every=2s        one burst in every period
trace:FILE                   one 0 or 1 per packet, 1 = lost
phases:8s/none/harsh/none    8 s of each in turn, again and again
harsh                        gilbert:rate=20%,burst=5,max=15 (bursts up to 300 ms)"""

PRESETS = {"harsh": "gilbert:rate=20%,burst=5,max=15"}


class LossModel:
    """A seeded source of decisions, one per packet; `history` holds those already taken."""

    def __init__(self, spec: str, expected_rate: float, source: Iterator[bool]) -> None:
        self.spec = spec
        self.expected_rate = expected_rate
        self.history: list[bool] = []
        self.gemodel: tuple[float, float, float, float] | None = None  # p, r, h, k of tc-netem(8)
        self._source = source

    def lost(self) -> bool:
        """Decide on the next packet: True = lost."""
        decision = next(self._source)
        self.history.append(decision)
        return decision

    def skip(self) -> None:
        """Skip a period in which nothing is sent; the history gets an entry for it."""
        self.history.append(False)


def trace_file(text: str) -> str | None:
    """Return the file that a loss specification reads, None if it reads none."""
    kind, _, name = text.strip().partition(":")
    return name if kind == "trace" and name else None


def parse_loss(text: str, seed: int = 1) -> LossModel:
    """Read a loss specification (see GRAMMAR).

    The same text and seed always give the same packets. Raises UsageError for a malformed or
    impossible specification (the message names the limit), InputError for a bad trace file.
    """
    spec = text.strip()
    body = PRESETS.get(spec, spec)
    kind, colon, arguments = body.partition(":")
    if not colon:
        return _plain(spec, body, seed)
    makers = {"gilbert": _gilbert, "ge": _gilbert_elliott, "burst": _periodic, "trace": _trace, "phases": _phases}
    if kind not in makers:
        raise UsageError(f"loss '{text}': unknown model '{kind}', expected one of {', '.join(_forms())}; see --help")
    return makers[kind](spec, arguments, random.Random(seed))


def read_trace(path: str | Path) -> list[bool]:
    """Read a trace: 0 and 1 separated by white space or not at all, `#` starts a comment."""
    try:
        text = read_text(path)
    except OSError as error:
        raise InputError(refusal(error, f"loss trace {path}")) from None
    trace: list[bool] = []
    for number, line in enumerate(text.splitlines(), 1):
        for letter in "".join(line.split("#", 1)[0].split()):
            if letter not in "01":
                raise InputError(f"{path}: line {number}: expected 0 or 1, got '{letter}'")
            trace.append(letter == "1")
    if not trace:
        raise InputError(f"{path}: the loss trace is empty")
    return trace


def save_trace(path: str | Path, trace: Iterable[bool]) -> None:
    """Write decisions as one 0/1 per line, ready for `trace:FILE`."""
    from dredge_device.pi.output.files import write_text

    write_text(path, "".join(f"{int(lost)}\n" for lost in trace))


def _forms() -> list[str]:
    """Return the keywords of the grammar except the percentage, each with a colon where arguments follow."""
    words = [line.split()[0] for line in GRAMMAR.splitlines()]
    return [head + colon for head, colon, _ in (word.partition(":") for word in words) if not head.endswith("%")]


def _plain(spec: str, body: str, seed: int) -> LossModel:
    if body == "none":
        return LossModel(spec, 0.0, _forever([False]))
    if not body.endswith("%"):
        known = ", ".join(_forms())
        raise UsageError(f"loss '{spec}': expected a percentage such as 10%, or one of {known}; see --help")
    rate = _share(spec, "rate", body)
    rng = random.Random(seed)
    model = LossModel(spec, rate, (rng.random() < rate for _ in _forever([0])))
    model.gemodel = (rate, 1 - rate, 0.0, 1.0)
    return model


def _gilbert(spec: str, arguments: str, rng: random.Random) -> LossModel:
    """Return runs of losses and deliveries with geometric lengths (Gilbert 1960).

    loss = burst / (burst + gap), with both means at least one packet.
    """
    values = _named(spec, arguments, {"rate", "burst", "max"}, {"rate", "burst"})
    rate = _share(spec, "rate", values["rate"])
    burst = _number(spec, "burst", values["burst"])
    longest = int(_number(spec, "max", values["max"])) if "max" in values else None
    if not 1 <= burst <= MAX_BURST:
        raise UsageError(f"loss '{spec}': burst is a mean length in packets, at least 1 and at most {MAX_BURST}")
    if longest is not None and burst > longest:
        raise UsageError(f"loss '{spec}': a mean burst of {burst:g} cannot exceed max={longest}")
    if rate == 0:
        return LossModel(spec, 0.0, _forever([False]))
    limit = burst / (burst + 1)
    if rate > limit + 1e-12:
        raise UsageError(
            f"loss '{spec}': bursts of {burst:g} packets with at least one packet between them "
            f"allow a rate of at most {100 * limit:.4g}%"
        )
    leave = 1 / burst if longest is None else _leave_probability(burst, longest)
    enter = min(1.0, rate / ((1 - rate) * burst))
    model = LossModel(spec, rate, _runs(rng, enter, leave, longest))
    if longest is None:
        model.gemodel = (enter, leave, 0.0, 1.0)
    return model


def _runs(rng: random.Random, enter: float, leave: float, longest: int | None) -> Iterator[bool]:
    while True:
        yield False  # a run of deliveries has at least one packet
        while rng.random() >= enter:
            yield False
        length = 1
        if longest is not None and leave < _ALWAYS:
            length = longest
        else:
            while rng.random() >= leave:
                length += 1
        yield from repeat(True, length if longest is None else min(length, longest))


def _leave_probability(mean: float, longest: int) -> float:
    """Return the r for which a geometric length cut at `longest` has the mean (1 - (1-r)^longest) / r."""
    low, high = 1e-9, 1.0
    for _ in range(80):
        middle = (low + high) / 2
        if (1 - (1 - middle) ** longest) / middle > mean:
            low = middle
        else:
            high = middle
    return high


def _gilbert_elliott(spec: str, arguments: str, rng: random.Random) -> LossModel:
    """Return the model with p: good to bad, r: bad to good, h: delivered in bad, k: delivered in good (tc-netem(8)).

    netem takes 1-h and 1-k on its command line; both forms are accepted here by name.
    """
    order = ["p", "r", "h", "k"]
    parts = [part.strip() for part in arguments.split(",")]
    if len(parts) > 4 or not parts[0]:
        raise UsageError(f"loss '{spec}': ge takes one to four values: p,r,h,k")
    given: dict[str, float] = {}
    for position, part in enumerate(parts):
        name, equals, value = part.partition("=")
        name, value = (name, value) if equals else (order[position], part)
        share = _share(spec, name, value)
        inverted = name.startswith("1-")
        name = name.removeprefix("1-")
        if name not in order or (inverted and name in "pr") or name in given:
            raise UsageError(f"loss '{spec}': unknown or repeated value '{part}' (p, r, h, k)")
        given[name] = 1 - share if inverted else share
    if "p" not in given:
        raise UsageError(f"loss '{spec}': ge needs p, the probability of going from good to bad")
    p, h, k = given["p"], given.get("h", 0.0), given.get("k", 1.0)
    r = given.get("r", 1 - p)
    if p + r == 0:
        raise UsageError(f"loss '{spec}': p and r cannot both be 0; at least one state must be left")
    bad = p / (p + r)
    expected = bad * (1 - h) + (1 - bad) * (1 - k)
    model = LossModel(spec, expected, _two_states(rng, p, r, h, k))
    model.gemodel = (p, r, h, k)
    return model


def _two_states(rng: random.Random, p: float, r: float, h: float, k: float) -> Iterator[bool]:
    bad = False
    while True:
        lost = rng.random() >= (h if bad else k)
        bad = rng.random() >= r if bad else rng.random() < p
        yield lost


def _periodic(spec: str, arguments: str, rng: random.Random) -> LossModel:
    values = _named(spec, arguments, {"ms", "every"}, {"ms", "every"})
    length = max(1, round(_number(spec, "ms", values["ms"]) / PACKET_MS))
    period = round(_milliseconds(spec, values["every"]) / PACKET_MS)
    if length >= period:
        raise UsageError(
            f"loss '{spec}': the burst must be shorter than its period; "
            f"every={values['every']} allows at most ms={max(0, period - 1) * PACKET_MS:g}"
        )
    start = rng.randint(1, period - length)  # the seed moves the bursts, never onto packet 0
    return LossModel(spec, length / period, _bursts(start, length, period))


def _bursts(start: int, length: int, period: int) -> Iterator[bool]:
    while True:
        for index in range(period):
            yield start <= index < start + length


def _phases(spec: str, arguments: str, rng: random.Random) -> LossModel:
    """Return a model that plays several models in turn, each for its length. Every model has its own seed."""
    length, *parts = (part.strip() for part in arguments.split("/"))
    count = round(_milliseconds(spec, length, "the time") / PACKET_MS)
    if count < 1 or not all(parts) or not 2 <= len(parts) <= MAX_PHASES:
        raise UsageError(f"loss '{spec}': expected a time and 2 to {MAX_PHASES} models, e.g. phases:8s/none/10%")
    if any(part.partition(":")[0] in ("phases", "trace") for part in parts):
        raise UsageError(f"loss '{spec}': a phase is none, a percentage, gilbert, ge, burst or harsh")
    models = [parse_loss(part, rng.getrandbits(32)) for part in parts]
    rate = sum(model.expected_rate for model in models) / len(models)
    return LossModel(spec, rate, _in_turn(models, count))


def _in_turn(models: list[LossModel], count: int) -> Iterator[bool]:
    while True:
        for model in models:
            for _ in range(count):
                yield model.lost()
            model.history.clear()


def _trace(spec: str, arguments: str, rng: random.Random) -> LossModel:
    del rng  # a recorded trace needs no random numbers
    trace = read_trace(arguments)
    return LossModel(spec, sum(trace) / len(trace), _forever(trace))


def _forever(pattern: list[bool] | list[int]) -> Iterator[bool]:
    while True:
        for value in pattern:
            yield bool(value)


def _named(spec: str, arguments: str, known: set[str], needed: set[str]) -> dict[str, str]:
    values: dict[str, str] = {}
    for part in arguments.split(","):
        name, equals, value = part.strip().partition("=")
        if not equals or name not in known or name in values:
            raise UsageError(
                f"loss '{spec}': expected name=value with each of {', '.join(sorted(known))} once, got '{part}'"
            )
        values[name] = value
    for name in sorted(needed - values.keys()):
        raise UsageError(f"loss '{spec}': {name}=… is missing")
    return values


def _number(spec: str, name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"loss '{spec}': {name} must be a number, got '{text}'") from None
    if not 0 < value < _MOST:
        raise UsageError(f"loss '{spec}': {name} must be above 0 and below {_MOST:,.0f}, got '{text}'")
    return value


def _share(spec: str, name: str, text: str) -> float:
    """Return the probability in a text such as `10%` or `0.1`."""
    percent = text.endswith("%")
    try:
        value = float(text.removesuffix("%")) / (100 if percent else 1)
    except ValueError:
        raise UsageError(f"loss '{spec}': {name} must be a share such as 10%, got '{text}'") from None
    if not 0 <= value <= 1:
        raise UsageError(f"loss '{spec}': {name} must lie between 0% and 100%, got '{text}'")
    return value


def _milliseconds(spec: str, text: str, name: str = "every") -> float:
    if text.endswith("ms"):
        return _number(spec, name, text.removesuffix("ms"))
    return 1000 * _number(spec, name, text.removesuffix("s"))
