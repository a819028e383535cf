# SPDX-License-Identifier: BSD-2-Clause
"""More latents and state for a trained network: it goes on where it was, and new latents help at once."""

import numpy as np
import pytest
from training_cases import synthetic_features, torch

from models.training.rdovae_eval import run, sequences
from models.training.rdovae_grow import fit_decay, left_over, with_more_latents, with_more_state
from models.training.rdovae_loss import laplace_bits
from models.training.rdovae_net import RdoVae, RdoVaeConfig, shrink

SMALL = RdoVaeConfig(latent=5, state=6, enc_dense=24, enc_gru=8, enc_conv=8, enc_dilations=(1, 2),
                     dec_dense=16, dec_gru=8, dec_conv=8, dec_stages=2, hidden=10)


@pytest.fixture(scope="module")
def frames():
    return sequences(synthetic_features(9000, 5), steps=106, count=40)


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(4)
    return RdoVae(SMALL).eval()


def test_the_error_without_rounding_falls(small, frames):
    before = left_over(small, frames)[1].square().mean()
    after = left_over(with_more_latents(small, 13, frames), frames)[1].square().mean()
    assert after < 0.8 * before


def test_new_latents_are_strongest_first_and_of_the_wanted_size(small, frames):
    big = with_more_latents(small, 13, frames)
    with torch.no_grad():
        z, _ = big.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
        old, _ = small.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
    torch.testing.assert_close(z[..., :5], old)
    spread = z[10:, :, 5:].flatten(0, 1).std(0)
    assert spread[0] == pytest.approx(1.0, rel=0.25) and spread[0] > 1.5 * spread[-1]


def test_old_weights_stay(small, frames):
    big = with_more_latents(small, 13, frames)
    assert big.cfg.latent == 13 and big.quantiser.scale_logit.shape == (16, 13 + 6)
    torch.testing.assert_close(big.decoder.grus[1].cell.weight_hh_l0, small.decoder.grus[1].cell.weight_hh_l0)
    torch.testing.assert_close(big.quantiser.scale_logit[:, 13:], small.quantiser.scale_logit[:, 5:])
    assert np.isfinite(run(big, frames, 3, 8)["error"]).all()


def test_more_state_hardly_changes_what_comes_out(small, frames):
    torch.manual_seed(1)
    big = with_more_state(small, 12, frames)
    assert big.cfg.state == 12 and big.quantiser.scale_logit.shape == (16, 5 + 12)
    pairs = frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2)
    with torch.no_grad():
        (z, s), (z_old, s_old) = big.encoder(pairs), small.encoder(pairs)
    torch.testing.assert_close(z, z_old)
    torch.testing.assert_close(s[..., :6], s_old)
    assert 0.3 < s[..., 6:].std() / s_old.std() < 3
    before, after = (run(m, frames, 3, 8)["error"].mean() for m in (small, big))
    assert after == pytest.approx(before, rel=0.1)


def test_fitted_decays_cost_least(small, frames):
    model = RdoVae(SMALL)
    model.load_state_dict(small.state_dict())
    fit_decay(model, frames)
    with torch.no_grad():
        z, _ = model.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
        values = shrink(z[10:].flatten(0, 1) * model.quantiser.scale()[3, :5], model.quantiser.dead_zone()[3, :5])
        decay = model.quantiser.decay()[3, :5]
        best = laplace_bits(values, decay).mean(0)
        for other in (decay * 0.9, 1 - (1 - decay) * 0.9):
            assert (laplace_bits(values, other).mean(0) > best - 1e-5).all()
