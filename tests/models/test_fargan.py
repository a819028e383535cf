# SPDX-License-Identifier: BSD-2-Clause
"""The imported FARGAN: import, kernel against plain NumPy and libopus, and as the vocoder of a receiver."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from blob_cases import made_up_fargan
from fargan_reference import Reference
from hypothesis import given, settings
from hypothesis import strategies as st
from model_cases import speechlike, voice

from dredge_kernels.fargan import FLOATS, LAYERS, Fargan, checked
from dredge_models import modelset
from dredge_models.fargan import FarganVocoder
from dredge_models.libopus.blob import BlobError, read_blob
from dredge_models.libopus.fargan import has_fargan, read_arrays
from dredge_models.libopus.importer import import_fargan, read_sources
from dredge_models.libopus.layers import Layers
from dredge_models.registry import ModelError, verify

VECTORS = Path(os.environ.get("DREDGE_VECTORS", ""))
ARRAYS = read_arrays(Layers(read_blob(made_up_fargan().blob())))
ROWS = speechlike(60)
PCM = voice(0.6)


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "fargan.bin").write_bytes(made_up_fargan().blob())
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path / "models")
    return import_fargan(read_sources([tmp_path / "fargan.bin"]))


def relative(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2)))


def test_all_records_are_read() -> None:
    layers = Layers(read_blob(made_up_fargan().blob()))
    arrays = read_arrays(layers)
    assert layers.unused() == []
    assert len(arrays) == len(FLOATS) + 3 * len(LAYERS)
    assert has_fargan(["sig_net_fwc0_conv_scale"]) and not has_fargan(["enc_dense1_bias"])


def test_the_kernel_equals_plain_numpy_at_first() -> None:
    """Rounding to 1/127 turns the last bits of tanh into steps sooner or later, so only the beginning is compared."""
    kernel, reference = Fargan(ARRAYS), Reference(ARRAYS)
    kernel.begin(PCM[1280:1600], ROWS[6:11])
    reference.begin(PCM[1280:1600] / 32768, ROWS[6:11])
    got = kernel.synthesise(ROWS[11:14]).reshape(3, 160) / 32768
    want = np.array([reference.next(row) for row in ROWS[11:14]])
    assert np.sqrt(np.mean(want**2)) > 0.005
    assert relative(got[0], want[0]) < 0.02 and relative(got, want) < 0.1


@pytest.mark.parametrize("f", [-1.5, -0.9, 0.0, 0.7, 1.3, 1.5, 3.0])
def test_every_period_is_followed(f: float) -> None:
    """Short periods are gone through several times within a subframe."""
    rows = ROWS[:6].copy()
    rows[:, 18] = f
    kernel, reference = Fargan(ARRAYS), Reference(ARRAYS)
    kernel.begin(PCM[1280:1600], rows[:5])
    reference.begin(PCM[1280:1600] / 32768, rows[:5])
    assert relative(kernel.synthesise(rows[5:]) / 32768, reference.next(rows[5])) < 0.05


def test_frames_in_one_call_or_in_many_are_the_same() -> None:
    one, many = Fargan(ARRAYS), Fargan(ARRAYS)
    for net in (one, many):
        net.begin(PCM[:320], ROWS[:5])
    joined = np.concatenate([many.synthesise(ROWS[i : i + 1]) for i in range(5, 25)])
    np.testing.assert_array_equal(one.synthesise(ROWS[5:25]), joined)
    one.begin(PCM[:320], ROWS[:5])
    np.testing.assert_array_equal(one.synthesise(ROWS[5:25]), joined)
    assert len(one.synthesise(ROWS[:0])) == 0


def test_reset_forgets() -> None:
    fresh, used = Fargan(ARRAYS), Fargan(ARRAYS)
    used.begin(PCM[:320], ROWS[:5])
    used.synthesise(ROWS[5:15])
    used.reset()
    np.testing.assert_array_equal(used.synthesise(ROWS[:3]), fresh.synthesise(ROWS[:3]))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1.0, 30.0, 1e6, 3e38]))
def test_any_finite_features_make_samples(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    rows = (rng.uniform(-1, 1, (9, 20)) * size).astype(np.float32)
    net = Fargan(ARRAYS)
    net.begin(rng.integers(-32768, 32768, 320).astype(np.int16), rows[:5])
    assert net.synthesise(rows).shape == (1440,)
    good = net.synthesise(ROWS[:5])
    assert np.abs(good.astype(int)).max() <= 32768


def test_wrong_input_is_named() -> None:
    net = Fargan(ARRAYS)
    for call, words in (
        (lambda: net.begin(PCM[:319], ROWS[:5]), r"pcm: expected int16 \[320\], got int16 \[319\]"),
        (lambda: net.begin(PCM[:320].astype(np.float32), ROWS[:5]), r"pcm: expected int16 \[320\], got float32"),
        (lambda: net.begin(PCM[:320], ROWS[:4]), r"features: expected shape \[5, 20\], got \[4, 20\]"),
        (lambda: net.synthesise(ROWS[:3, :19]), r"features: expected shape \[k, 20\], got \[3, 19\]"),
        (lambda: net.synthesise(np.full((1, 20), np.nan, np.float32)), "features: expected finite values"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_wrong_arrays_are_named() -> None:
    for name, array, words in (
        ("embed", None, "embed: missing"),
        ("gru2_in", np.zeros((384, 241), np.int8), r"gru2_in: expected int8 \[384, 240\], got int8 \[384, 241\]"),
        ("skip", np.zeros((128, 688), np.float32), r"skip: expected int8 \[128, 688\], got float32"),
        ("gates", np.full((4, 192), np.inf, np.float32), "gates: expected finite values"),
        ("out", np.full((40, 128), -128, np.int8), "out: expected weights of -127 to 127, got -128"),
    ):
        arrays = {k: v for k, v in ARRAYS.items() if k != name} | ({} if array is None else {name: array})
        with pytest.raises(ValueError, match=words):
            checked(arrays)


def test_import_and_vocoder(imported: Path) -> None:
    assert imported.name == "libopus-fargan" and verify(imported) == [] and modelset.imported() == []
    vocoder = FarganVocoder()
    vocoder.begin(PCM[:1600], ROWS[:10], ROWS[10:12])
    first = vocoder.synthesise(ROWS[8:16])
    second = vocoder.synthesise(ROWS[12:20])
    vocoder.begin(PCM[:1600], ROWS[:10], ROWS[10:12])
    np.testing.assert_array_equal(vocoder.synthesise(ROWS[8:20]), np.concatenate([first, second]))
    net = Fargan(ARRAYS)
    net.begin(PCM[1280:1600], ROWS[6:11])
    np.testing.assert_array_equal(first, net.synthesise(ROWS[11:15]))
    vocoder.begin(PCM[:320], ROWS[:1])      # the shortest that is allowed: the row is held
    assert len(vocoder.synthesise(ROWS[:5])) == 160
    for words, call in (
        ("pcm: expected int16 of at least 320", lambda: vocoder.begin(PCM[:100], ROWS)),
        (r"features: expected shape \(m, 20\)", lambda: vocoder.begin(PCM, ROWS[:0])),
        (r"features: expected shape \(k \+ 4, 20\)", lambda: vocoder.synthesise(ROWS[:4])),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    vocoder.reset()


def test_a_damaged_or_missing_import_is_told(imported: Path) -> None:
    path = imported / "fargan.npz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(ModelError, match=r"libopus-fargan/fargan\.npz: damaged"):
        FarganVocoder()
    for file in imported.iterdir():
        file.unlink()
    imported.rmdir()
    with pytest.raises(ModelError, match=r"no FARGAN vocoder here: bring .* `dredge models import fargan\.bin`"):
        FarganVocoder()


def test_a_layer_that_is_missing_or_other_is_named() -> None:
    for name, words in (("sig_net_gru3_input_scale", "record sig_net_gru3_input_scale is missing"),
                        ("cond_net_pembed_weights_float", "record cond_net_pembed_scale is missing")):  # fmt: skip
        writer = made_up_fargan()
        del writer.records[name]
        with pytest.raises(BlobError, match=words):
            read_arrays(Layers(read_blob(writer.blob())))
    writer = made_up_fargan()
    writer.floats("sig_net_skip_dense", 688, 128)
    with pytest.raises(BlobError, match="sig_net_skip_dense: expected int8 weights, got float"):
        read_arrays(Layers(read_blob(writer.blob())))


@pytest.mark.vectors
@pytest.mark.skipif(not os.environ.get("DREDGE_VECTORS"), reason="needs vectors: set DREDGE_VECTORS")
def test_it_continues_speech_as_libopus_does() -> None:
    """Frames 302 ... 321 after 320 real samples. Approximated tanh there, other roundings to 1/127 here: the error is
    that of a few flipped roundings, far below the signal, and does not grow."""
    arrays = read_arrays(Layers(read_blob((VECTORS / "weights" / "fargan.bin").read_bytes())))
    with np.load(VECTORS / "modules" / "modules.npz") as file:
        rows, real, want = (file[n] for n in ("mod_features", "mod_fargan_cont_pcm0", "mod_fargan_cont_out"))
    net = Fargan(arrays)
    net.begin(np.rint(32768 * real).astype(np.int16), rows[297:302, :20].astype(np.float32))
    got = net.synthesise(rows[302:322, :20].astype(np.float32)).reshape(-1, 160) / 32768
    errors = [relative(a, b) for a, b in zip(got, want, strict=True)]
    print("\nrelative error per frame:", np.round(errors, 3))
    assert errors[0] < 0.12 and max(errors) < 0.25 and np.mean(errors) < 0.12
