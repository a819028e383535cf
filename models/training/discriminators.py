# SPDX-License-Identifier: BSD-2-Clause
"""Small networks that tell decoded band levels from true ones, and the losses that go with them.

After Mao et al., "Least Squares Generative Adversarial Networks" (2017), and the feature matching of Salimans et al.,
"Improved Techniques for Training GANs" (2016); the size and the input are ours.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.training.rdovae_loss import BANDS, inverse_dct
from models.training.rdovae_net import LEVELS

POOLS = (1, 2, 4)             # frames that one row of each network's image averages
CHANNELS = (16, 32, 32)
RANGE_BELS = 4.5              # below the loudest frames; all that is quieter looks the same
SLOPE = 0.2                   # of the leaky rectifiers
_BANDS_FROM_CEPSTRUM = inverse_dct()


def chronological(rows: Tensor) -> Tensor:
    """Return [n, 4 K, ...], oldest frame first, of rows [K, n, 4, ...], newest latent first and oldest frame first."""
    return rows.flip(0).transpose(0, 1).flatten(1, 2)


def images(wanted: Tensor, out: Tensor, levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images [n, 2, 4 K, 18] of true and of decoded features.

    wanted, out [K, n, 4, 20]; levels [K, n]. The first channel has the band levels in units of 1.5 bels relative to the
    loudest true frames of each chunk, limited to RANGE_BELS below them; the second has the quantiser level.
    """
    basis = _BANDS_FROM_CEPSTRUM.to(out)
    bands = [chronological(rows[..., :BANDS] @ basis.T) for rows in (wanted, out)]
    top = torch.quantile(bands[0].mean(-1), 0.95, dim=1)[:, None, None]
    hint = chronological((levels.to(out) / (LEVELS / 2) - 1)[..., None].expand(-1, -1, 4))
    hint = hint[..., None].expand(-1, -1, BANDS)
    first = [torch.clamp(b - top, min=-RANGE_BELS) / 1.5 + 1 for b in bands]
    return torch.stack([first[0], hint], 1), torch.stack([first[1], hint], 1)


class Discriminator(nn.Module):
    """Four convolutions over time and bands; every value of the last is a verdict on one place."""

    def __init__(self, pool: int) -> None:
        super().__init__()
        self.pool = pool
        a, b, c = CHANNELS
        self.layers = nn.ModuleList([
            nn.Conv2d(2, a, 3, padding=1),
            nn.Conv2d(a, b, 3, stride=2, padding=1),
            nn.Conv2d(b, c, 3, stride=(2, 1), padding=1),
            nn.Conv2d(c, 1, 3, padding=1),
        ])

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the outputs of all layers, the verdicts last, for an image [n, 2, time, 18]."""
        x = functional.avg_pool2d(image, (self.pool, 1)) if self.pool > 1 else image
        outputs = []
        for layer in self.layers[:-1]:
            x = functional.leaky_relu(layer(x), SLOPE)
            outputs.append(x)
        return [*outputs, self.layers[-1](x)]


class Discriminators(nn.Module):
    """One discriminator per scale of time."""

    def __init__(self, pools: Sequence[int] = POOLS) -> None:
        super().__init__()
        self.scales = nn.ModuleList([Discriminator(pool) for pool in pools])

    def forward(self, image: Tensor) -> list[list[Tensor]]:
        """Return the outputs of all layers of every scale for an image [n, 2, time, 18]."""
        return [scale(image) for scale in self.scales]


def judge_loss(true: list[list[Tensor]], decoded: list[list[Tensor]]) -> Tensor:
    """Return what the discriminators make small: verdicts of 1 on true images and of 0 on decoded ones."""
    return torch.stack([((t[-1] - 1) ** 2).mean() + (d[-1] ** 2).mean()
                        for t, d in zip(true, decoded, strict=True)]).mean()


def deceive_loss(decoded: list[list[Tensor]]) -> Tensor:
    """Return what the decoder makes small: verdicts of 1 on its own images."""
    return torch.stack([((d[-1] - 1) ** 2).mean() for d in decoded]).mean()


def matching_loss(true: list[list[Tensor]], decoded: list[list[Tensor]]) -> Tensor:
    """Return the mean difference of the inner layers' outputs, relative to their mean size on true images."""
    parts = [(t - d).abs().mean() / (t.abs().mean() + 1e-3)
             for ours, theirs in zip(true, decoded, strict=True)
             for t, d in zip(ours[:-1], theirs[:-1], strict=True)]
    return torch.stack(parts).mean()
