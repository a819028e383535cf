# SPDX-License-Identifier: BSD-2-Clause
"""The discriminators of the decoder's training: what they see, and that each side learns what it should."""

import numpy as np
from training_cases import synthetic_features, torch

from models.training.augment import dct_matrix
from models.training.discriminators import (
    RANGE_BELS,
    Discriminators,
    chronological,
    deceive_loss,
    images,
    judge_loss,
    matching_loss,
)

LATENTS, CHUNKS = 8, 3


def chunks(seed):
    """Rows [K, n, 4, 20] as a decoder gives them: newest latent first, the oldest of its four frames first."""
    rows = torch.from_numpy(synthetic_features(4 * LATENTS * CHUNKS, seed).reshape(CHUNKS, LATENTS, 4, 20))
    return rows.flip(1).transpose(0, 1).contiguous()


def levels():
    return torch.arange(LATENTS)[:, None].expand(-1, CHUNKS)


def test_images_are_in_the_order_of_time():
    rows = torch.arange(4.0 * LATENTS).reshape(LATENTS, 1, 4, 1).flip(0)
    assert chronological(rows)[0, :, 0].tolist() == list(range(4 * LATENTS))


def test_an_image_has_bands_relative_to_the_loudest_frames_and_the_level():
    true, decoded = images(chunks(1), chunks(2), levels())
    assert true.shape == decoded.shape == (CHUNKS, 2, 4 * LATENTS, 18)
    for image in (true, decoded):
        np.testing.assert_allclose(image[:, 1, 3::4, 0].flip(1), np.tile(np.arange(LATENTS) / 8 - 1, (CHUNKS, 1)))
    bands = chronological(chunks(1)[..., :18]) @ torch.from_numpy(dct_matrix()).T
    top = np.quantile(bands.mean(-1), 0.95, 1)[:, None, None]
    np.testing.assert_allclose(1.5 * (true[:, 0] - 1), np.maximum(bands.numpy() - top, -RANGE_BELS), atol=1e-4)


def test_both_images_are_relative_to_the_true_one():
    """A decoder that is 5 dB too quiet looks 5 dB too quiet."""
    quiet = chunks(1)
    quiet[..., 0] -= 0.5 * 18**0.5
    true, decoded = images(chunks(1), quiet, levels())
    inside = decoded[:, 0] > decoded[:, 0].min() + 0.1
    torch.testing.assert_close((true - decoded)[:, 0][inside], torch.full_like(true[:, 0], 0.5 / 1.5)[inside])


def test_losses_are_zero_where_their_side_has_won():
    def verdicts(value, inner=1.0):
        return [[torch.full((2, 3), inner), torch.full((2, 1), value)]]

    assert judge_loss(verdicts(1.0), verdicts(0.0)) == 0 and judge_loss(verdicts(0.0), verdicts(1.0)) == 2
    assert deceive_loss(verdicts(1.0)) == 0 and deceive_loss(verdicts(0.0)) == 1
    assert matching_loss(verdicts(0.0), verdicts(1.0)) == 0
    torch.testing.assert_close(matching_loss(verdicts(0.0), verdicts(0.0, 3.0)), torch.tensor(2.0), rtol=2e-3, atol=0)


def test_discriminators_learn_to_see_smoothing_and_their_gradient_undoes_it():
    torch.manual_seed(1)
    wanted = chunks(3)
    smooth = wanted.clone()
    smooth[..., 9:18] *= 0.3
    judges = Discriminators((1, 2))
    optimiser = torch.optim.Adam(judges.parameters(), 2e-3)
    true, decoded = images(wanted, smooth, levels())
    for _ in range(150):
        loss = judge_loss(judges(true), judges(decoded))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.2, "two thirds of the worst that a constant verdict gives, 0.5, is not learnt"
    rows = smooth.clone().requires_grad_()
    seen = judges(images(wanted, rows, levels())[1])
    pull, = torch.autograd.grad(deceive_loss(seen) + matching_loss(judges(true), seen), rows)
    toward = (wanted - smooth)[..., 9:18]
    assert -(pull[..., 9:18] * toward).sum() > 0, "a step against the gradient goes towards the true coefficients"
