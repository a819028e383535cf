# SPDX-License-Identifier: BSD-2-Clause
"""Checkpoint -> shipped concealment predictor: master weights, one .tflite graph, model card.

`python -m models.training.export_plc --run runs/plc --data runs/data` also rebuilds the manifest.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from dredge_models.tflite.writer import Graph
from models.training import manifest
from models.training.cards import SPEECH_DATA, rounded, write_card
from models.training.plc_net import PlcConfig, PlcNet
from models.training.progress import load_checkpoint
from models.training.rdovae_net import FEATURES, INPUT_SCALE
from models.training.train_plc import evaluate
from models.training.train_rdovae import load_features

MODEL_ID = "dredge-plc-1"
MASTER = "plc.npz"
GRAPH = "plc_step.tflite"


def load_model(checkpoint: dict) -> PlcNet:
    """Return the averaged weights as a network."""
    model = PlcNet(PlcConfig(**checkpoint["config"]))
    model.load_state_dict(checkpoint["average"]["values"])
    return model.eval()


def master_arrays(model: PlcNet) -> dict[str, np.ndarray]:
    """Return the float16 weights with the feature scale multiplied in."""
    arrays = {k: v.detach().numpy().copy() for k, v in model.state_dict().items()}
    scale = INPUT_SCALE.numpy()
    arrays["dense.weight"][:, :-3] *= np.tile(scale, 3)
    arrays["out.weight"] /= scale[:, None]
    arrays["out.bias"] /= scale
    return {k: v.astype(np.float16) for k, v in arrays.items()}


def build_graph(master: Path, int8: bool = True) -> Graph:
    """Return the graph frame [1, 63] (plc_net.inputs), memory -> next [1, 20], memory_out."""
    with np.load(master) as file:
        w = {k: file[k].astype(np.float32) for k in file.files}
    size = w["gru1.weight_hh"].shape[1]
    graph = Graph("dredge plc step", int8)
    frame = graph.input(w["dense.weight"].shape[1], "frame")
    memory = graph.input(2 * size, "memory")
    first, second = graph.split(memory, [size, size])
    features, towards, _ = graph.split(frame, [FEATURES, FEATURES, graph.width(frame) - 2 * FEATURES])
    x = graph.tanh(graph.dense(frame, w["dense.weight"], w["dense.bias"]))
    cells = [{f"{k.split('.')[1]}_l0": v for k, v in w.items() if k.startswith(name)}
             for name in ("gru1.", "gru2.")]
    first = graph.gru(x, first, cells[0])
    second = graph.gru(first, second, cells[1])
    both = graph.concat([first, second])
    change = graph.dense(both, w["out.weight"], w["out.bias"])
    graph.output(graph.add(graph.add(features, towards), change), "next")
    graph.output(both, "memory_out")
    return graph


def export(checkpoint: dict, valid: np.ndarray, folder: Path, command: str) -> dict:
    """Write everything into `folder`; return the card."""
    folder.mkdir(parents=True, exist_ok=True)
    model = load_model(checkpoint)
    np.savez(folder / MASTER, **master_arrays(model))
    build_graph(folder / MASTER).save(folder / GRAPH)
    figures = rounded(evaluate(model, valid))
    card = {
        "id": MODEL_ID,
        "title": "Concealment predictor: the next 10 ms of features from those before",
        "licence": "BSD-2-Clause", "data": SPEECH_DATA, "command": command,
        "seed": checkpoint["seed"], "steps": checkpoint["step"],
        "training_minutes": round(checkpoint["seconds"] / 60, 1),
        "config": checkpoint["config"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "losses": {"valid": figures["valid_loss"], "valid_with_the_row_after_the_gap": figures["bridge_loss"]},
        "quality": {"valid_loss_of_holding_the_last_frame": figures["hold_loss"],
                    "share_of_it_left": round(figures["valid_loss"] / figures["hold_loss"], 3),
                    "valid_loss_of_a_straight_line_to_the_row_after_the_gap": figures["straight_loss"],
                    "share_of_holding_left_with_that_row": round(figures["bridge_loss"] / figures["hold_loss"], 3)},
        "files": {MASTER: "master", GRAPH: "tflite"},
    }
    write_card(folder, card)
    return card


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--run", type=Path, default=Path("runs/plc"))
    parser.add_argument("--data", type=Path, default=Path("runs/data"))
    parser.add_argument("--folder", type=Path, default=manifest.FOLDER)
    args = parser.parse_args()
    checkpoint = load_checkpoint(args.run / "checkpoint.pt")
    if checkpoint is None:
        parser.error(f"{args.run}: no checkpoint.pt; train first")
    command = ("python -m models.training.train_plc --data DATA --out RUN --minutes "
               f"{checkpoint['seconds'] / 60:.0f}")
    card = export(checkpoint, load_features(args.data / "valid.npz"), args.folder, command)
    manifest.write(args.folder)
    print(json.dumps(card["quality"] | card["losses"]))


if __name__ == "__main__":
    main()
