# SPDX-License-Identifier: BSD-2-Clause
"""The loss by int8 weights: the shipped graphs against the same ones with float32 weights, through the whole codec."""

import shutil
import tempfile
from pathlib import Path

import numpy as np

from dredge_models.modelset import TABLES
from dredge_models.registry import DRED_VERSION
from models.training.rdovae_graph import write_graphs
from models.training.rdovae_points import Folder, curve, spread

CHUNKS = 24


def int8_cost(folder: Path, features: np.ndarray, chunks: int = CHUNKS) -> dict[str, float]:
    """Return the distortion of the int8 graphs in `folder` divided by that of float32 ones, `mean` and `worst` of the
    16 levels.

    features float32 [n, 20]; folder holds the master file, tables and int8 graphs of one export.
    """
    stretches = spread(features, chunks)
    with tempfile.TemporaryDirectory() as name:
        exact = Path(name)
        write_graphs(folder / "rdovae.npz", exact, int8=False)
        shutil.copy(folder / TABLES, exact / TABLES)
        wanted = curve(Folder("float32", DRED_VERSION, exact), stretches)
    got = curve(Folder("int8", DRED_VERSION, folder), stretches)
    ratios = [a.weighted / b.weighted for a, b in zip(got, wanted, strict=True)]
    return {"mean": round(float(np.mean(ratios)), 4), "worst": round(float(max(ratios)), 4)}
