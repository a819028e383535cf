# SPDX-License-Identifier: BSD-2-Clause
"""A measurement of two seconds with the real receiver on this machine: CPU time of every kind of period, by vocoder."""

import time
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat

import numpy as np

from dredge_device import rtp
from dredge_device.pi.calibration.costs import PeriodCosts
from dredge_device.pi.factory import ModelCache, real_parts
from dredge_device.pi.quality import AFTER, FIRST, NEXT, PLAIN
from dredge_device.pi.receiver import Receiver
from dredge_device.units import PACKET_SAMPLES, PACKET_US, RTP_TICKS_PER_PACKET, SAMPLE_RATE

SECONDS = 2.0
_PLAYOUT_MS = 1000
_SSRC = 0x64726564
_SPEECH = 60  # packets that are encoded once and sent repeatedly: more than one packet's redundancy describes
_PLAIN, _LONG, _SHORT = 6, 25, 5  # received packets between two gaps; lost ones of the long gap and of the others
_MOST_GAPS = 9  # of one vocoder; a fast machine needs no more
_WARM_UP = 2  # gaps that are not counted, because they touch memory for the first time
_REDUNDANCY_S = 1.0


def measure(vocoders: tuple[str, ...], seconds: float = SECONDS) -> dict[str, PeriodCosts]:
    """Return the costs of a period of every kind with each of these vocoders, in microseconds of CPU time.

    The whole path is measured: packets with one second of DRED through jitter buffer, decoder, RDO-VAE, vocoder and
    concealment, with a long gap and short ones. It takes about `seconds` on a slow board and less on a fast one,
    but always the long gap with each vocoder. Raises the models' errors.
    """
    payloads = _payloads()
    cache = ModelCache()
    return {name: _measured(name, cache, payloads, seconds / len(vocoders)) for name in vocoders}


def _measured(vocoder: str, cache: ModelCache, payloads: list[bytes], seconds: float) -> PeriodCosts:
    until = time.monotonic() + seconds
    now_us = 0
    parts = real_parts("dred", vocoder, cache)
    receiver = Receiver(
        _PLAYOUT_MS, "dred", False, clock_us=lambda: now_us, cpu_clock=time.thread_time_ns, parts=parts
    )
    spent: dict[int, list[int]] = {PLAIN: [], FIRST: [], NEXT: [], AFTER: []}
    gaps = 0
    lost = _losses()
    ahead = _PLAYOUT_MS * 1000 // PACKET_US
    for number, payload in enumerate(cycle(payloads)):
        if not next(lost):
            stamp = RTP_TICKS_PER_PACKET * number & 0xFFFFFFFF
            receiver.push(rtp.build(number & 0xFFFF, stamp, _SSRC, payload), now_us)
        if number >= ahead:
            kind = receiver.coming()
            cpu_us = receiver.pull().cpu_us
            if kind in spent and gaps >= _WARM_UP:
                spent[kind].append(cpu_us)
            gaps += kind == AFTER
        now_us += PACKET_US
        counted = len(spent[AFTER])
        if counted >= _MOST_GAPS or (counted and time.monotonic() >= until):
            break
    return PeriodCosts(
        plain_us=_median(spent[PLAIN]), first_us=max(spent[FIRST]), next_us=_median(spent[NEXT]),
        after_us=_median(spent[AFTER]), gaps=counted,
    )  # fmt: skip


def _median(times: list[int]) -> float:
    return float(np.median(times))


def _losses() -> Iterator[bool]:
    """Yield whether each packet is lost: speech first, short gaps to warm up, a long one, then short ones."""
    yield from repeat(False, _SPEECH)
    for length in chain(repeat(_SHORT, _WARM_UP), [_LONG], repeat(_SHORT)):
        yield from repeat(True, length)
        yield from repeat(False, _PLAIN)


def _payloads() -> list[bytes]:
    """Return Opus packets of a voice with DRED, as our sender makes them."""
    from dredge_kernels.extensions import add_extension
    from dredge_kernels.opus import OpusEncoder
    from dredge_models.dred import DRED_EXTENSION_ID, DredEncoder

    encoder = OpusEncoder(bitrate=24000)
    dred = DredEncoder()
    made = []
    for piece in _voice(_SPEECH).reshape(-1, PACKET_SAMPLES):
        dred.push(piece)
        data, history = encoder.encode(piece), dred.payload(_REDUNDANCY_S)
        made.append(bytes(add_extension(data, DRED_EXTENSION_ID, history)) if history else data)
    return made


def _voice(packets: int) -> np.ndarray:
    """Return a tone with vibrato and changing loudness, int16[320 n]."""
    t = np.arange(PACKET_SAMPLES * packets) / SAMPLE_RATE
    phase = 2 * np.pi * (140 * t + 2 * np.sin(2 * np.pi * 3 * t))
    tones = sum(np.sin(k * phase) / k for k in range(1, 12))
    made: np.ndarray = np.rint(4000 * (0.6 + 0.4 * np.sin(2 * np.pi * 2 * t)) * tones).astype(np.int16)
    return made


Measure = Callable[[tuple[str, ...]], dict[str, PeriodCosts]]
