# SPDX-License-Identifier: BSD-2-Clause
"""Run under failmalloc.c: every kernel once with each of its allocations refused. Prints one line per case.

A call with a refused allocation must raise MemoryError or give the right answer, afterwards the object must work as
if nothing had been, and nothing may stay allocated.
"""

import ctypes
import gc
import sys
from pathlib import Path

import numpy as np

from dredge_host.sending.audio import read_audio
from dredge_kernels import background, extensions, features, framing, lpcnet, opus, payload, postfilter, rangecoder
from dredge_models import modelset, vocoder

MOST = 120  # allocations of one call that are refused one after the other; of more, every so many-th
LEAK = 24  # blocks that Python itself may keep (free lists, caches) after one sweep

shim = ctypes.CDLL(None)
shim.fail_arm.argtypes = (ctypes.c_long, ctypes.c_long)
shim.fail_disarm.restype = shim.fail_live.restype = ctypes.c_long
SPEECH = read_audio(Path(__file__).parents[1] / "data" / "speech_short.flac").pcm[16000:][:6400]
ROWS = features.FeatureExtractor().process(SPEECH)


def disarm():
    """The refused allocation may be one of this call's own: then the call before needed fewer."""
    while True:
        try:
            return shim.fail_disarm()
        except MemoryError:
            continue


def refused(call, at, count):
    """(what it returned, whether it failed, how many allocations it made) with ``count`` allocations from number
    ``at`` on refused.

    The error itself is not kept: its traceback holds this frame, and the garbage collector of Python 3.13 does not
    see a MemoryError that came from the interpreter's free list, so such a circle would stay for ever.
    """
    result, failed = None, False
    shim.fail_arm(at, count)
    try:
        result = call()
    except MemoryError:
        failed = True
    except SystemError as caught:  # NumPy's sums and logical functions forget to say MemoryError
        if "without" not in str(caught) or "exception" not in str(caught):
            raise
        failed = True
    finally:
        made = disarm()
    return result, failed, made


def same(a, b):
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.shape == b.shape and np.array_equal(a, b)
    return a == b


def sweep(call, expected, total, count):
    failures = 0
    for at in range(0, total, max(1, total // MOST)):
        result, failed, _ = refused(call, at, count)
        failures += failed
        if not failed and not same(result, expected):
            raise AssertionError(f"allocation {at}: a wrong answer instead of an error: {result!r}")
        del result
        again = call()
        if not same(again, expected):
            raise AssertionError(f"after allocation {at} was refused the next call gives something else")
        del again
    return failures


def held():
    gc.collect()
    return shim.fail_live()


def check(name, call):
    """call: from a known state to a value that can be compared."""
    expected = call()
    call()
    total = refused(call, 1 << 40, 0)[2]
    failed = sweep(call, expected, total, 1) + sweep(call, expected, total, 5)
    before = held()
    sweep(call, expected, total, 1)
    leaked = held() - before
    if leaked > LEAK:
        raise AssertionError(f"{name}: {leaked} blocks are never freed")
    print(f"{name} allocations={total} memory_errors={failed} kept={max(0, leaked)}", flush=True)


def made_and_used(make, use):
    """A constructor: what it makes must work."""

    def call():
        return use(make())

    return call


def after_reset(thing, use, **reset):
    def call():
        thing.reset(**reset)
        return use(thing)

    return call


def opus_cases():
    def encode(encoder):
        return [encoder.encode(SPEECH[i : i + 320]) for i in range(0, 1600, 320)]

    packets = encode(opus.OpusEncoder(lbrr=True, loss_pct=20))
    decoder = opus.OpusDecoder()
    yield "OpusEncoder", made_and_used(lambda: opus.OpusEncoder(lbrr=True, loss_pct=20), encode)
    yield "OpusDecoder", made_and_used(opus.OpusDecoder, lambda d: d.decode(packets[0]))
    yield "OpusEncoder.encode", after_reset(opus.OpusEncoder(), encode)
    yield "OpusDecoder.decode", after_reset(decoder, lambda d: np.concatenate([d.decode(p) for p in packets]))
    yield "OpusDecoder.decode_fec", after_reset(decoder, lambda d: d.decode_fec(packets[3]))
    yield "OpusDecoder.conceal", after_reset(decoder, lambda d: np.concatenate([d.decode(packets[0]), d.conceal()]))
    yield "packet_samples", lambda: (opus.packet_samples(packets[0]), opus.packet_has_lbrr(packets[2]))


def payload_cases():
    tables = modelset.SHIPPED.tables
    latents = np.linspace(-2, 2, 8 * tables.latent_dim, dtype=np.float32).reshape(8, -1)
    state = np.linspace(-1, 1, tables.state_dim, dtype=np.float32)
    coded = payload.encode_payload(latents, state, tables, q0=5, dq=6)
    yield "encode_payload", lambda: payload.encode_payload(latents, state, tables, q0=5, dq=6)
    yield "decode_payload", lambda: payload.decode_payload(coded, tables).latents.copy()
    packet = extensions.add_extension(opus.OpusEncoder().encode(SPEECH[:320]), 126, coded)
    yield "add_extension", lambda: extensions.add_extension(extensions.strip_padding(packet), 126, coded)
    yield "read_extensions", lambda: [bytes(e.data) for e in extensions.read_extensions(packet)]
    yield "parse_packet", lambda: framing.parse_packet(packet).frames

    def code():
        encoder = rangecoder.RangeEncoder(64)
        for value in range(30):
            encoder.encode_uniform(value, 31)
        decoder = rangecoder.RangeDecoder(encoder.finish())
        return [decoder.decode_uniform(31) for _ in range(30)]

    yield "RangeEncoder, RangeDecoder", code


def vocoder_cases():
    arrays = vocoder.vocoder_arrays("small")
    weights = lpcnet.Weights(arrays)
    voice, filtered = lpcnet.Lpcnet(weights), postfilter.Postfilter()
    yield "FeatureExtractor", made_and_used(features.FeatureExtractor, lambda f: f.process(SPEECH))
    yield "FeatureExtractor.process", after_reset(features.FeatureExtractor(), lambda f: f.process(SPEECH))

    def surroundings(b):
        for at in range(0, 640 * 8, 640):
            b.hear(SPEECH[at : at + background.MOMENT])
        return np.concatenate([b.lift(ROWS).ravel(), b.noise(3)])

    yield "Background", made_and_used(background.Background, surroundings)
    yield "lpc_from_cepstrum", lambda: features.lpc_from_cepstrum(ROWS[:4, :18])
    yield "lpcnet.Weights", made_and_used(lambda: lpcnet.Weights(arrays), lambda w: w.packed_bytes)
    yield "Lpcnet", made_and_used(lambda: lpcnet.Lpcnet(weights), lambda v: v.synthesise(ROWS[:6]))
    yield "Lpcnet.synthesise", after_reset(voice, lambda v: v.synthesise(ROWS[:6]), seed=3)

    def follow(v):
        v.force(ROWS[:8], SPEECH[:640], 160)
        return v.synthesise(ROWS[4:10])

    yield "Lpcnet.force", after_reset(voice, follow, seed=3)
    yield "Postfilter.process", after_reset(filtered, lambda p: p.process(SPEECH[:640], ROWS[:4]))


if __name__ == "__main__":
    for cases in (opus_cases, payload_cases, vocoder_cases):
        for case, call in cases():
            if len(sys.argv) < 2 or sys.argv[1] in case:
                check(case, call)
    print("done")
