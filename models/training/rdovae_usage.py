# SPDX-License-Identifier: BSD-2-Clause
"""The errors of an RDO-VAE weighted by the ages of the frames that receivers use after losses.

`python -m models.training.rdovae_usage --data runs/data` prints, for each model and each schedule q0/dQ, the payload's
rate, the band error for three kinds of losses (bursts of up to 120, 320 and 1000 ms), at an age of 0 and 60 ms, and the
share of the variance of c9 … c17 that decoded features keep. --other MODEL adds an imported model or a folder.
Models run as shipped: int8 graphs and real payloads of one second.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from dredge_kernels.payload import decode_payload, encode_payload
from dredge_models.modelset import SHIPPED, ModelSet
from models.training.progress import Bar
from models.training.rdovae_ages import LATENTS, RECOVERED_MS, band_errors, variance_kept, weighed
from models.training.rdovae_curve import find_model, load_rows
from models.training.rdovae_loss import LEVEL_STEPS, level_schedule
from models.training.rdovae_points import Coder, spread

SCHEDULES = ((2, 7), (3, 7), (4, 7), (3, 6), (4, 6), (5, 6))
PACKETS = 50                       # per second


@dataclass(frozen=True)
class Usage:
    """One schedule: kb/s of the payloads, band error in dB by kind of loss, by age, and variance kept."""

    rate: float
    band: dict[str, float]
    newest: float
    at_60_ms: float
    kept: float


class Measure:
    """Codes the same stretches of features with one model at any schedule."""

    def __init__(self, model: ModelSet, stretches: list[np.ndarray]) -> None:
        self._coder = Coder(model)
        self._coded = [self._coder.encode(s) for s in stretches]
        self._wanted = np.stack([s[-4 * LATENTS :] for s in stretches])

    def at(self, q0: int, dq: int) -> Usage:
        """Return the cost and the figures of one schedule."""
        levels = level_schedule(np.array([q0]), np.array([LEVEL_STEPS[dq]]), LATENTS)[:, 0]
        sizes, rows = [], []
        for latents, state in self._coded:
            payload = encode_payload(latents, state, self._coder.tables, q0, dq)
            sizes.append(len(payload))
            rows.append(self._coder.rows(decode_payload(payload, self._coder.tables, LATENTS), levels))
        got = np.stack(rows)
        by_age = band_errors(self._wanted, got)
        return Usage(8e-3 * PACKETS * float(np.mean(sizes)), weighed(by_age), float(by_age[0] ** 0.5),
                     float(by_age[6] ** 0.5), variance_kept(self._wanted, got))


def table(title: str, results: dict[tuple[int, int], Usage]) -> str:
    """Return the table as Markdown."""
    kinds = list(RECOVERED_MS)
    lines = [f"| {title}, q0/dQ | kb/s | {' | '.join(kinds)} | 0 ms | 60 ms | c9–c17 kept |", "|---" * 7 + "|"]
    for (q0, dq), u in results.items():
        figures = [f"{u.rate:.1f}", *(f"{u.band[k]:.2f}" for k in kinds), f"{u.newest:.2f}", f"{u.at_60_ms:.2f}"]
        lines.append(f"| {q0}/{dq} | {' | '.join(figures)} | {u.kept:.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="folder of test.npz")
    parser.add_argument("--features", type=Path, help="other features, .npz or .npy of float32 [n, 20 or more]")
    parser.add_argument("--other", action="append", default=[], help="an imported model, or a folder of one")
    parser.add_argument("--chunks", type=int, default=120, help="seconds of speech that are coded")
    args = parser.parse_args()
    torch.set_num_threads(1)
    models = [SHIPPED] + [find_model(name) for name in args.other]
    stretches = spread(load_rows(args.features or args.data / "test.npz"), args.chunks)
    bar = Bar("usage")
    for model in models:
        measure, results = Measure(model, stretches), {}
        for i, schedule in enumerate(SCHEDULES):
            results[schedule] = measure.at(*schedule)
            bar.show((i + 1) / len(SCHEDULES), model.id)
        print(table(model.id, results), end="\n\n")
    bar.close()


if __name__ == "__main__":
    main()
