# SPDX-License-Identifier: BSD-2-Clause
"""Import of made-up libopus models: whole or not at all, found by version byte, equal to plain NumPy."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from blob_cases import V10, V12, made_up_decoder, made_up_encoder, made_up_fargan, run_decoder, run_encoder, write_model

from dredge_models import modelset
from dredge_models.dred import DredDecoder, DredEncoder
from dredge_models.libopus import importer
from dredge_models.libopus.blob import BlobError, read_blob
from dredge_models.libopus.importer import import_rdovae, read_sources
from dredge_models.libopus.layers import Layers
from dredge_models.libopus.rdovae import GENERATIONS, Generation, read_decoder, read_encoder
from dredge_models.rdovae import RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import LIBOPUS_VERSIONS, ModelError, verify


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_model(tmp_path_factory.mktemp("libopus"))


@pytest.fixture(scope="module")
def model(files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> modelset.ModelSet:
    """Imported into a folder of its own."""
    return import_rdovae(read_sources(files), tmp_path_factory.mktemp("models"))


@pytest.fixture
def user_model(model: modelset.ModelSet, monkeypatch: pytest.MonkeyPatch) -> modelset.ModelSet:
    """The same, where the product looks for it."""
    assert model.folder is not None
    monkeypatch.setattr(modelset, "user_folder", lambda: model.folder.parent)
    return model


def test_files_may_come_in_any_order(files: list[Path]) -> None:
    found = read_sources(files[::-1])
    assert found.tables is not None and found.tables.version == 10
    assert len(found.records) == 176 and set(found.sums) == {"enc.bin", "dec.bin", "stats.c"}


def test_the_folder_is_complete_and_pinned(model: modelset.ModelSet) -> None:
    assert model.folder is not None and model.version == 10
    assert verify(model.folder) == []
    manifest = json.loads((model.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["models"]["libopus-rdovae-10"]["sources"].keys() == {"enc.bin", "dec.bin", "stats.c"}
    assert sorted(p.name for p in model.folder.parent.iterdir()) == ["libopus-rdovae-10"]


@pytest.fixture(params=[V10, V12], ids=["version 10", "version 12"])
def both(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[Generation, modelset.ModelSet]:
    """A generation and an imported model of it."""
    files = write_model(tmp_path_factory.mktemp("libopus"), request.param)
    return request.param, import_rdovae(read_sources(files), tmp_path_factory.mktemp("models"))


def test_the_encoder_graph_equals_plain_numpy(both: tuple[Generation, modelset.ModelSet]) -> None:
    generation, model = both
    reference = read_encoder(Layers(read_blob(made_up_encoder(1, generation).blob())), generation)
    rng = np.random.default_rng(5)
    frames = rng.normal(0, 1, (12, 40)).astype(np.float32)
    latents, states = run_encoder(reference, frames)
    encoder = RdoVaeEncoder(model)
    got = [encoder.push(frame.reshape(2, 20)) for frame in frames]
    np.testing.assert_allclose([z for z, _ in got], latents, atol=2e-5)
    np.testing.assert_allclose([s for _, s in got], states, atol=2e-5)
    assert np.ptp(latents, 0).min() > 1e-3      # it does depend on what it hears


def test_the_decoder_graph_equals_plain_numpy_and_goes_back_in_time(both: tuple[Generation, modelset.ModelSet]) -> None:
    generation, model = both
    reference = read_decoder(Layers(read_blob(made_up_decoder(2, generation).blob())), generation)
    rng = np.random.default_rng(6)
    state = rng.normal(0, 2, generation.state_dim).astype(np.float32)
    latents = rng.normal(0, 2, (9, generation.latent_dim)).astype(np.float32)
    told = np.concatenate([latents, np.arange(9)[:, None] / 8 - 1], 1) if generation.tells_level else latents
    expected = run_decoder(reference, state, told)
    decoder = RdoVaeDecoder(model)
    decoder.start(state)
    rows = [decoder.step(latent, level)[::-1] for level, latent in enumerate(latents)]
    np.testing.assert_allclose(np.concatenate(rows), expected, atol=2e-5)
    assert np.abs(expected[0] - expected[3]).max() > 1e-3


def test_int8_and_float_graphs_are_the_same_numbers(tmp_path: Path) -> None:
    from dredge_models.libopus.graphs import encoder_graph
    from dredge_models.tflite.runtime import TfliteModel

    net = read_encoder(Layers(read_blob(made_up_encoder().blob())), V10)
    outputs, sizes = [], []
    for int8 in (True, False):
        path = tmp_path / f"{int8}.tflite"
        sizes.append(encoder_graph(net, int8).save(path))
        graph = TfliteModel(path)
        inputs = {name: np.full(shape, 0.3, np.float32) for name, shape in graph.inputs.items()}
        outputs.append(graph(**inputs)["latent"])
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-5)
    assert sizes[0] < 0.3 * sizes[1]


def test_the_version_byte_selects_the_model(user_model: modelset.ModelSet) -> None:
    assert modelset.versions() == {10, 0xD1}
    assert modelset.find(10) == user_model and modelset.find(0xD1) is modelset.SHIPPED and modelset.find(12) is None
    packets = {}
    decoder = DredDecoder()
    for chosen in (modelset.SHIPPED, user_model):
        encoder = DredEncoder(104, chosen)
        for i in range(30):
            encoder.push((3000 * np.sin(np.arange(320 * i, 320 * (i + 1)) / (5 + i % 3))).astype(np.int16))
        data = encoder.payload(0.4)
        assert data[:2] == bytes([0x44, chosen.version])
        packets[chosen.version] = decoder.parse(data)
    ours, theirs = packets[0xD1], packets[10]
    assert (ours.version, ours.header.offset, theirs.version, theirs.header.offset) == (0xD1, 8, 10, 10)
    assert ours.span_frames == 44 and theirs.span_frames >= 44
    mixed = [decoder.features(theirs, 8), decoder.features(ours, 8), decoder.features(theirs, 44)]
    np.testing.assert_array_equal(mixed[2][-8:], mixed[0])
    assert np.abs(mixed[0] - mixed[1]).max() > 0.1


def test_without_an_import_foreign_versions_are_refused_by_number() -> None:
    decoder = DredDecoder()
    for version in (10, 12, 99):
        with pytest.raises(ValueError, match=f"no model for version {version} here"):
            decoder.parse(b"D" + bytes([version]) + bytes(40))


def test_the_frame_position_moves_the_offset(user_model: modelset.ModelSet) -> None:
    encoder = DredEncoder(104, user_model)
    for _ in range(10):
        encoder.push(np.zeros(320, np.int16))
    decoder = DredDecoder()
    data = encoder.payload(0.2)
    assert decoder.parse(data, frame_offset=16).header.offset == decoder.parse(data).header.offset + 16


def test_a_second_import_replaces_the_first(files: list[Path], tmp_path: Path) -> None:
    first = import_rdovae(read_sources(files), tmp_path)
    assert first.folder is not None
    (first.folder / "rdovae_encoder.tflite").write_bytes(b"damaged")
    assert import_rdovae(read_sources(files), tmp_path) == first
    assert verify(first.folder) == []
    assert [p.name for p in tmp_path.iterdir()] == [first.id]


def test_progress_counts_to_its_total(files: list[Path], tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    import_rdovae(read_sources(files), tmp_path, lambda done, total: steps.append((done, total)))
    assert steps == [(i, 4) for i in range(1, 5)]


def test_an_interrupted_import_leaves_nothing_and_keeps_the_old(files: list[Path], tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_rdovae(read_sources(files), tmp_path, stop)
    assert list(tmp_path.iterdir()) == []
    model = import_rdovae(read_sources(files), tmp_path)
    with pytest.raises(KeyboardInterrupt):
        import_rdovae(read_sources(files), tmp_path, stop)
    assert model.folder is not None and verify(model.folder) == []
    assert [p.name for p in tmp_path.iterdir()] == [model.id]


def test_what_is_missing_is_named(files: list[Path], tmp_path: Path) -> None:
    enc, dec, stats = files
    for given, words in (
        ([enc, dec], r"enc.bin, dec.bin: the quantiser tables \(dred_rdovae_stats_data.c\) missing"),
        ([dec, stats], r"the encoder \(rdovae_enc\) missing; give all files in one command"),
        ([stats], r"the encoder \(rdovae_enc\) and the decoder \(rdovae_dec\) missing"),
    ):
        with pytest.raises(BlobError, match=words):
            import_rdovae(read_sources(given), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_files_that_are_something_else(files: list[Path], tmp_path: Path) -> None:
    other = tmp_path / "song.mp3"
    other.write_bytes(b"ID3 and so on")
    with pytest.raises(BlobError, match=r"song\.mp3: expected a libopus weight blob or its quantiser tables"):
        read_sources([other])
    with pytest.raises(BlobError, match=r"enc\.bin: record .* is in an earlier file too"):
        read_sources([files[0], files[0]])
    with pytest.raises(BlobError, match=r"stats\.c: quantiser tables are in an earlier file too"):
        read_sources([files[2], files[2]])


def test_parts_of_two_generations_are_refused(files: list[Path], tmp_path: Path) -> None:
    later = write_model(tmp_path, V12)
    with pytest.raises(BlobError, match=r"encoder and decoder are of two DRED versions, 10 and 12"):
        import_rdovae(read_sources([later[0], *files[1:]]), tmp_path / "none")
    with pytest.raises(BlobError, match=r"are DRED version 12 \(libopus 1\.6\), the tables version 10; give tables of"):
        import_rdovae(read_sources([*later[:2], files[2]]), tmp_path / "none")


def test_several_versions_live_side_by_side(files: list[Path], tmp_path: Path, monkeypatch) -> None:
    """One file may hold everything, as libopus' dump_weights_blob writes it; each packet finds its own model."""
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path / "models")
    one = tmp_path / "weights_blob.bin"
    one.write_bytes(made_up_fargan().blob() + made_up_decoder(2, V12).blob() + made_up_encoder(1, V12).blob())
    old = import_rdovae(read_sources(files))
    new = import_rdovae(read_sources([one, write_model(tmp_path, V12)[2]]))
    assert modelset.imported() == [old, new] and modelset.versions() == {10, 12, 0xD1}
    decoder = DredDecoder()
    for model in (new, old):
        encoder = DredEncoder(104, model)
        for i in range(30):
            encoder.push((3000 * np.sin(np.arange(320 * i, 320 * (i + 1)) / (5 + i % 3))).astype(np.int16))
        packet = decoder.parse(encoder.payload(0.4))
        assert (packet.version, packet.header.offset) == (model.version, 10)
        assert np.isfinite(decoder.features(packet, packet.span_frames)).all()


def test_nothing_is_loaded_when_a_packet_comes(files: list[Path], tmp_path: Path, monkeypatch) -> None:
    """A receiver's decoder has every imported model from the start; a damaged one costs the others nothing."""
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path / "models")
    old = import_rdovae(read_sources(files))
    new = import_rdovae(read_sources(write_model(tmp_path, V12)))
    encoder = DredEncoder(104, old)
    for _ in range(10):
        encoder.push(np.zeros(320, np.int16))
    data = encoder.payload(0.2)
    assert new.folder is not None
    (new.folder / "rdovae_decoder.tflite").write_bytes(b"damaged")
    decoder = DredDecoder()
    monkeypatch.setattr("dredge_models.dred.find", lambda version: pytest.fail("a model was looked for"))
    assert decoder.parse(data).version == 10
    with pytest.raises(ValueError, match="no model for version 12 here"):
        decoder.parse(b"D\x0c" + data[2:])


def test_the_standards_extension_has_no_prefix(tmp_path: Path, monkeypatch) -> None:
    """Extension 32 carries the payload alone; receiver and sender put the version in its place."""
    from dredge_device.pi.factory import OpusPacketReader
    from dredge_host.sending.sender import Sender
    from dredge_kernels.extensions import read_extensions

    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path / "models")
    import_rdovae(read_sources(write_model(tmp_path, V12)))
    packets = {}
    for ext_id in (126, 32):
        with Sender(redundancy_s=0.4, dred_version=12, dred_id=ext_id) as sender:
            for i in range(30):
                tone = 3000 * np.sin(np.arange(320 * i, 320 * (i + 1)) / 7)
                packets[ext_id] = sender.push(tone.astype(np.int16)).data[12:]
    (ours,), (standard,) = (read_extensions(packets[ext_id]) for ext_id in (126, 32))
    assert (standard.id, ours.data[:2], ours.data[2:]) == (32, b"D\x0c", standard.data)
    reader = OpusPacketReader()
    assert reader.dred(packets[32]) == reader.dred(packets[126]) == ours.data


def test_the_versions_on_offer_are_the_generations() -> None:
    assert tuple(generation.version for generation in GENERATIONS) == LIBOPUS_VERSIONS


@pytest.mark.parametrize("name", ["enc_gru3_input_bias", "gdense2_scale", "enc_conv5_weights_int8", "enc_dense1_bias"])
def test_a_record_that_is_gone_is_named(files: list[Path], tmp_path: Path, name: str) -> None:
    writer = made_up_encoder()
    del writer.records[name]
    (tmp_path / "e.bin").write_bytes(writer.blob())
    with pytest.raises(BlobError, match=f"record {name} is missing"):
        import_rdovae(read_sources([tmp_path / "e.bin", *files[1:]]), tmp_path)


def test_damage_to_an_imported_model_is_found(files: list[Path], tmp_path: Path, monkeypatch) -> None:
    model = import_rdovae(read_sources(files), tmp_path)
    monkeypatch.setattr(modelset, "user_folder", lambda: tmp_path)
    assert modelset.problems() == []
    assert model.folder is not None
    path = model.folder / "rdovae_start.tflite"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert [str(p) for p in modelset.problems()] == [
        "libopus-rdovae-10/rdovae_start.tflite: damaged: its SHA-256 differs from the manifest"
    ]
    with pytest.raises(ModelError, match="import it again"):
        RdoVaeDecoder(model)
    (model.folder / "manifest.json").unlink()
    assert modelset.imported() == [] and modelset.problems()


def test_the_user_folder_follows_the_platform(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert modelset.user_folder() == tmp_path / "dredge" / "models"
    assert modelset.imported() == []
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert modelset.user_folder() == tmp_path / ".local" / "share" / "dredge" / "models"


def test_without_the_writer_the_extra_is_named(files: list[Path], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "dredge_models.libopus.graphs", None)
    with pytest.raises(ModelError, match="run `dredge extras add import`"):
        importer.import_rdovae(read_sources(files), tmp_path)
