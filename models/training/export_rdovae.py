# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoint -> shipped RDO-VAE files: master weights, quantiser tables, graphs, model card.

`python -m models.training.export_rdovae --run runs/rdovae --data runs/data` also rebuilds the
manifest. The four .tflite graphs (int8 weights, float maths) depend on the float16 master file
alone and come out byte for byte the same every time.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from dredge_models.dred import DQ, Q0
from models.training import manifest
from models.training.augment import augment
from models.training.cards import ALL_SPEECH, rounded, write_card
from models.training.progress import load_checkpoint
from models.training.quant_fit import fit, value_bits
from models.training.rdovae_eval import (
    HEADER_BITS,
    SHIPPED,
    evaluate,
    quality,
    run,
    sequences,
    symbols,
    used,
)
from models.training.rdovae_graph import folded, write_graphs
from models.training.rdovae_int8 import int8_cost
from models.training.rdovae_net import LEVELS, RdoVae, RdoVaeConfig
from models.training.train_rdovae import load_features

MODEL_ID = "dredge-rdovae-1"
DRED_VERSION = 0xD1
MASTER = "rdovae.npz"
TABLES = "rdovae_tables.npz"
RESUME = "rdovae_training.npz"   # everything trained, unfolded, quantiser included: for train_rdovae --init


def load_model(checkpoint: dict) -> RdoVae:
    """Return the averaged weights as a network."""
    model = RdoVae(RdoVaeConfig(**checkpoint["config"]))
    model.load_state_dict(checkpoint["average"]["values"])
    return model.eval()


def master_arrays(model: RdoVae) -> dict[str, np.ndarray]:
    """Return the folded float16 weights of encoder and decoder, and `config` (JSON)."""
    named = {k: v.detach().numpy() for k, v in model.state_dict().items()
             if k.startswith(("encoder.", "decoder."))}
    arrays = {k: v.astype(np.float16) for k, v in folded(named).items()}
    arrays["config"] = np.array(json.dumps(model.cfg.as_dict()))
    return arrays


@torch.no_grad()
def fit_tables(model: RdoVae, features: np.ndarray, seed: int = 0) -> dict[str, np.ndarray]:
    """Return the eight uint8 tables [16, dim]; probabilities from augmented training features."""
    frames = sequences(features, count=128)
    mixed = frames.numpy().copy()
    augment(np.random.default_rng(seed), mixed)
    frames = torch.cat([frames, torch.from_numpy(mixed)], 1)
    latents, states = model.encoder(frames.unflatten(0, (-1, 2)).transpose(1, 2).flatten(2))
    quantiser, width = model.quantiser, model.cfg.latent
    scale = (quantiser.scale() * 256).round().clamp(1, 255).to(torch.uint8).numpy()
    dead = (quantiser.dead_zone() * 256).round().clamp(0, 255).to(torch.uint8).numpy()
    tables = {}
    for part, values, first in (("latent", latents, 0), ("state", states, width)):
        columns = slice(first, first + values.shape[-1])
        flat = values[10:].flatten(0, 1)
        fitted = [fit(symbols(model, flat, torch.full((len(flat),), q), first)[0].numpy()
                      .astype(int)) for q in range(LEVELS)]
        tables[f"{part}_scale"] = np.ascontiguousarray(scale[:, columns])
        tables[f"{part}_dead_zone"] = np.ascontiguousarray(dead[:, columns])
        tables[f"{part}_p0"] = np.stack([p0 for p0, _ in fitted])
        tables[f"{part}_r"] = np.stack([r for _, r in fitted])
    return tables


@torch.no_grad()
def pruned(model: RdoVae, tables: dict[str, np.ndarray]) -> RdoVae:
    """Return the network without the latents and state values that no level codes; the output for coded ones is the
    same.
    """
    latent = torch.from_numpy(np.flatnonzero(tables["latent_r"].any(0)))
    state = torch.from_numpy(np.flatnonzero(tables["state_r"].any(0)))
    small = RdoVae(replace(model.cfg, latent=len(latent), state=len(state)))
    arrays = model.state_dict()
    for head, kept in (("latent", latent), ("state", state)):
        for part in ("weight", "bias"):
            arrays[f"encoder.{head}.{part}"] = arrays[f"encoder.{head}.{part}"][kept]
    level = torch.tensor([model.cfg.latent])
    arrays["decoder.dense.weight"] = arrays["decoder.dense.weight"][:, torch.cat([latent, level])]
    arrays["decoder.init_hidden.weight"] = arrays["decoder.init_hidden.weight"][:, state]
    out = arrays["decoder.out.weight"]
    inner = out.shape[1] - model.cfg.latent
    arrays["decoder.out.weight"] = out[:, torch.cat([torch.arange(inner), inner + latent])]
    columns = torch.cat([latent, model.cfg.latent + state])
    for name in ("scale_logit", "dead_raw", "decay_logit"):
        arrays[f"quantiser.{name}"] = arrays[f"quantiser.{name}"][:, columns]
    small.load_state_dict(arrays)
    return small.eval()


def payload_bytes(model: RdoVae, features: np.ndarray, tables: dict[str, np.ndarray]) -> float:
    """Return the mean size of one second at the shipped setting with these tables, prefix included."""
    got = run(model, sequences(features), *SHIPPED)

    def bits(part: str, values: np.ndarray, level: int) -> float:
        p0, r = tables[f"{part}_p0"][level], tables[f"{part}_r"][level]
        values = np.where((r == 0) | (p0 == 255), 0, values)
        return float(value_bits(values, p0, r).sum(1).mean())

    latents = sum(bits("latent", z, q) for z, q in zip(got["z"], got["levels"], strict=True))
    return 2 + (HEADER_BITS + bits("state", got["s"], SHIPPED[0]) + latents) / 8


def export(checkpoint: dict, train: np.ndarray, valid: np.ndarray, test: np.ndarray, folder: Path,
           command: str, kept: dict[str, np.ndarray] | None = None) -> dict:
    """Write everything into `folder`; return the card.

    Tables come from `train`, losses from `valid`, readable errors from `test` (features [n, 20]). kept: earlier tables
    of the same encoder, to take instead. Raises ValueError when they have other sizes than the network.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model(checkpoint)
    if kept is None:
        model = pruned(model, fit_tables(model, train))
    elif (sizes := (kept["latent_r"].shape[1], kept["state_r"].shape[1])) != (model.cfg.latent, model.cfg.state):
        raise ValueError(f"--tables: expected those of the network, {model.cfg.latent} latents and {model.cfg.state} "
                         f"state values, got {sizes[0]} and {sizes[1]}")
    np.savez(folder / MASTER, **master_arrays(model))
    np.savez(folder / RESUME, config=np.array(json.dumps(model.cfg.as_dict())),
             **{k: v.numpy().astype(np.float16) for k, v in model.state_dict().items()})
    tables = fit_tables(model, train) if kept is None else kept
    np.savez(folder / TABLES, **tables)
    graphs = write_graphs(folder / MASTER, folder)
    figures = rounded(evaluate(model, valid))
    card = {
        "id": MODEL_ID, "version": DRED_VERSION,
        "title": "RDO-VAE: 20 features per 10 ms to latents and back, 16 quantiser levels",
        "licence": "BSD-2-Clause", "data": ALL_SPEECH, "command": command,
        "seed": checkpoint.get("seed", 1), "steps": checkpoint["step"],
        "training_minutes": round(checkpoint["seconds"] / 60, 1),
        "lambda_range": list(checkpoint["lam"]), "config": model.cfg.as_dict(),
        "parameters": model.weights(),
        "losses": {"valid_distortion_q6_to_q15": figures["valid_distortion"],
                   "valid_distortion_q0": figures["dist_q0"],
                   "valid_distortion_q15": figures["dist_q15"]},
        "quality": {"schedule_q0_dq": [Q0, DQ],
                    "payload_bytes_1s": round(payload_bytes(model, test, tables), 1),
                    "bits_per_latent": {q: figures[f"bits_q{q}"] for q in (0, 6, 15)},
                    "int8_distortion_against_float": int8_cost(folder, test),
                    "test_band_error_db_by_kind_of_loss": rounded(used(run(model, sequences(test), *SHIPPED)), 3),
                    "test_errors": {part: rounded(values, 3) for part, values
                                              in quality(model, test).items()}},
        "files": {MASTER: "master", RESUME: "training start", TABLES: "tables", **dict.fromkeys(graphs, "tflite")},
    }
    write_card(folder, card)
    return card


def command_of(checkpoint: dict) -> str:
    """Return the command of the run that a checkpoint of train_rdovae or train_rdovae_decoder comes from."""
    (low, high), minutes = checkpoint["lam"], f"{checkpoint['seconds'] / 60:.0f}"
    if "adversarial" in checkpoint:
        late = checkpoint.get("adversarial_from", 0.0)
        return ("python -m models.training.train_rdovae_decoder --data DATA --out RUN --init START "
                f"--minutes {minutes} --adversarial {checkpoint['adversarial']:g}"
                + (f" --adversarial-from {late:g}" if late else ""))
    return (f"python -m models.training.train_rdovae --data DATA --out RUN --minutes {minutes} "
            f"--lambda-min {low:g} --lambda-max {high:g}")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split(":")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/rdovae"))
    parser.add_argument("--data", type=Path, default=Path("runs/data"))
    parser.add_argument("--folder", type=Path, default=manifest.FOLDER)
    parser.add_argument("--note", default="", help="anything the command alone does not say")
    parser.add_argument("--tables", type=Path,
                        help="rdovae_tables.npz to keep: for a decoder trained alone from exported weights")
    args = parser.parse_args()
    torch.set_num_threads(1)
    kept = None
    if args.tables is not None:
        with np.load(args.tables) as file:
            kept = {name: file[name] for name in file.files}
    checkpoint = load_checkpoint(args.run / "checkpoint.pt")
    if checkpoint is None:
        parser.error(f"{args.run}: no checkpoint.pt; train first")
    command = command_of(checkpoint) + (f"  ({args.note})" if args.note else "")
    card = export(checkpoint, load_features(args.data / "train.npz"),
                  load_features(args.data / "valid.npz"), load_features(args.data / "test.npz"),
                  args.folder, command, kept)
    manifest.write(args.folder)
    print(json.dumps(card["quality"] | card["losses"]))


if __name__ == "__main__":
    main()
