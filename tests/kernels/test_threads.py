# SPDX-License-Identifier: BSD-2-Clause
"""Many threads, each with objects of its own, on shared weights: the same bits as one thread alone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from lpcnet_cases import random_net

from dredge_kernels.background import Background
from dredge_kernels.features import FeatureExtractor
from dredge_kernels.lpcnet import Lpcnet, Weights, simd_levels
from dredge_kernels.opus import OpusDecoder, OpusEncoder
from dredge_kernels.payload import decode_payload
from dredge_kernels.postfilter import Postfilter

THREADS = 8
CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"


def features(count):
    rows = np.random.default_rng(1).normal(0, 0.4, (count, 20)).astype(np.float32)
    rows[:, 0] -= 2
    return rows


@pytest.fixture(scope="module")
def pcm():
    samples, _ = sf.read(CLIP, dtype="int16")
    return samples[: 320 * 50]


def everywhere(work):
    """The results of the same work in many threads that begin together."""
    gate = threading.Barrier(THREADS)

    def after_the_gate(_):
        gate.wait()
        return work()

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(after_the_gate, range(THREADS)))


def same_as_alone(work):
    alone = work()
    for result in everywhere(work):
        for got, want in zip(result, alone, strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("level", simd_levels())
def test_voices_that_share_their_weights_do_not_hear_each_other(level):
    shared = Weights(random_net(4), level)
    rows = features(20)
    real = np.arange(160 * 4, dtype=np.int16)

    def speak():
        voice = Lpcnet(shared)
        voice.force(rows[:8], real)
        return [voice.synthesise(rows[4:]), voice.synthesise(rows[2:])]

    same_as_alone(speak)


def test_codec_extractor_and_postfilter_in_every_thread(pcm):
    def run():
        encoder, decoder, extractor, shaper = OpusEncoder(), OpusDecoder(), FeatureExtractor(), Postfilter()
        background = Background()
        out = []
        for n in range(0, len(pcm), 320):
            packet = encoder.encode(pcm[n : n + 320])
            heard = decoder.conceal() if n % 2240 == 0 and n else decoder.decode(packet)
            rows = extractor.process(heard)
            background.hear(np.tile(heard, 3))
            out += [np.frombuffer(packet, np.uint8), heard, rows, shaper.process(heard, rows)]
            out += [background.lift(rows), background.noise(2)]
        return out

    same_as_alone(run)


def test_redundancy_vocoder_and_predictor_of_the_shipped_models(pcm):
    from dredge_models import dred
    from dredge_models.plc import PlcPredictor
    from dredge_models.vocoder import Vocoder

    def run():
        encoder, decoder, predictor, vocoder = dred.DredEncoder(), dred.DredDecoder(), PlcPredictor(), Vocoder("small")
        for n in range(0, 320 * 20, 320):
            encoder.push(pcm[n : n + 320])
        payload = encoder.payload(0.5)
        rows = decoder.features(decoder.parse(payload), 30)
        for row in rows:
            predictor.update(row)
        vocoder.begin(pcm[:640], rows[:6])
        coded = decode_payload(payload[2:], dred.SHIPPED.tables)
        return [np.frombuffer(payload, np.uint8), rows, predictor.predict(), vocoder.synthesise(rows), coded.latents]

    same_as_alone(run)


def test_the_shipped_weights_exist_once():
    from dredge_models import vocoder

    first, second = vocoder.weights("small"), vocoder.weights("small")
    assert first is second and vocoder.weights("small", "scalar") is vocoder.weights("small", "scalar")
    assert vocoder.weights("small", "scalar").level == "scalar" and first.packed_bytes > 500_000
    with pytest.raises(ValueError, match="SIMD level"):
        vocoder.weights("small", "abacus")


def test_weights_are_made_once_and_fit_their_level():
    weights = Weights(random_net(1), "scalar")
    with pytest.raises(RuntimeError, match="made already"):
        weights.__init__(random_net(1))
    assert Lpcnet(weights).packed_bytes == weights.packed_bytes and Lpcnet(weights, "scalar").level == "scalar"
    with pytest.raises(ValueError, match="packed for scalar"):
        Lpcnet(weights, "abacus")
    with pytest.raises(ValueError, match="not made completely"):
        Lpcnet(Weights.__new__(Weights))


def test_a_voice_outlives_the_name_of_its_weights():
    rows = features(8)
    want = Lpcnet(random_net(2)).synthesise(rows)
    weights = Weights(random_net(2))
    voice = Lpcnet(weights)
    del weights
    np.testing.assert_array_equal(voice.synthesise(rows), want)


BUSY = {
    "vocoder": (lambda: Lpcnet(random_net(1)), lambda it: it.synthesise(features(404)), lambda it: it.reset()),
    "extractor": (FeatureExtractor, lambda it: it.process(np.zeros(160 * 4000, np.int16)), lambda it: it.reset()),
    "postfilter": (
        Postfilter,
        lambda it: it.process(np.zeros(160 * 4000, np.int16), np.zeros((4000, 20), np.float32)),
        lambda it: it.reset(),
    ),
}


@pytest.mark.parametrize("name", BUSY)
def test_an_object_in_two_threads_says_so(name):
    make, long_call, other_call = BUSY[name]
    shared, stop, seen = make(), threading.Event(), []

    def occupy():
        while not stop.is_set():
            try:
                long_call(shared)
            except RuntimeError as error:  # the other thread was inside
                seen.append(str(error))

    thread = threading.Thread(target=occupy)
    thread.start()
    try:
        for _ in range(20_000):
            try:
                other_call(shared)
            except RuntimeError as error:
                seen.append(str(error))
            if seen:
                break
            time.sleep(0.001)  # else the other thread may not come to run at all on a busy machine
    finally:
        stop.set()
        thread.join()
    assert seen and seen[0] == f"{name}: another thread is using it; every thread needs one of its own"
    long_call(shared)  # and it is free again


def test_an_encoder_is_not_freed_under_the_feet_of_another_thread(pcm):
    encoder, refused = OpusEncoder(complexity=10), []

    def encode():
        for _ in range(100_000):
            try:
                encoder.encode(pcm[3200:3520])
            except RuntimeError as error:  # one of the two must find the other inside
                refused.append(str(error))
            if refused:
                return

    threads = [threading.Thread(target=encode) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refused[0] == "encode: another thread is using it; every thread needs one of its own"
    encoder.close()
    with pytest.raises(RuntimeError, match="closed"):
        encoder.encode(pcm[:320])
