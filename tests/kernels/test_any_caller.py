# SPDX-License-Identifier: BSD-2-Clause
"""Kernels take any caller: whatever they are given, an exception or a result, in a process that must survive it."""

import subprocess
import sys
import threading

import numpy as np
import pytest

from dredge_kernels.fargan import FLOATS, LAYERS, Fargan
from dredge_kernels.features import FeatureExtractor, lpc_from_cepstrum
from dredge_kernels.lpcnet import Lpcnet, from_ulaw, sparse_product, tanh16, to_ulaw
from dredge_kernels.payload import decode_payload, encode_payload
from dredge_kernels.postfilter import Postfilter
from dredge_kernels.rangecoder import RangeDecoder, RangeEncoder
from dredge_models import modelset, registry
from dredge_models.vocoder import weights

BARE = """
import itertools
from dredge_kernels import background, framing, highpass, lpcnet, opus, postfilter, rangecoder, features, fargan
made = 0
for module in (background, framing, highpass, lpcnet, opus, postfilter, rangecoder, features, fargan):
    for cls in [c for c in vars(module).values() if isinstance(c, type) and c.__module__ == module.__name__]:
        try:
            thing = cls.__new__(cls)
        except Exception:
            continue
        made += 1
        for name in sorted(n for n in dir(thing) if not n.startswith("__") or n in ("__init__", "__exit__")):
            for words in ((), (1,), (b"a",), (None,), (1, 2), (0, 1, 2), ([32768, 0],), (0, [16384, 0]), (b"abc", 320)):
                try:
                    value = getattr(thing, name)
                    if callable(value):
                        value(*words)
                except Exception:
                    pass
print("survived", made)
"""


def test_objects_without_their_constructor():
    done = subprocess.run([sys.executable, "-c", BARE], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.startswith("survived"), (done.returncode, done.stderr[-500:])
    assert int(done.stdout.split()[1]) >= 4


def vocoder():
    return Lpcnet(weights("small"))


def rows(count=12):
    out = np.zeros((count, 20), np.float32)
    out[:, 18] = -0.2
    return out


def unaligned(array):
    """The same values at an odd address."""
    raw = np.zeros(array.nbytes + 1, np.uint8)
    view = raw[1:].view(array.dtype).reshape(array.shape)
    view[...] = array
    return view


PCM = (1000 * np.sin(np.arange(1600) / 5)).astype(np.int16)


def test_unaligned_and_strided_arrays_give_the_same_samples():
    v = vocoder()
    results = []
    for f in (rows(), unaligned(rows()), np.asfortranarray(rows()), np.repeat(rows(), 2, axis=0)[::2]):
        v.reset()
        results.append(v.synthesise(f))
    assert all((r == results[0]).all() for r in results)
    for x in (PCM, unaligned(PCM), np.repeat(PCM, 3)[::3]):
        np.testing.assert_array_equal(FeatureExtractor().process(x), FeatureExtractor().process(PCM))
        np.testing.assert_array_equal(Postfilter().process(x, unaligned(rows(10))), Postfilter().process(PCM, rows(10)))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused_or_pass(value):
    bad = rows()
    bad[5, 18] = value
    with pytest.raises(ValueError, match="finite"):
        vocoder().synthesise(bad)
    with pytest.raises(ValueError, match="finite"):
        Postfilter().process(PCM[:1920], bad)
    assert lpc_from_cepstrum(bad).shape == (12, 16)
    if np.isnan(value):
        with pytest.raises(ValueError, match="NaN"):
            to_ulaw(value)
    else:
        assert 0 <= to_ulaw(value) <= 255 and from_ulaw(to_ulaw(value)) is not None


def matrix(outputs=16, inputs=32, count=(1, 2)):
    n = sum(count)
    return {"m_blocks": np.ones((n, 8, 4), np.int8), "m_column": np.arange(n).astype(np.uint8) % (inputs // 4),
            "m_count": np.array(count, np.uint16), "m_scale": np.ones(outputs, np.float32) / 100}  # fmt: skip


def test_a_sparse_product_checks_its_matrix():
    x = np.ones(32, np.int8)
    assert len(sparse_product(matrix(), "m", x)) == 16
    for change in (
        {"m_count": np.array([1, 60000], np.uint16)}, {"m_count": np.zeros(0, np.uint16)}, {"m_count": None},
        {"m_column": np.full(3, 255, np.uint8)}, {"m_column": np.zeros(1, np.uint8)},
        {"m_blocks": np.ones((1, 8, 4), np.int8)}, {"m_blocks": np.full((3, 8, 4), -128, np.int8)},
        {"m_scale": np.ones(3, np.float32)}, {"m_blocks": "text"},
    ):  # fmt: skip
        with pytest.raises((ValueError, TypeError)):
            sparse_product({**matrix(), **change}, "m", x)
    with pytest.raises(ValueError, match="m_count"):
        sparse_product({}, "m", x)
    for bad in (x[:0], x[:30], x.astype(float), x.reshape(4, 8), np.full(32, -128, np.int8), None):
        with pytest.raises(ValueError, match="expected int8"):
            sparse_product(matrix(), "m", bad)
    with pytest.raises(ValueError, match="one dimension"):
        tanh16(np.zeros((4, 16), np.int16))


def test_range_coders_cannot_be_begun_twice():
    encoder = RangeEncoder(100)
    saved = encoder.save()
    encoder.encode_uniform(3, 10)
    for words in ((), (5,), (1 << 20,)):
        try:
            encoder.__init__(*words)
        except TypeError:
            continue
    encoder.restore(saved)
    encoder.encode_uniform(7, 10)
    data = encoder.finish()
    decoder = RangeDecoder(data)
    assert decoder.decode_uniform(10) == 7
    with pytest.raises(TypeError):
        RangeDecoder.__new__(RangeDecoder)


def test_tables_of_another_kind_are_refused():
    class Tables:
        version, latent_dim, state_dim = 0xD1, 1, 1
        latent = state = np.ones((4, 1, 1), np.uint8)

    with pytest.raises(TypeError, match="expected QuantTables"):
        decode_payload(b"abc", Tables())
    with pytest.raises(TypeError, match="expected QuantTables"):
        encode_payload(np.zeros((2, 1), np.float32), np.zeros(1, np.float32), Tables(), 4, 2)


def fargan():
    rng = np.random.default_rng(2)
    given = {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in FLOATS.items()}
    for name, (inputs, outputs) in LAYERS.items():
        given[name] = rng.integers(-30, 31, (outputs, inputs)).astype(np.int8)
        given[f"{name}_scale"] = np.full(outputs, 0.001, np.float32)
        given[f"{name}_bias"] = np.zeros(outputs, np.float32)
    return Fargan(given)


@pytest.mark.parametrize("kind", ["vocoder", "postfilter", "fargan", "payload"])
def test_an_array_that_another_thread_writes(kind):
    """NaN, infinities and huge values come and go while the kernel works."""
    shared, stop = rows(40), threading.Event()  # 800 values
    values = np.array([np.nan, np.inf, -np.inf, 1e38, -1e38, 0, 0, 0], np.float32)

    def write():
        rng = np.random.default_rng(1)
        while not stop.is_set():
            shared[rng.integers(0, 40), rng.integers(0, 20)] = values[rng.integers(0, 8)]
            shared[:] = 0

    pcm, tables = np.tile(PCM, 4), modelset.find(registry.DRED_VERSION).tables
    thing = {"vocoder": vocoder, "postfilter": Postfilter, "fargan": fargan, "payload": lambda: None}[kind]()
    state = np.zeros(tables.state_dim, np.float32)
    latents = shared.reshape(-1)[: 24 * tables.latent_dim].reshape(24, -1)
    work = {
        "vocoder": lambda: thing.synthesise(shared[:8]), "postfilter": lambda: thing.process(pcm, shared),
        "fargan": lambda: thing.synthesise(shared[:4]), "payload": lambda: encode_payload(latents, state, tables, 4, 2),
    }[kind]  # fmt: skip
    writer = threading.Thread(target=write)
    writer.start()
    done = refused = 0
    try:
        for _ in range(150):
            try:
                done += len(work()) > 0
            except ValueError:
                refused += 1
    finally:
        stop.set()
        writer.join()
    assert done + refused == 150
