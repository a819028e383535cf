# SPDX-License-Identifier: BSD-2-Clause
"""Real, tiny runs of the decoder's own training: encoder and tables stay, the decoder improves, runs resume exactly."""

import csv
import json

import numpy as np
import pytest
from training_cases import TINY, same_state, stop_after, synthetic_features, torch, write_data

from models.training import export_rdovae, train_rdovae, train_rdovae_decoder
from models.training.progress import load_checkpoint
from models.training.rdovae_ages import growing
from models.training.rdovae_eval import SHIPPED
from models.training.rdovae_loss import LEVEL_STEPS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def start(data, tmp_path_factory):
    """The checkpoint of a tiny network."""
    out = tmp_path_factory.mktemp("start")
    train_rdovae.train(train_rdovae.parser().parse_args(
        ["--data", str(data), "--out", str(out), "--batch", "4", "--config", TINY, "--optimiser", "adam",
         "--steps", "40", "--lr", "0.06", "--valid-every", "40"]))
    return out / "checkpoint.pt"


def arguments(data, out, start, *more):
    return train_rdovae_decoder.parser().parse_args(
        ["--data", str(data), "--out", str(out), "--batch", "2", "--valid-every", "4", "--optimiser", "adam",
         *(["--init", str(start)] if start else []), *more])


@pytest.fixture
def soon(monkeypatch):
    """The decoder listens to the discriminators after two steps."""
    monkeypatch.setattr(train_rdovae_decoder, "LEARN_STEPS", 1)
    monkeypatch.setattr(train_rdovae_decoder, "SOFT_STEPS", 1)


@pytest.mark.parametrize("strength", ["0", "0.5"])
def test_only_the_decoder_changes(data, start, tmp_path, soon, strength):
    train_rdovae_decoder.train(arguments(data, tmp_path, start, "--steps", "4", "--adversarial", strength))
    before, after = (load_checkpoint(path)["average"]["values"] for path in (start, tmp_path / "checkpoint.pt"))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder"}
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert all(np.isfinite(float(v)) for row in rows for v in row.values())
    assert (float(rows[-1]["judge"]) > 0) == (strength != "0")


def test_latents_younger_than_asked_for_learn_from_distortion_alone(data, start, tmp_path, soon):
    def decoder(name, *more):
        train_rdovae_decoder.train(arguments(data, tmp_path / name, start, "--steps", "4", *more))
        return load_checkpoint(tmp_path / name / "checkpoint.pt")["average"]["values"]

    alone = decoder("alone", "--adversarial", "0")
    beyond = decoder("beyond", "--adversarial", "0.5", "--adversarial-from", "9999")  # of a chunk of one second
    old = decoder("old", "--adversarial", "0.5", "--adversarial-from", "160")
    assert all(torch.equal(alone[name], beyond[name]) for name in alone)
    assert not all(torch.equal(alone[name], old[name]) for name in alone)


def exported(path, folder, kept=None):
    """The names and contents of what export writes."""
    checkpoint = load_checkpoint(path)
    rows = [synthetic_features(n, seed) for n, seed in ((60000, 3), (12000, 4), (9000, 8))]
    export_rdovae.export(checkpoint, *rows, folder, export_rdovae.command_of(checkpoint), kept)
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_the_exported_stream_is_the_same_byte_for_byte(data, start, tmp_path):
    """Encoder and tables agree, from the checkpoint and from exported weights, whose tables are kept: a receiver with
    the old decoder reads the new sender."""
    old = exported(start, tmp_path / "old")
    with np.load(tmp_path / "old" / export_rdovae.TABLES) as file:
        tables = {name: file[name] for name in file.files}
    for first, kept in ((start, None), (tmp_path / "old" / export_rdovae.RESUME, tables)):
        run = tmp_path / f"run{first.suffix}"
        train_rdovae_decoder.train(arguments(data, run, first, "--steps", "2", "--adversarial", "0.5"))
        new = exported(run / "checkpoint.pt", tmp_path / f"new{first.suffix}", kept)
        assert {n for n in old if old[n] == new[n]} == {"rdovae_encoder.tflite", export_rdovae.TABLES}
        card = json.loads(new[f"{export_rdovae.MODEL_ID}.card.json"])
        assert card["steps"] == 2 and "train_rdovae_decoder" in card["command"]
    tables["latent_r"] = tables["latent_r"][:, :-1]
    with pytest.raises(ValueError, match="--tables: expected those of the network, 6 latents and 8 state values"):
        exported(run / "checkpoint.pt", tmp_path / "bad", tables)


def test_it_starts_from_exported_weights_too(data, start, tmp_path):
    checkpoint = load_checkpoint(start)
    model = export_rdovae.load_model(checkpoint)
    np.savez(tmp_path / "rdovae_training.npz", config=np.array(json.dumps(model.cfg.as_dict())),
             **{k: v.numpy() for k, v in model.state_dict().items()})
    for name, path in (("a", start), ("b", tmp_path / "rdovae_training.npz")):
        train_rdovae_decoder.train(arguments(data, tmp_path / name, path, "--steps", "2"))
    assert same_state(*(load_checkpoint(tmp_path / name / "checkpoint.pt")["average"] for name in "ab"))


def test_the_decoder_learns(data, start, tmp_path):
    more = ("--valid-every", "100", "--batch", "4")
    first = train_rdovae_decoder.train(arguments(data, tmp_path / "a", start, "--steps", "1", "--lr", "0", *more))
    last = train_rdovae_decoder.train(arguments(data, tmp_path / "b", start, "--steps", "60", "--lr", "0.03", *more))
    assert last["valid_distortion"] < 0.9 * first["valid_distortion"]


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_stopped_run_goes_on_exactly(data, start, tmp_path, monkeypatch, soon, optimiser):
    def args(name):
        return arguments(data, tmp_path / name, start, "--steps", "6", "--optimiser", optimiser, "--adversarial", "0.5")

    train_rdovae_decoder.train(args("b"))
    with monkeypatch.context() as patch:
        stop_after(patch, train_rdovae_decoder.DecoderTrainer, 3)
        train_rdovae_decoder.train(args("a"))
    assert load_checkpoint(tmp_path / "a" / "checkpoint.pt")["step"] == 3
    train_rdovae_decoder.train(args("a"))
    assert same_state(*(load_checkpoint(tmp_path / name / "checkpoint.pt") for name in "ab"))


def test_smoke_run(data, tmp_path):
    args = train_rdovae_decoder.parser().parse_args(
        ["--data", str(data), "--out", str(tmp_path), "--smoke", "--adversarial", "0.5"])
    assert train_rdovae_decoder.train(args)["db_short"] > 0
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 8


def test_a_run_of_the_whole_network_is_not_continued(data, start):
    with pytest.raises(ValueError, match="choose another --out"):
        train_rdovae_decoder.train(arguments(data, start.parent, start, "--steps", "10"))


def test_a_missing_start_is_one_sentence(data, tmp_path):
    with pytest.raises(RuntimeError, match=r"none\.pt: no checkpoint"):
        train_rdovae_decoder.train(arguments(data, tmp_path, tmp_path / "none.pt", "--steps", "1"))


def test_schedules_are_mostly_the_shipped_one():
    q0, slope = train_rdovae_decoder.draw_used_schedules(np.random.default_rng(1), 4000)
    shipped = (q0 == SHIPPED[0]) & (slope == SHIPPED[1])
    near = (q0 >= 1) & (q0 <= 5) & np.isin(slope, LEVEL_STEPS[6:])
    assert 0.5 < shipped.mean() < 0.6 and 0.86 < near.mean() < 0.94
    assert set(q0.tolist()) == set(range(16))


def test_discriminators_count_from_half_the_given_age_on():
    assert growing(7, 160.0).tolist() == [0, 0, 0, 0.5, 1, 1, 1]
    assert growing(3, 0.0).tolist() == [1, 1, 1]


def test_the_adversarial_gradient_has_the_distortion_s_norm_at_every_age():
    torch.manual_seed(1)
    pull, slopes = torch.randn(5, 3, 4, 20), torch.randn(5, 3, 4, 20) * torch.arange(1, 6)[:, None, None, None]
    pull[..., 18:] = 0
    got = train_rdovae_decoder.matched(pull, slopes)
    for k in range(5):
        torch.testing.assert_close(got[k].norm(), slopes[k, ..., :18].norm())
        torch.testing.assert_close(got[k] / got[k].norm(), pull[k] / pull[k].norm())
