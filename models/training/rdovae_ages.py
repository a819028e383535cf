# SPDX-License-Identifier: BSD-2-Clause
"""The use of frames of each age after losses, and errors weighted by it."""

import numpy as np
import torch
from torch import Tensor

# Mean age in ms of the frames recovered after losses of up to 120, 320 and 1000 ms; 97, 76 and 39 % of them are
# younger than 80 ms.
RECOVERED_MS = {"short": 23.0, "medium": 56.0, "long": 162.0}
LATENT_MS = 40.0
FRAME_MS = 10.0
LATENTS = 26                       # of one second
EVEN = 0.4                         # share of the training's weight that is equal for all latents of a chunk
SMOOTHED = slice(9, 18)            # the cepstra that coarse levels flatten first


def usage(ages_ms: np.ndarray, mean_ms: float) -> np.ndarray:
    """Return the shares (sum 1) of frames recovered at these ages, when the mean age is `mean_ms`."""
    shares = np.exp(-ages_ms / mean_ms)
    return shares / shares.sum()


def age_weights(length: int) -> Tensor:
    """Return the weights float32 [length] of a chunk's latents, newest first; the mean over one second is 1."""
    ages = LATENT_MS * np.arange(LATENTS)
    used = np.mean([usage(ages, mean) for mean in RECOVERED_MS.values()], 0)
    return torch.from_numpy(((1 - EVEN) * LATENTS * used + EVEN)[:length].astype(np.float32))


def growing(length: int, full_from_ms: float) -> Tensor:
    """Return shares float32 [length] for a chunk's latents, newest first: 0 up to half of the age `full_from_ms`, then
    growing to 1 at that age; all 1 for 0 ms.
    """
    ages = torch.arange(length) * LATENT_MS
    return ((2 * ages - full_from_ms) / full_from_ms).clamp(0.0, 1.0) if full_from_ms else torch.ones(length)


def band_errors(wanted: np.ndarray, got: np.ndarray) -> np.ndarray:
    """Return the mean squared band error in dB² by age, [frames], newest first, of rows [n, frames, 20], oldest first.
    """
    return (100 * ((got - wanted)[..., :18] ** 2).mean((0, 2)))[::-1]


def weighed(by_age: np.ndarray) -> dict[str, float]:
    """Return the band error in dB for each kind of loss; by_age in dB², one value per 10 ms, newest first."""
    ages = FRAME_MS * np.arange(len(by_age))
    return {kind: float(np.sqrt((usage(ages, mean) * by_age).sum())) for kind, mean in RECOVERED_MS.items()}


def variance_kept(wanted: np.ndarray, got: np.ndarray) -> float:
    """Return the variance of decoded c9 ... c17 divided by that of the originals; rows [..., 20]."""
    flat = [rows.reshape(-1, rows.shape[-1])[:, SMOOTHED] for rows in (wanted, got)]
    return float(flat[1].var(0).sum() / flat[0].var(0).sum())
