# SPDX-License-Identifier: BSD-2-Clause
"""A real, tiny run of the concealment predictor: learns, resumes exactly, exports."""

import csv

import numpy as np
import pytest
from training_cases import same_state, stop_after, synthetic_features, torch, write_data

from dredge_models.tflite.runtime import TfliteModel
from models.training import train_plc
from models.training.plc_net import Ahead, PlcConfig, PlcNet, inputs, plc_loss
from models.training.progress import load_checkpoint


def arguments(data, out, *more):
    return train_plc.parser().parse_args(
        ["--data", str(data), "--out", str(out), "--batch", "4", "--valid-every", "3",
         "--dense", "12", "--gru", "10", *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run")
    return out, train_plc.train(arguments(data, out, "--steps", "6"))


def test_a_run_leaves_checkpoint_and_log(run):
    out, result = run
    assert load_checkpoint(out / "checkpoint.pt")["step"] == 6
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert [row["step"] for row in rows] == ["3", "6"]
    assert float(rows[-1]["valid_loss"]) == pytest.approx(result["valid_loss"], rel=1e-4)


def test_smoke_run(data, tmp_path):
    args = train_plc.parser().parse_args(["--data", str(data), "--out", str(tmp_path), "--smoke"])
    assert train_plc.train(args)["valid_loss"] > 0
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == 8 and state["config"]["gru"] == 10


def test_training_learns(tmp_path):
    """Features that swing: after some steps the network follows them, holding cannot."""
    t = np.arange(1500)[:, None]
    rows = np.sin(2 * np.pi * t / 24 + np.arange(20)) * ([4.0] * 2 + [1.0] * 16 + [0.5, 0.2])
    for split in ("train", "valid"):
        np.savez(tmp_path / f"{split}.npz", f=rows.astype(np.float32))
    result = train_plc.train(arguments(tmp_path, tmp_path, "--steps", "40", "--lr", "0.03",
                                       "--valid-every", "100"))
    assert result["valid_loss"] < 0.97 * result["hold_loss"]


def test_a_stopped_run_goes_on_exactly(run, data, tmp_path, monkeypatch):
    args = arguments(data, tmp_path, "--steps", "6")
    with monkeypatch.context() as patch:
        stop_after(patch, train_plc.Trainer, 2)
        train_plc.train(args)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 2
    train_plc.train(args)
    assert same_state(load_checkpoint(tmp_path / "checkpoint.pt"),
                      load_checkpoint(run[0] / "checkpoint.pt"))


def test_bursts_are_whole_packets_after_a_quiet_start():
    lost = train_plc.draw_losses(np.random.default_rng(0), 400, 60)
    assert set(np.unique(lost)) == {0, 1} and (lost[:10] == 0).all()
    assert (lost[0::2] == lost[1::2]).all()
    assert 0.1 < lost.mean() < 0.5
    lengths = []
    for column in lost.T:
        edges = np.flatnonzero(np.diff(np.concatenate([[0], column, [0]])))
        lengths += list(edges[1::2] - edges[::2])
    assert 40 < max(lengths) <= 60 and min(lengths) == 2
    assert 0.25 < np.mean(np.array(lengths) == 2) < 0.6, "single packets are the most frequent"


def test_look_ahead_gives_a_row_after_the_gap_to_every_step_into_it():
    rows = np.stack([synthetic_features(200, 7), synthetic_features(200, 8)], 1)
    lost = np.zeros((200, 2), np.float32)
    lost[20:26, 0] = lost[100:110, 1] = lost[196:200, 1] = 1
    ahead = train_plc.look_ahead(np.random.default_rng(0), rows, lost, 1.0)
    known = (ahead.distance > 0).numpy()
    assert np.flatnonzero(known[:, 0]).tolist() == list(range(19, 25))
    assert np.flatnonzero(known[:, 1]).tolist() == list(range(99, 109)), "no row after a gap that does not end"
    for t, b in np.argwhere(known):
        at = int(t + ahead.distance[t, b])
        assert lost[at, b] == 0 and at in (26, 27, 110, 111)
        np.testing.assert_array_equal(ahead.anchor[t, b], rows[at, b])
    none = train_plc.look_ahead(np.random.default_rng(0), rows, lost, 0.0)
    assert none.distance.abs().max() == 0


def untrained():
    torch.manual_seed(3)
    net = PlcNet(PlcConfig(12, 10))
    torch.nn.init.normal_(net.out.weight, std=0.05)
    return net


def test_an_untrained_network_holds_the_last_frame():
    rows = torch.from_numpy(synthetic_features(30, 1))[:, None]
    lost = torch.zeros(30, 1)
    lost[10:20] = 1
    guesses = PlcNet(PlcConfig(12, 10))(rows, lost)
    torch.testing.assert_close(guesses[10:21], rows[9].expand(11, 1, 20))
    torch.testing.assert_close(guesses[21], rows[20])


def test_an_untrained_network_goes_straight_to_the_anchor():
    rows = torch.from_numpy(synthetic_features(30, 1))[:, None]
    lost, distance = torch.zeros(30, 1), torch.zeros(30, 1)
    lost[10:20] = 1
    distance[9:19, 0] = torch.arange(11, 1, -1.0)
    guesses = PlcNet(PlcConfig(12, 10))(rows, lost, Ahead(rows[20].expand(30, 1, 20), distance))
    share = (torch.arange(1, 11) / 11)[:, None, None]
    torch.testing.assert_close(guesses[10:20], rows[9] + share * (rows[20] - rows[9]), atol=1e-5, rtol=1e-5)


def test_predictions_use_neither_the_future_nor_what_was_lost():
    net, rows = untrained(), torch.from_numpy(synthetic_features(40, 2))[:, None]
    lost = torch.zeros(40, 1)
    lost[20:26] = 1
    changed = rows.clone()
    changed[20:26] += 5
    changed[30:] -= 5
    with torch.no_grad():
        a, b = net(rows, lost), net(changed, lost)
    torch.testing.assert_close(a[:31], b[:31])
    assert (a[31:] != b[31:]).any()


def test_claiming_voice_costs_more_than_missing_it():
    rows = torch.zeros(5, 2, 20)
    lost = torch.ones(5, 2)
    more, less = rows.clone(), rows.clone()
    more[..., 19] += 0.3
    less[..., 19] -= 0.3
    assert plc_loss(rows, rows, lost) == 0
    assert plc_loss(rows, more, lost) == pytest.approx(2 * plc_loss(rows, less, lost).item())


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    from models.training import export_plc

    folder = tmp_path_factory.mktemp("weights")
    checkpoint = load_checkpoint(run[0] / "checkpoint.pt")
    card = export_plc.export(checkpoint, synthetic_features(3000, 4), folder, "a test")
    return folder, card, export_plc


@pytest.mark.parametrize(("int8", "tolerance"), [(False, 5e-3), (True, 0.05)])
def test_tflite_matches_torch(exported, run, tmp_path, int8, tolerance):
    folder, _, export_plc = exported
    export_plc.build_graph(folder / "plc.npz", int8).save(tmp_path / "g.tflite")
    graph = TfliteModel(tmp_path / "g.tflite")
    net = export_plc.load_model(load_checkpoint(run[0] / "checkpoint.pt"))
    memory = np.zeros(graph.inputs["memory"], np.float32)
    h1 = h2 = torch.zeros(1, 10)
    rows = synthetic_features(60, 5)
    for i, row in enumerate(rows):
        age, distance = torch.tensor([float(i % 7)]), torch.tensor([float(max(0, i % 5 - 1))])
        known = (torch.from_numpy(rows[-1 - i])[None], distance)
        given = inputs(torch.from_numpy(row)[None], age, known)
        out = graph(frame=given.numpy(), memory=memory)
        memory = out["memory_out"]
        with torch.no_grad():
            wanted, h1, h2 = net.step(given, h1, h2)
        np.testing.assert_allclose(out["next"], wanted.numpy(), atol=tolerance)


def test_export_is_byte_for_byte_the_same(exported, run, tmp_path):
    folder, _, export_plc = exported
    export_plc.export(load_checkpoint(run[0] / "checkpoint.pt"), synthetic_features(3000, 4),
                      tmp_path, "a test")
    for path in folder.iterdir():
        assert path.read_bytes() == (tmp_path / path.name).read_bytes(), path.name


def test_card_compares_with_holding(exported):
    _, card, _ = exported
    assert card["losses"]["valid"] > 0 and card["losses"]["valid_with_the_row_after_the_gap"] > 0
    assert card["quality"]["valid_loss_of_holding_the_last_frame"] > 0
    assert set(card["files"]) == {"plc.npz", "plc_step.tflite"}
