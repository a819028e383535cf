# SPDX-License-Identifier: BSD-2-Clause
"""What the RDO-VAE is trained for: which latent answers for which frames, levels, error, rate."""

import numpy as np
import pytest
from training_cases import synthetic_features, torch

from dredge_kernels.payload import decode_payload, encode_payload
from dredge_models.modelset import SHIPPED
from models.training.rdovae_loss import (
    LEVEL_STEPS,
    Chunks,
    chunk_loss,
    distortion,
    draw_chunks,
    draw_schedules,
    gather_targets,
    inverse_dct,
    lambdas,
    laplace_bits,
    level_schedule,
    level_weight,
)
from models.training.rdovae_net import RdoVae, RdoVaeConfig, shrink

SMALL = RdoVaeConfig(latent=5, state=6, enc_dense=12, enc_gru=6, enc_conv=6, enc_dilations=(1, 2),
                     dec_dense=12, dec_gru=8, dec_conv=6, dec_stages=2, hidden=10)


def frames(steps, batch=2):
    rows = synthetic_features(2 * steps * batch, 1).reshape(batch, 2 * steps, 20)
    return torch.from_numpy(np.ascontiguousarray(rows.transpose(1, 0, 2)))


def test_a_latent_answers_for_its_own_and_the_two_frames_before():
    chunks = Chunks(torch.tensor([7, 5])[:, None, None], torch.zeros(1, 1, 1, dtype=torch.long))
    x = frames(10, 1)
    wanted, weight = gather_targets(x, chunks)
    assert wanted.shape == (2, 1, 4, 20) and weight.shape == (2, 1, 4)
    torch.testing.assert_close(wanted[0, 0], x[12:16, 0])
    torch.testing.assert_close(wanted[1, 0], x[8:12, 0])


@pytest.mark.parametrize(("steps", "length"), [(106, 26), (106, 25), (90, 7), (212, 26), (53, 26)])
def test_chunks_are_whole_and_disjoint(steps, length):
    index = draw_chunks(np.random.default_rng(3), steps, 50, length).steps
    assert index.min() >= 1 and index.max() < steps
    assert (index[:-1] - index[1:] == 2).all()
    for b in range(50):
        used = index[:, b].flatten().tolist()
        assert len(set(used)) == len(used)


def test_phases_of_both_parities_occur():
    index = draw_chunks(np.random.default_rng(0), 106, 100, 26).steps
    assert set((index[0, :, 0] % 2).tolist()) == {0, 1}


def test_too_few_steps_are_refused():
    with pytest.raises(ValueError, match="10 encoder steps are too few for chunks of 26"):
        draw_chunks(np.random.default_rng(0), 10, 2, 26)


@pytest.mark.parametrize("q0", [0, 4, 6, 15])
@pytest.mark.parametrize("dq", range(8))
def test_level_schedule_is_that_of_the_payload(q0, dq):
    tables = SHIPPED.tables
    payload = encode_payload(np.full((26, tables.latent_dim), 3, np.float32),
                             np.zeros(tables.state_dim, np.float32), tables, q0, dq)
    levels = level_schedule(np.array([q0]), np.array([LEVEL_STEPS[dq]]), 26)[:, 0]
    np.testing.assert_array_equal(decode_payload(payload, tables).levels, levels)


def test_schedules_cover_all_levels_and_slopes():
    q0, step = draw_schedules(np.random.default_rng(0), 4000)
    assert set(q0) == set(range(16)) and set(step) == set(LEVEL_STEPS)


def test_lambdas_are_geometric():
    ratios = lambdas()[1:] / lambdas()[:-1]
    torch.testing.assert_close(ratios, ratios[0].expand(15), rtol=1e-4, atol=0)


def test_dct_is_orthonormal():
    basis = inverse_dct()
    torch.testing.assert_close(basis @ basis.T, torch.eye(18), atol=1e-5, rtol=0)


def test_distortion_is_zero_only_for_equal_frames():
    x = frames(20)
    assert distortion(x, x).abs().max() == 0
    for k in (0, 5, 19):
        y = x.clone()
        y[..., k] += 0.1
        assert (distortion(x, y) > 0).all()


def test_pitch_counts_only_where_voiced():
    x = frames(20)
    y = x.clone()
    y[..., 18] += 0.2
    x[..., 19] = y[..., 19] = -0.5
    assert distortion(x, y).abs().max() == 0
    x[..., 19] = y[..., 19] = 0.5
    torch.testing.assert_close(distortion(x, y), torch.full(x.shape[:-1], 0.16))


def test_sound_in_silence_costs_within_reason():
    """A relative error of a silent frame has no limit, its cost has: one such frame must not rule a batch."""
    silent = torch.zeros(1, 20)
    silent[:, 0] = -12.0
    heard = silent.clone()
    heard[:, 0] += 3 * 18**0.5
    assert distortion(silent, heard).item() < 0.4 * 9 * 1.2 + 0.9 * 6 * 4 + 0.01


def test_distortion_survives_absurd_outputs():
    x = frames(4)
    assert torch.isfinite(distortion(x, x + 1e3)).all()


def test_loud_frames_count_most():
    c0 = torch.linspace(-12, 10, 200)[:, None]
    weight = level_weight(c0)
    assert weight[-1] == 1 and weight[0] == pytest.approx(0.5) and (weight.diff(dim=0) >= 0).all()


def test_laplace_bits_are_the_cost_of_whole_symbols():
    decay = torch.tensor(0.6)
    k = torch.arange(-200, 201).float()
    assert (2 ** -laplace_bits(k, decay)).sum() == pytest.approx(1, abs=1e-4)


def test_dead_zone_shrinks_towards_zero_and_keeps_the_sign():
    y = torch.linspace(-5, 5, 101)
    z = shrink(y, torch.tensor(0.4))
    assert (z.abs() <= y.abs() + 1e-6).all() and (z * y >= 0).all()
    torch.testing.assert_close(shrink(y, torch.tensor(0.0)), y)


def loss_of(model, x, seed=0, hard=True, lam=None, heard=None, rate_weight=(1.0, 1.0)):
    rng = np.random.default_rng(seed)
    chunks = draw_chunks(rng, len(x) // 2, x.shape[1], 6)
    count = x.shape[1] * chunks.steps.shape[2]
    levels = torch.from_numpy(level_schedule(*draw_schedules(rng, count), 6))
    noise = torch.Generator().manual_seed(0)
    return chunk_loss(model, x, x if heard is None else heard, chunks, levels, torch.full((count,), hard), noise,
                      lambdas() if lam is None else lam, rate_weight)


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = RdoVae(SMALL)
    for hard in (True, False):
        model.zero_grad()
        loss_of(model, frames(40, 8), hard=hard).total.backward()
        without = [n for n, p in model.named_parameters()
                   if p.grad is None or p.grad.abs().max() == 0]
        # The last delay line's oldest taps always see something; nothing may be left out.
        assert without == []


def test_the_error_is_against_what_should_come_out_and_the_bits_are_of_what_is_heard():
    torch.manual_seed(0)
    model, x = RdoVae(SMALL), frames(40, 8)
    plain = loss_of(model, x)
    other = loss_of(model, x + 0.5, heard=x)
    assert other.latent_bits == plain.latent_bits and other.state_bits == plain.state_bits
    assert other.distortion != plain.distortion
    assert loss_of(model, x, heard=x + 0.5).latent_bits != plain.latent_bits


def test_rates_have_weights_of_their_own():
    torch.manual_seed(0)
    model, x = RdoVae(SMALL), frames(40, 8)
    full, no_state, none = (loss_of(model, x, rate_weight=w).total for w in ((1.0, 1.0), (1.0, 0.0), (0.0, 0.0)))
    assert full > no_state > none > 0


def test_single_far_bands_cost_more_than_in_proportion():
    """The same sum of squares in one band, or over all."""
    x = frames(20)
    basis = inverse_dct()
    alone = torch.zeros(18)
    alone[5] = 1.5
    spread = torch.full((18,), 1.5 / 18**0.5)
    near, far = x.clone(), x.clone()
    near[..., :18] += spread @ basis
    far[..., :18] += alone @ basis
    assert distortion(x, far)[x[..., 0] > 0].mean() > 0
    small, large = (distortion(x, x + (y - x) * k).mean() for y, k in ((far, 0.1), (far, 1.0)))
    assert large > 100 * small


def test_lambda_trades_rate_against_distortion():
    """total = sqrt(k) R + D / sqrt(k) when all lambdas are multiplied by k: three k, two unknowns."""
    torch.manual_seed(0)
    model, x = RdoVae(SMALL), frames(40, 8)
    one, four, nine = (loss_of(model, x, lam=k * lambdas()).total.item() for k in (1, 4, 9))
    rate = (four - one / 2) / 1.5
    error = one - rate
    assert rate > 0 and error > 0
    assert nine == pytest.approx(3 * rate + error / 3, rel=1e-4)


def test_network_encoder_is_causal_and_decoder_looks_only_at_newer_latents():
    torch.manual_seed(0)
    model, x = RdoVae(SMALL), torch.randn(30, 1, 40)
    y = x.clone()
    y[20:] += 1
    with torch.no_grad():
        torch.testing.assert_close(model.encoder(x)[0][:20], model.encoder(y)[0][:20])
        z = torch.randn(10, 1, 5)
        w = z.clone()
        w[6:] += 1
        level, state = torch.zeros(10, 1), torch.randn(1, 6)
        a, b = model.decoder(z, level, state), model.decoder(w, level, state)
    torch.testing.assert_close(a[:6], b[:6])
    assert (a[6:] != b[6:]).any()


def test_quantiser_stays_inside_its_tables():
    model = RdoVae(SMALL)
    with torch.no_grad():
        model.quantiser.scale_logit += 50 * torch.randn_like(model.quantiser.scale_logit)
        model.quantiser.dead_raw += 50 * torch.randn_like(model.quantiser.dead_raw)
    scale, dead = model.quantiser.scale(), model.quantiser.dead_zone()
    assert (scale >= 4 / 256).all() and (scale <= 255 / 256).all()
    assert (dead >= 0).all() and (dead <= 255 / 256).all()
