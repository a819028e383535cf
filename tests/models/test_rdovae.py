# SPDX-License-Identifier: BSD-2-Clause
"""The streaming RDO-VAE objects against the NumPy reference, and their contracts."""

import shutil

import numpy as np
import pytest
from model_cases import speechlike
from rdovae_numpy import NumpyRdoVaeDecoder, NumpyRdoVaeEncoder

from dredge_models import modelset, registry
from dredge_models.modelset import SHIPPED
from dredge_models.rdovae import RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import ModelError, ModelFile

# int8 weights against float16 masters; latents have a spread of a few units, features of about one.
LATENT_TOLERANCE, FEATURE_TOLERANCE = 0.06, 0.03


@pytest.fixture(scope="module")
def encoder():
    return RdoVaeEncoder()


@pytest.fixture(scope="module")
def decoder():
    return RdoVaeDecoder()


@pytest.fixture(scope="module")
def features():
    return speechlike(240)


def encode(encoder, features):
    encoder.reset()
    pairs = [encoder.push(f) for f in features.reshape(-1, 2, 20)]
    return np.array([z for z, _ in pairs]), np.array([s for _, s in pairs])


def test_encoder_matches_the_reference(encoder, features):
    z, s = encode(encoder, features)
    z_ref, s_ref = encode(NumpyRdoVaeEncoder(), features)
    assert np.abs(z - z_ref).mean() < LATENT_TOLERANCE * z_ref.std()
    assert np.abs(s - s_ref).mean() < LATENT_TOLERANCE * s_ref.std()


def test_decoder_matches_the_reference(encoder, decoder, features):
    z, s = encode(encoder, features)
    reference = NumpyRdoVaeDecoder()
    decoder.start(s[-1])
    reference.start(s[-1])
    for i in range(26):
        level = min(15, 6 + i // 2)
        got, wanted = decoder.step(z[-1 - 2 * i], level), reference.step(z[-1 - 2 * i], level)
        assert got.shape == (4, 20)
        assert np.abs(got - wanted).mean() < FEATURE_TOLERANCE


def test_shapes_agree_with_the_tables(encoder, decoder):
    tables = SHIPPED.tables
    assert tables.version == 0xD1
    assert encoder.latent_dim == decoder.latent_dim == tables.latent_dim
    assert encoder.state_dim == decoder.state_dim == tables.state_dim


def test_encoder_is_causal(encoder, features):
    changed = features.copy()
    changed[100:] += 1
    z, s = encode(encoder, features)
    z2, s2 = encode(encoder, changed)
    np.testing.assert_array_equal(z[:50], z2[:50])
    np.testing.assert_array_equal(s[:50], s2[:50])
    assert (z[50] != z2[50]).any()


def test_reset_makes_runs_equal(encoder, features):
    np.testing.assert_array_equal(encode(encoder, features)[0], encode(encoder, features)[0])


def test_start_forgets_the_last_chunk(encoder, decoder, features):
    z, s = encode(encoder, features)

    def newest():
        decoder.start(s[60])
        return decoder.step(z[60], 3)

    first = newest()
    decoder.step(z[10], 15)
    np.testing.assert_array_equal(first, newest())


def test_several_latents_at_once_are_those_one_by_one(encoder, decoder, features):
    z, s = encode(encoder, features)
    levels = np.array([6, 6, 7, 15])
    decoder.start(s[80])
    alone = [decoder.step(z[80 - 2 * i], int(level)) for i, level in enumerate(levels)]
    decoder.start(s[80])
    np.testing.assert_array_equal(decoder.steps(z[[80, 78, 76, 74]], levels), alone)
    assert decoder.steps(z[:0], levels[:0]).shape == (0, 4, 20)
    many = 2 * decoder._several.inputs["coded"][0] + 2
    decoder.start(s[80])
    alone = [decoder.step(z[80 - 2 * i], 6) for i in range(many)]
    memory = decoder.memory
    decoder.start(s[80])
    together = decoder.steps(z[80 - 2 * np.arange(many)], np.full(many, 6))
    np.testing.assert_allclose(together, alone, atol=1e-4)
    np.testing.assert_allclose(decoder.memory, memory, atol=1e-4)
    with pytest.raises(ValueError, match="level"):
        decoder.steps(z[:1], np.array([16]))


def test_chunks_can_take_turns(encoder, decoder, features):
    z, s = encode(encoder, features)
    decoder.start(s[80])
    alone = [decoder.step(z[80 - 2 * i], 6) for i in range(4)]
    decoder.start(s[80])
    decoder.step(z[80], 6)
    decoder.step(z[78], 6)
    kept = decoder.memory
    decoder.start(s[30])
    decoder.step(z[30], 9)
    decoder.resume(kept)
    np.testing.assert_array_equal(decoder.step(z[76], 6), alone[2])
    np.testing.assert_array_equal(decoder.step(z[74], 6), alone[3])


def test_the_level_is_heard(encoder, decoder, features):
    z, s = encode(encoder, features)
    out = []
    for level in (0, 15):
        decoder.start(s[60])
        out.append(decoder.step(z[60], level))
    assert np.abs(out[0] - out[1]).max() > 1e-4


@pytest.mark.parametrize("bad", [np.zeros((1, 20), np.float32), np.zeros(40, np.float32)])
def test_encoder_refuses_other_shapes(encoder, bad):
    with pytest.raises(ValueError, match=r"features: expected \[2, 20\]"):
        encoder.push(bad)


def test_encoder_refuses_nan_and_stays_usable(encoder, features):
    before = encode(encoder, features)[0]
    encoder.reset()
    bad = features[:2].copy()
    bad[1, 3] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        encoder.push(bad)
    np.testing.assert_array_equal(
        before, np.array([encoder.push(f)[0] for f in features.reshape(-1, 2, 20)]))


def test_decoder_refuses_bad_arguments(decoder):
    fresh = RdoVaeDecoder()
    latent = np.zeros(fresh.latent_dim, np.float32)
    with pytest.raises(ValueError, match=r"start\(\) must come before"):
        fresh.step(latent, 0)
    with pytest.raises(ValueError, match="state: expected"):
        fresh.start(np.zeros(3, np.float32))
    fresh.start(np.zeros(fresh.state_dim, np.float32))
    with pytest.raises(ValueError, match="latent: expected"):
        fresh.step(latent[1:], 0)
    for level in (-1, 16):
        with pytest.raises(ValueError, match="level: expected 0 to 15"):
            fresh.step(latent, level)


def test_a_decoder_of_several_latents_is_none_of_one(tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for name in (modelset.START, modelset.DECODER_ROWS):
        shutil.copy(registry.FOLDER / name, folder)
    shutil.copy(registry.FOLDER / modelset.DECODER_ROWS, folder / modelset.DECODER)

    class Here(modelset.ModelSet):
        def file(self, name: str) -> ModelFile:
            return ModelFile.of(folder / name)

    with pytest.raises(ModelError, match="expected one latent per call"):
        RdoVaeDecoder(Here("model", 10, folder))
    shutil.copy(registry.FOLDER / modelset.DECODER, folder / modelset.DECODER)
    RdoVaeDecoder(Here("model", 10, folder))
