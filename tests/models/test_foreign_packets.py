# SPDX-License-Identifier: BSD-2-Clause
"""Packets that our encoder makes with an imported model: by the rules of version 10, and through our own decoder.

Made-up weights by default; with DREDGE_VECTORS libopus' own, and with an opus_demo on the path that knows DRED also
through libopus' decoder.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from blob_cases import write_model
from model_cases import band_error, voice

from dredge_kernels.extensions import add_extension, read_extensions
from dredge_kernels.features import FeatureExtractor
from dredge_kernels.opus import OpusEncoder
from dredge_kernels.payload import decode_payload, encode_symbols, parse_header
from dredge_models import modelset
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder, DredEncoder
from dredge_models.libopus.importer import import_rdovae, read_sources

VECTORS = os.environ.get("DREDGE_VECTORS", "")
NAMES = ["rdovae_enc.bin", "rdovae_dec.bin", "rdovae_stats_and_tables.npz"]


@pytest.fixture(scope="module", params=["made up", pytest.param("libopus", marks=pytest.mark.vectors)])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[modelset.ModelSet]:
    if request.param == "libopus" and not VECTORS:
        pytest.skip("needs vectors: set DREDGE_VECTORS")
    root = tmp_path_factory.mktemp("models")
    made_up = write_model(tmp_path_factory.mktemp("files"))
    files = [Path(VECTORS) / "weights" / n for n in NAMES] if request.param == "libopus" else made_up
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelset, "user_folder", lambda: root)
        yield import_rdovae(read_sources(files), root)


@pytest.fixture(scope="module")
def sent(model: modelset.ModelSet) -> list[tuple[bytes, DredEncoder]]:
    """Extension data after every packet of 3 s, at many settings."""
    encoder = DredEncoder(104, model)
    out = []
    pcm = voice(3.0)
    for i in range(150):
        encoder.push(pcm[320 * i : 320 * (i + 1)])
        out.append(encoder.payload((0.2, 0.5, 1.0)[i % 3], q0=i % 16, dq=i // 16 % 8))
    return out


def test_every_packet_follows_the_rules_and_codes_to_the_same_bytes(model: modelset.ModelSet, sent) -> None:
    tables = model.tables
    for i, data in enumerate(sent):
        assert data[:2] == b"D\x0a" and 10 <= len(data) <= 1000
        payload = data[2:]
        header = parse_header(payload, 10)
        assert (header.q0, header.offset, header.latents) == (i % 16, 10, None)
        got = decode_payload(payload, tables)
        again = encode_symbols(got.latent_symbols, got.state_symbols, tables, header.q0, header.dq,
                               header.qmax, header.offset)  # fmt: skip
        assert again == payload


def test_all_latents_that_were_sent_are_heard(model: modelset.ModelSet, sent) -> None:
    """Up to the newest 26 were coded; fewer only where the rest would have hidden in the last 7 bits."""
    counts = [len(decode_payload(data[2:], model.tables).latents) for data in sent]
    wanted = [min((6, 13, 26)[i % 3], i // 2 + 1) for i in range(150)]
    assert all(0 < got <= want for got, want in zip(counts, wanted, strict=True))
    assert np.mean([got == want for got, want in zip(counts, wanted, strict=True)]) > 0.5


def test_they_survive_an_opus_packet_and_our_decoder(model: modelset.ModelSet, sent) -> None:
    decoder = DredDecoder()
    for data in sent[::10]:
        packet = add_extension(b"\x48speech", DRED_EXTENSION_ID, data)
        found = decoder.parse(read_extensions(packet)[0].data)
        rows = decoder.features(found, found.span_frames)
        assert found.version == 10 and rows.shape == (found.span_frames, 20) and np.isfinite(rows).all()


@pytest.mark.vectors
@pytest.mark.skipif(not VECTORS, reason="needs vectors: set DREDGE_VECTORS")
def test_with_libopus_weights_speech_comes_back(model: modelset.ModelSet) -> None:
    if not is_real(model):
        pytest.skip("needs libopus' weights: set DREDGE_VECTORS to a folder that has them")
    case = Path(VECTORS) / "v4_B44k30"
    pcm = np.fromfile(case / "input.s16", "<i2")[: 16000 * 6]
    encoder, decoder = DredEncoder(104, model), DredDecoder()
    clean = FeatureExtractor().process(np.concatenate([np.zeros(24, np.int16), pcm])[: len(pcm)])
    errors = []
    for i in range(len(pcm) // 320):
        encoder.push(pcm[320 * i : 320 * (i + 1)])
        if i > 100 and i % 20 == 0:
            packet = decoder.parse(encoder.payload(1.0, q0=4, dq=3))
            rows = decoder.features(packet, packet.span_frames)
            errors.append(band_error(rows, clean[2 * i + 2 - len(rows) : 2 * i + 2]))
    print(f"\nband error {np.mean(errors):.2f} dB")
    assert np.mean(errors) < 5


def is_real(model: modelset.ModelSet) -> bool:
    """Whether these are libopus' weights, not made-up ones."""
    assert model.folder is not None
    return "rdovae_enc.bin" in (model.folder / "manifest.json").read_text(encoding="utf-8")


def opus_demo() -> str | None:
    """An opus_demo that was built with DRED."""
    path = shutil.which("opus_demo")
    if path is None:
        return None
    text = subprocess.run([path], capture_output=True, text=True)
    return path if "-dred" in text.stdout + text.stderr else None


@pytest.mark.vectors
@pytest.mark.skipif(not VECTORS or opus_demo() is None, reason="needs opus_demo: on the path; set DREDGE_VECTORS")
def test_libopus_decodes_what_our_encoder_made(model: modelset.ModelSet, tmp_path: Path) -> None:
    """Lost packets of our stream, filled by libopus, are about as near to the original as those of its own stream."""
    if not is_real(model):
        pytest.skip("needs libopus' weights: set DREDGE_VECTORS to a folder that has them")
    case = Path(VECTORS) / "v4_B44k30"
    pcm = np.fromfile(case / "input.s16", "<i2")
    encoder = OpusEncoder(bitrate=24000, loss_pct=20)
    history = DredEncoder(encoder.lookahead, model)
    with (tmp_path / "ours.bit").open("wb") as file:
        for i in range(len(pcm) // 320):
            piece = pcm[320 * i : 320 * (i + 1)]
            packet, final_range = encoder.encode(piece), encoder.final_range
            history.push(piece)
            packet = add_extension(packet, DRED_EXTENSION_ID, history.payload(1.0))
            file.write(struct.pack(">II", len(packet), final_range) + packet)
    distances = {}
    for name, bits in (("ours", tmp_path / "ours.bit"), ("libopus", case / "packets.bit")):
        for losses in ([], ["-lossfile", str(case / "loss.txt")]):
            out = tmp_path / f"{name}{len(losses)}.s16"
            words = [str(opus_demo()), "-d", "16000", "1", "-dec_complexity", "5", *losses, str(bits), str(out)]
            run = subprocess.run(words, capture_output=True, text=True, timeout=300)
            assert run.returncode == 0, run.stderr
        distances[name] = lost_distance(tmp_path / f"{name}0.s16", tmp_path / f"{name}2.s16", case / "loss.txt")
    print(f"\nband distance of lost frames: {distances}")
    assert distances["ours"] < 1.1 * distances["libopus"]


def lost_distance(clean: Path, filled: Path, trace: Path) -> float:
    """RMS distance of band levels (dB) over the lost frames that are not silent."""
    loss = np.repeat([int(word) for word in trace.read_text(encoding="utf-8").split()], 2)
    a, b = (FeatureExtractor().process(np.fromfile(path, "<i2")[: 320 * 1100]) for path in (clean, filled))
    frames = np.flatnonzero((loss[: len(a)] == 1) & (a[:, 0] > -2))
    return band_error(a[frames], b[frames])
