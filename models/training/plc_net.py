# SPDX-License-Identifier: BSD-2-Clause
"""The concealment predictor: from the features so far, the next 10 ms.

After Valin et al., "Real-Time Packet Loss Concealment With Mixed Generative and Predictive Model"
(2022), much smaller. During a loss the input is the network's own last prediction with a flag.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from models.training.rdovae_loss import inverse_dct
from models.training.rdovae_net import FEATURES, INPUT_SCALE

BANDS = 18
_BASIS = inverse_dct()


@dataclass(frozen=True)
class PlcConfig:
    """Layer sizes."""

    dense: int = 64
    gru: int = 96

    def as_dict(self) -> dict:
        """Plain types, for checkpoints and model cards."""
        return asdict(self)


class PlcNet(nn.Module):
    """Dense, two GRUs, and a change that is added to the input frame."""

    def __init__(self, cfg: PlcConfig | None = None) -> None:
        super().__init__()
        self.cfg = cfg or PlcConfig()
        self.dense = nn.Linear(FEATURES + 1, self.cfg.dense)
        self.gru1 = nn.GRUCell(self.cfg.dense, self.cfg.gru)
        self.gru2 = nn.GRUCell(self.cfg.gru, self.cfg.gru)
        self.out = nn.Linear(2 * self.cfg.gru, FEATURES)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def step(self, frame: Tensor, lost: Tensor, h1: Tensor, h2: Tensor
             ) -> tuple[Tensor, Tensor, Tensor]:
        """frame [B, 20], lost [B, 1] (1 = own prediction) -> next frame [B, 20], new states."""
        scale = INPUT_SCALE.to(frame)
        x = torch.tanh(self.dense(torch.cat([frame * scale, lost], -1)))
        h1 = self.gru1(x, h1)
        h2 = self.gru2(h1, h2)
        return frame + self.out(torch.cat([h1, h2], -1)) / scale, h1, h2

    def forward(self, frames: Tensor, lost: Tensor) -> Tensor:
        """frames [T, B, 20], lost [T, B] (1 = not received) -> each frame predicted [T, B, 20].

        Row t is predicted from rows 0 … t-1 alone; row 0 is a copy of the input.
        """
        batch = frames.shape[1]
        h1 = frames.new_zeros(batch, self.cfg.gru)
        h2 = frames.new_zeros(batch, self.cfg.gru)
        guess = frames[0]
        guesses = []
        for t in range(len(frames)):
            guesses.append(guess)
            flag = lost[t][:, None]
            heard = torch.where(flag > 0, guess, frames[t])
            guess, h1, h2 = self.step(heard, flag, h1, h2)
        return torch.stack(guesses)


def plc_loss(frames: Tensor, guesses: Tensor, lost: Tensor) -> Tensor:
    """Error of the predictions, mainly where frames were lost.

    Absolute errors of band levels (bels), of pitch where voiced, and of the correlation; claiming
    more voicing than there is costs double, since it is heard as a buzz.
    """
    basis = _BASIS.to(frames)
    bands = ((guesses - frames)[..., :BANDS] @ basis.T).abs().mean(-1)
    voiced = torch.relu(frames[..., 19] + 0.5)
    pitch = (guesses[..., 18] - frames[..., 18]).abs() * voiced
    excess = guesses[..., 19] - frames[..., 19]
    corr = torch.where(excess > 0, 2 * excess, -excess)
    weight = 0.1 + lost
    return ((bands + 2 * pitch + 0.5 * corr) * weight).sum() / weight.sum()
