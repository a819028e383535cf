# SPDX-License-Identifier: BSD-2-Clause
"""Adam for everything, or Muon for the matrices and Adam for the rest, behind one object."""

from typing import Any

import torch
from torch import Tensor, nn

CLIP = 2.0          # norm of all gradients together
QUICK = 6.0         # factor on the learning rate for the quantiser's tables, whose logits have a wide range


class Optimiser:
    """One schedule for all; Muon's steps are scaled to the size of Adam's.

    Muon (K. Jordan et al., 2024) makes the step of each matrix orthogonal. The quantiser's tables are two-dimensional
    arrays but not linear maps, so Adam updates them.
    """

    def __init__(self, model: nn.Module, lr: float, kind: str = "muon") -> None:
        """Make the optimiser; kind: "muon" or "adam"."""
        named = list(model.named_parameters())
        matrices = [p for n, p in named if kind == "muon" and p.ndim == 2 and not n.startswith("quantiser")]
        chosen = {id(p) for p in matrices}
        rest = [p for _, p in named if id(p) not in chosen]
        self._all = [p for _, p in named]
        self._lr = lr
        quick = [p for n, p in named if n.startswith("quantiser")]
        groups = [{"params": [p for p in rest if all(p is not q for q in quick)], "pace": 1.0}]
        groups += [{"params": quick, "pace": QUICK}] if quick else []
        self._parts: list[torch.optim.Optimizer] = [torch.optim.Adam(groups, lr, betas=(0.9, 0.98), foreach=True)]
        if matrices:
            self._parts.append(torch.optim.Muon(matrices, lr=lr, weight_decay=0.0, momentum=0.95,
                                                adjust_lr_fn="match_rms_adamw"))

    def update(self, loss: Tensor, rate: float) -> None:
        """Compute the gradients of `loss`, clip them, and take one step at `rate` times the learning rate."""
        for part in self._parts:
            part.zero_grad(set_to_none=True)
            for group in part.param_groups:
                group["lr"] = self._lr * rate * group.get("pace", 1.0)
        loss.backward()
        nn.utils.clip_grad_norm_(self._all, CLIP)
        for part in self._parts:
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the state for a checkpoint."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        """Take the state from a checkpoint. Raises ValueError when another kind of optimiser made it."""
        if len(state) != len(self._parts):
            raise ValueError("checkpoint: made with another --optimiser; give the same or start a new run")
        for part, values in zip(self._parts, state, strict=True):
            part.load_state_dict(values)
