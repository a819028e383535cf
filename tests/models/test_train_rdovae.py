# SPDX-License-Identifier: BSD-2-Clause
"""A real, tiny RDO-VAE training run: learns, resumes exactly, exports, and runs as TFLite."""

import csv
import json

import numpy as np
import pytest
from rdovae_numpy import NumpyRdoVaeDecoder, NumpyRdoVaeEncoder
from training_cases import TINY, same_state, stop_after, synthetic_features, torch, write_data

from dredge_kernels.payload import decode_payload, encode_payload
from dredge_kernels.tables import QuantTables
from dredge_models.tflite.runtime import TfliteModel
from models.training import train_rdovae
from models.training.progress import load_checkpoint
from models.training.quant_fit import value_bits
from models.training.rdovae_eval import readable_errors


def arguments(data, out, *more):
    return train_rdovae.parser().parse_args(
        ["--data", str(data), "--out", str(out), "--batch", "4", "--valid-every", "4",
         "--config", TINY, "--optimiser", "adam", *more])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def run(data, tmp_path_factory):
    """Eight steps, uninterrupted."""
    out = tmp_path_factory.mktemp("run")
    result = train_rdovae.train(arguments(data, out, "--steps", "8"))
    return out, result


def test_a_run_leaves_checkpoint_and_log(run):
    out, result = run
    checkpoint = load_checkpoint(out / "checkpoint.pt")
    assert checkpoint["step"] == 8 and checkpoint["seed"] == 1
    rows = list(csv.DictReader((out / "log.csv").open()))
    assert [row["step"] for row in rows] == ["4", "8"]
    assert all(np.isfinite(float(v)) for row in rows for v in row.values())
    assert result["payload_bytes"] > 0


def test_smoke_run(data, tmp_path):
    """Sizes that the compiled loop takes: the whole path of a real run, in small."""
    args = train_rdovae.parser().parse_args(["--data", str(data), "--out", str(tmp_path), "--smoke"])
    assert train_rdovae.train(args)["payload_bytes"] > 0
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == 8 and state["config"]["latent"] == 6


def test_more_latents_can_be_added_to_exported_weights(exported, data, tmp_path):
    folder, _, model = exported
    config = json.dumps(model.cfg.as_dict() | {"latent": 9})
    args = arguments(data, tmp_path, "--steps", str(train_rdovae.SOFT_STEPS + 1), "--config", config,
                     "--init", str(folder / "rdovae_training.npz"))
    train_rdovae.train(args)
    assert load_checkpoint(tmp_path / "checkpoint.pt")["model"]["encoder.latent.weight"].shape[0] == 9


def test_state_can_be_added_too_and_its_rate_starts_softly(exported, data, tmp_path):
    folder, _, model = exported
    args = arguments(data, tmp_path, "--steps", str(train_rdovae.SOFT_STEPS + 1), "--config",
                     json.dumps({"state": model.cfg.state + 4}), "--init", str(folder / "rdovae_training.npz"))
    train_rdovae.train(args)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["model"]["encoder.state.weight"].shape[0] == model.cfg.state + 4
    assert state["config"]["latent"] == model.cfg.latent and state["state_from"] == train_rdovae.SOFT_STEPS


def test_pairs_take_part_in_training(data, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("train.npz", "valid.npz"):
        (folder / name).write_bytes((data / name).read_bytes())
    rows = synthetic_features(900, 3).astype(np.float16)
    np.savez(folder / "pairs_0.npz", clean=rows, heard=rows + np.float16(0.25))
    args = arguments(folder, tmp_path / "run", "--steps", "1", "--pairs", "0.5")
    trainer = train_rdovae.Trainer(args, train_rdovae.load_features(folder / "train.npz"), rows.astype(np.float32),
                                   train_rdovae.wanted_config(args), train_rdovae.load_pairs(folder))
    wanted, heard = trainer.draw(40, 6)
    assert wanted.shape == heard.shape == (80, 6, 20)
    torch.testing.assert_close(wanted[:, :3], heard[:, :3])
    torch.testing.assert_close(heard[:, 3:] - wanted[:, 3:], torch.full((80, 3, 20), 0.25), atol=0.02, rtol=0)


def test_latents_that_no_level_codes_are_pruned(exported):
    """The pruned network gives the same for what is coded."""
    from models.training import export_rdovae

    folder, _, model = exported
    with np.load(folder / "rdovae_tables.npz") as file:
        tables = {name: file[name].copy() for name in file.files}
    tables["latent_r"][:, 2] = 0
    tables["state_r"][:, [0, 5]] = 0
    small = export_rdovae.pruned(model, tables)
    assert small.cfg.latent == model.cfg.latent - 1 and small.cfg.state == model.cfg.state - 2
    kept, kept_state = [0, 1, 3, 4, 5], [i for i in range(model.cfg.state) if i not in (0, 5)]
    frames = torch.from_numpy(synthetic_features(80, 9).reshape(40, 1, 40))
    with torch.no_grad():
        z, s = model.encoder(frames)
        z_small, s_small = small.encoder(frames)
        torch.testing.assert_close(z_small, z[..., kept])
        torch.testing.assert_close(s_small, s[..., kept_state])
        z[..., 2], s[..., [0, 5]] = 0, 0
        levels = torch.full((5, 1), 4)
        torch.testing.assert_close(small.decoder(z_small[:5], levels, s_small[4]), model.decoder(z[:5], levels, s[4]))
    torch.testing.assert_close(small.quantiser.scale_logit[:, 5:], model.quantiser.scale_logit[:, 6:][:, kept_state])


def test_training_learns(data, tmp_path):
    """The error falls well below that of the untrained network."""
    first = train_rdovae.train(arguments(data, tmp_path / "a", "--steps", "1"))
    last = train_rdovae.train(arguments(data, tmp_path / "b", "--steps", "40", "--lr", "0.06",
                                            "--valid-every", "100"))
    assert last["valid_distortion"] < 0.8 * first["valid_distortion"]


@pytest.mark.parametrize("optimiser", ["adam", "muon"])
def test_a_stopped_run_goes_on_exactly(data, tmp_path, monkeypatch, optimiser):
    args = arguments(data, tmp_path / "a", "--steps", "6", "--optimiser", optimiser)
    train_rdovae.train(arguments(data, tmp_path / "b", "--steps", "6", "--optimiser", optimiser))
    with monkeypatch.context() as patch:
        stop_after(patch, train_rdovae.Trainer, 3)
        train_rdovae.train(args)
    assert load_checkpoint(tmp_path / "a" / "checkpoint.pt")["step"] == 3
    train_rdovae.train(args)
    assert same_state(load_checkpoint(tmp_path / "a" / "checkpoint.pt"),
                      load_checkpoint(tmp_path / "b" / "checkpoint.pt"))


def test_another_optimiser_is_refused(data, tmp_path):
    train_rdovae.train(arguments(data, tmp_path, "--steps", "1"))
    with pytest.raises(ValueError, match="made with another --optimiser"):
        train_rdovae.train(arguments(data, tmp_path, "--steps", "2", "--optimiser", "muon"))


def test_another_seed_is_another_run(run, data, tmp_path):
    train_rdovae.train(arguments(data, tmp_path, "--steps", "8", "--seed", "2"))
    assert not same_state(load_checkpoint(tmp_path / "checkpoint.pt")["model"],
                          load_checkpoint(run[0] / "checkpoint.pt")["model"])


@pytest.mark.parametrize("content", [None, b"no zip file"])
def test_missing_or_bad_data_is_one_sentence(tmp_path, content):
    if content is not None:
        (tmp_path / "valid.npz").write_bytes(content)
    with pytest.raises(RuntimeError, match=r"valid\.npz: no feature file"):
        train_rdovae.train(arguments(tmp_path, tmp_path / "out", "--steps", "1"))


def test_data_of_another_shape_is_refused(tmp_path):
    np.savez(tmp_path / "x.npz", f=np.zeros((2000, 19), np.float32))
    with pytest.raises(RuntimeError, match=r"expected at least 1000 x 20 features, got \(2000, 19"):
        train_rdovae.load_features(tmp_path / "x.npz")


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    """The tiny run's files, int8 and float32 graphs, and its network."""
    from models.training import export_rdovae

    folder = tmp_path_factory.mktemp("weights")
    checkpoint = load_checkpoint(run[0] / "checkpoint.pt")
    card = export_rdovae.export(checkpoint, synthetic_features(60000, 3),
                                synthetic_features(12000, 4), synthetic_features(9000, 8),
                                folder, "a test")
    export_rdovae.write_graphs(folder / "rdovae.npz", folder, int8=False, suffix="_f32")
    return folder, card, export_rdovae.load_model(checkpoint)


def run_encoder(graph, features):
    memory, out = np.zeros(graph.inputs["memory"], np.float32), []
    for frames in features.reshape(-1, 1, 40):
        result = graph(frames=frames, memory=memory)
        memory = result["memory_out"]
        out.append((result["latent"][0], result["start"][0]))
    return np.array([z for z, _ in out]), np.array([s for _, s in out])


def run_decoder(start, graph, z, s, levels):
    memory, out = start(start=s[None])["memory"], []
    for latent, level in zip(z, levels, strict=True):
        coded = np.append(latent, level / 8 - 1).astype(np.float32)[None]
        result = graph(coded=coded, memory=memory)
        memory = result["memory_out"]
        out.append(result["features"].reshape(4, 20))
    return np.array(out)


# float16 masters cost about 1e-3 of a value; int8 weights about 1e-2.
@pytest.mark.parametrize(("suffix", "tolerance"), [("_f32", 0.01), ("", 0.06)])
def test_tflite_matches_torch(exported, suffix, tolerance):
    folder, _, model = exported
    features = synthetic_features(200, 5)
    graphs = {n: TfliteModel(folder / f"rdovae_{n}{suffix}.tflite")
              for n in ("encoder", "start", "decoder")}
    z, s = run_encoder(graphs["encoder"], features)
    levels = [min(15, 3 + i) for i in range(20)]
    chosen = z[99 - 2 * np.arange(20)]
    got = run_decoder(graphs["start"], graphs["decoder"], chosen, s[99], levels)
    with torch.no_grad():
        z_ref, s_ref = model.encoder(torch.from_numpy(features.reshape(-1, 1, 40)))
        ref = model.decoder(torch.from_numpy(chosen)[:, None], torch.tensor(levels)[:, None],
                            torch.from_numpy(s[99])[None])
    assert np.abs(z - z_ref[:, 0].numpy()).max() < tolerance * (1 + z_ref.abs().max().item())
    assert np.abs(s - s_ref[:, 0].numpy()).max() < tolerance * (1 + s_ref.abs().max().item())
    assert np.abs(got - ref[:, 0].numpy()).max() < tolerance * (1 + ref.abs().max().item())


def test_numpy_reference_matches_float_graphs(exported):
    folder, _, _ = exported
    features = synthetic_features(120, 6)
    z, s = run_encoder(TfliteModel(folder / "rdovae_encoder_f32.tflite"), features)
    encoder = NumpyRdoVaeEncoder(folder / "rdovae.npz")
    pairs = [encoder.push(f) for f in features.reshape(-1, 2, 20)]
    np.testing.assert_allclose(z, [p[0] for p in pairs], atol=2e-4)
    levels = [4] * 10
    got = run_decoder(TfliteModel(folder / "rdovae_start_f32.tflite"),
                      TfliteModel(folder / "rdovae_decoder_f32.tflite"), z[:10], s[9], levels)
    decoder = NumpyRdoVaeDecoder(folder / "rdovae.npz")
    decoder.start(s[9])
    np.testing.assert_allclose(got, [decoder.step(v, 4) for v in z[:10]], atol=5e-4)


def test_export_is_byte_for_byte_the_same(exported, run, tmp_path):
    from models.training import export_rdovae

    folder, _, _ = exported
    export_rdovae.export(load_checkpoint(run[0] / "checkpoint.pt"), synthetic_features(60000, 3),
                         synthetic_features(12000, 4), synthetic_features(9000, 8), tmp_path,
                         "a test")
    names = sorted(p.name for p in tmp_path.iterdir())
    assert len(names) == 8
    for name in names:
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def test_card_says_where_the_model_comes_from(exported):
    folder, card, _ = exported
    stored = json.loads((folder / f"{card['id']}.card.json").read_text())
    assert stored["steps"] == 8 and stored["version"] == 0xD1 and stored["command"] == "a test"
    assert set(stored["files"]) <= {p.name for p in folder.iterdir()}


def test_readable_errors_are_in_their_units():
    wanted = torch.zeros(30, 20)
    wanted[:, 19] = 0.4
    out = wanted.clone()
    out[:, :18] += 0.1          # one dB in every band
    out[:, 18] += 1 / 12        # a semitone
    out[:, 19] -= 0.05
    out[15:] = 7                # far off, but in the pauses
    weight = torch.where(torch.arange(30) < 15, 1.0, 0.3)
    errors = readable_errors(wanted, out, weight)
    assert errors == pytest.approx(
        {"band_level_db_rms": 1, "pitch_semitones": 1, "correlation": 0.05}, rel=1e-4)


def test_predicted_bits_are_the_payload_s_bits(exported):
    """The rate that export reports is what the kernels' range coder really uses."""
    folder, _, _ = exported
    with np.load(folder / "rdovae_tables.npz") as file:
        tables = QuantTables.from_arrays(0xD1, file)
    features = synthetic_features(400, 7)
    z, s = run_encoder(TfliteModel(folder / "rdovae_encoder.tflite"), features)
    for q0, dq in ((0, 0), (6, 5), (15, 0)):
        chosen = np.ascontiguousarray(z[199 - 2 * np.arange(26)])
        payload = encode_payload(chosen, s[199], tables, q0, dq)
        decoded = decode_payload(payload, tables)
        expected = value_bits(decoded.state_symbols[None], tables.state[3, q0],
                              tables.state[2, q0]).sum()
        for symbols, level in zip(decoded.latent_symbols, decoded.levels, strict=True):
            expected += value_bits(symbols[None], tables.latent[3, level],
                                   tables.latent[2, level]).sum()
        used = decoded.tells[-1] - decoded.header.bits_used
        assert abs(used - expected) < 2 + 0.01 * expected


def test_exported_weights_are_a_start(exported, data, tmp_path):
    """Another machine goes on from what the repository holds."""
    folder, card, model = exported
    assert card["config"] == model.cfg.as_dict(), "nothing was pruned: sizes fit"
    args = arguments(data, tmp_path, "--steps", str(train_rdovae.SOFT_STEPS + 2), "--lr", "0",
                     "--init", str(folder / "rdovae_training.npz"))
    train_rdovae.train(args)
    state = load_checkpoint(tmp_path / "checkpoint.pt")
    assert state["step"] == train_rdovae.SOFT_STEPS + 2
    for name, value in model.state_dict().items():
        torch.testing.assert_close(state["model"][name], value, atol=2e-3, rtol=2e-3)


def test_sizes_come_from_the_start(exported, data, tmp_path):
    """What the repository holds was pruned: going on from it needs no --config."""
    folder, _, model = exported
    args = arguments(data, tmp_path, "--steps", "1", "--init", str(folder / "rdovae_training.npz"))
    args.config = None
    assert train_rdovae.wanted_config(args) == model.cfg
    args.init = None
    assert train_rdovae.wanted_config(args) == train_rdovae.RdoVaeConfig()
