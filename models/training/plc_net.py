# SPDX-License-Identifier: BSD-2-Clause
"""The concealment predictor: it computes the next 10 ms from the features so far, and from those after the gap if
known.

After Valin et al., "Real-Time Packet Loss Concealment With Mixed Generative and Predictive Model"
(2022), much smaller. During a loss the input is the network's own last prediction. A receiver that plays with a
delay often has the packet after the gap already: its first row is the anchor, the target of the prediction.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from models.training.rdovae_loss import inverse_dct
from models.training.rdovae_net import FEATURES, INPUT_SCALE

BANDS = 18
LONG = 30.0        # frames; scale of the position in a burst, which keeps the input near one
_BASIS = inverse_dct()


@dataclass(frozen=True)
class PlcConfig:
    """Layer sizes."""

    dense: int = 64
    gru: int = 96

    def as_dict(self) -> dict:
        """Return plain types for checkpoints and model cards."""
        return asdict(self)


@dataclass
class Ahead:
    """The known frames after the gap, for every step of a batch."""

    anchor: Tensor      #: float32 [T, B, 20], the first row after the gap in which the next frame lies
    distance: Tensor    #: float32 [T, B], frames from row t to the anchor; 0 where there is none or it is not needed


class PlcNet(nn.Module):
    """Dense, two GRUs, and a change that is added to the frame and its step towards the anchor."""

    def __init__(self, cfg: PlcConfig | None = None) -> None:
        super().__init__()
        self.cfg = cfg or PlcConfig()
        self.dense = nn.Linear(3 * FEATURES + 3, self.cfg.dense)
        self.gru1 = nn.GRUCell(self.cfg.dense, self.cfg.gru)
        self.gru2 = nn.GRUCell(self.cfg.gru, self.cfg.gru)
        self.out = nn.Linear(2 * self.cfg.gru, FEATURES)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def step(self, row: Tensor, h1: Tensor, h2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next frame [B, 20] and the new states for row [B, 63] (see `inputs`)."""
        scale = INPUT_SCALE.to(row)
        spread = torch.cat([scale, scale, scale, scale.new_ones(3)])
        x = torch.tanh(self.dense(row * spread))
        h1 = self.gru1(x, h1)
        h2 = self.gru2(h1, h2)
        straight = row[:, :FEATURES] + row[:, FEATURES : 2 * FEATURES]
        return straight + self.out(torch.cat([h1, h2], -1)) / scale, h1, h2

    def forward(self, frames: Tensor, lost: Tensor, ahead: Ahead | None = None) -> Tensor:
        """Return each frame predicted, [T, B, 20], from frames [T, B, 20] and lost [T, B] (1 = not received).

        Row t is predicted from the received rows before t and the anchor alone; row 0 is a copy of the input.
        """
        batch = frames.shape[1]
        h1 = frames.new_zeros(batch, self.cfg.gru)
        h2 = frames.new_zeros(batch, self.cfg.gru)
        guess = frames[0]
        guesses = []
        age = frames.new_zeros(batch)
        for t in range(len(frames)):
            guesses.append(guess)
            flag = lost[t][:, None]
            age = (age + 1) * lost[t]
            heard = torch.where(flag > 0, guess, frames[t])
            known = None if ahead is None else (ahead.anchor[t], ahead.distance[t])
            guess, h1, h2 = self.step(inputs(heard, age, known), h1, h2)
        return torch.stack(guesses)


def inputs(frame: Tensor, age: Tensor, known: tuple[Tensor, Tensor] | None) -> Tensor:
    """Return the network input [B, 63] of frame [B, 20], age [B] (lost frames so far), known (anchor [B, 20], distance
    [B]).

    The input is the frame, its step straight towards the anchor, the difference to the anchor, whether the frame was
    lost, the position in the burst, and the nearness of the anchor.
    """
    if known is None:
        way = step = torch.zeros_like(frame)
        near = torch.zeros_like(age)
    else:
        anchor, distance = known
        near = torch.where(distance > 0, 1 / distance.clamp(min=1), 0.0)
        way = (anchor - frame) * (distance > 0)[:, None]
        step = way * near[:, None]
    extra = torch.stack([(age > 0).to(frame), age.clamp(max=LONG) / LONG, near], -1)
    return torch.cat([frame, step, way, extra], -1)


def plc_loss(frames: Tensor, guesses: Tensor, lost: Tensor) -> Tensor:
    """Return the error of the predictions, mainly where frames were lost.

    It sums absolute errors of band levels (bels), of pitch where voiced, and of the correlation; excess voicing
    counts double, since it sounds like a buzz.
    """
    basis = _BASIS.to(frames)
    bands = ((guesses - frames)[..., :BANDS] @ basis.T).abs().mean(-1)
    voiced = torch.relu(frames[..., 19] + 0.5)
    pitch = (guesses[..., 18] - frames[..., 18]).abs() * voiced
    excess = guesses[..., 19] - frames[..., 19]
    corr = torch.where(excess > 0, 2 * excess, -excess)
    weight = 0.1 + lost
    return ((bands + 2 * pitch + 0.5 * corr) * weight).sum() / weight.sum()
