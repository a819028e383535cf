# SPDX-License-Identifier: BSD-2-Clause
"""Rate against distortion of an RDO-VAE at all 16 levels, as shipped: int8 graphs, real payloads, counted bits.

`python -m models.training.rdovae_curve --data runs/data` writes the table into docs/notes/models.md and the plot to
docs/notes/images/rdovae_curve.svg. With --other MODEL (an imported model: `dredge models import`) a second model codes
the same features, and the table has the ratio of our distortion to its distortion at the same rate; with --features
FILE (.npz or .npy of float32 [n, 20 or more], one row per 10 ms) both code those as well.
"""

import argparse
from pathlib import Path

import numpy as np
import torch

from dredge_models import modelset
from dredge_models.modelset import SHIPPED, ModelSet
from dredge_models.registry import DRED_VERSION
from models.training.progress import Bar
from models.training.rdovae_net import FEATURES
from models.training.rdovae_page import Case, write
from models.training.rdovae_points import Folder, curve, spread


def load_rows(path: Path) -> np.ndarray:
    """Return the rows float32 [n, 20] of .npy, or of the narrowest fitting array of an .npz. Raises RuntimeError if
    none fits.
    """
    try:
        content = np.load(path)
    except (OSError, ValueError) as error:
        raise RuntimeError(f"{path}: not readable as NumPy arrays ({error})") from None
    arrays = {path.stem: content} if isinstance(content, np.ndarray) else content
    named = {n: arrays[n] for n in arrays if n == "f" or "features" in n or n == path.stem}
    fitting = [rows for rows in named.values() if rows.ndim == 2 and rows.shape[1] >= FEATURES]
    if fitting:
        narrowest = min(fitting, key=lambda rows: int(rows.shape[1]))
        return np.ascontiguousarray(narrowest[:, :FEATURES], np.float32)
    raise RuntimeError(f"{path}: expected an array of rows with 20 features or more, found {', '.join(arrays)}")


def find_model(name: str) -> ModelSet:
    """Return an imported model by its id, or the files of a folder. Raises RuntimeError if there is none."""
    if Path(name).is_dir():
        return Folder(Path(name).name, DRED_VERSION, Path(name))
    known = {m.id: m for m in modelset.imported()}
    if name not in known:
        raise RuntimeError(f"--other: expected one of {', '.join(known) or 'no imported models yet'}, got {name!r}")
    return known[name]


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("runs/data"), help="folder of test.npz")
    parser.add_argument("--other", help="an imported model, to compare with")
    parser.add_argument("--features", type=Path, help="more features that both models code")
    parser.add_argument("--chunks", type=int, default=60, help="seconds of speech that are coded")
    parser.add_argument("--docs", type=Path, default=Path("docs/notes"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    models = [SHIPPED] + ([find_model(args.other)] if args.other else [])
    sources = [("test speech", args.data / "test.npz")]
    sources += [(f"features of {args.features.parent.name}", args.features)] if args.features else []
    bar, cases = Bar("curve"), []
    for title, path in sources:
        stretches = spread(load_rows(path), args.chunks)
        cases.append(Case(title, len(stretches), {m.id: curve(m, stretches, bar) for m in models}))
    bar.close()
    print(write(cases, args.docs))


if __name__ == "__main__":
    main()
