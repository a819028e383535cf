# SPDX-License-Identifier: BSD-2-Clause
"""Streams of libopus 1.6.1 (DRED version 12): every header, count and symbol exact, features within a narrow limit.

Run with -s for the figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from feature_errors import check

from dredge_kernels.extensions import read_extensions
from dredge_kernels.payload import decode_payload
from dredge_kernels.tables import QuantTables
from dredge_models import modelset
from dredge_models.dred import DRED_EXTENSION_ID, DredDecoder, DredEncoder
from dredge_models.libopus.importer import import_rdovae, read_sources
from dredge_models.rdovae import RdoVaeEncoder

VECTORS = Path(os.environ.get("DREDGE_VECTORS16", ""))
pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not os.environ.get("DREDGE_VECTORS16"), reason="needs vectors: set DREDGE_VECTORS16"),
]
FILES = ["rdovae_enc16.bin", "rdovae_dec16.bin", "rdovae_stats_and_tables.npz"]
STREAMS = ["A24k20", "B44k30", "C60ms", "D_cbr40", "E_48k_st", "F_dtx", "G_lbrr48", "H_40ms", "I_120ms"]
LIMITS = 0.1, 0.06, 0.01  # of the product: total RMS, worst coefficient, pitch


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[modelset.ModelSet]:
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelset, "user_folder", lambda: root)
        yield import_rdovae(read_sources([VECTORS / "weights" / name for name in FILES]))


def packets_of(path: Path) -> list[bytes]:
    """Packets of an opus_demo file: length and final range, big endian, before each."""
    data, at, out = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        out.append(data[at + 8 : at + 8 + size])
        at += 8 + size
    return out


def dred_of(packet: bytes) -> tuple[int, bytes] | None:
    """Frame and data of the first DRED extension."""
    found = [e for e in read_extensions(packet) if e.id == DRED_EXTENSION_ID and e.data[:2] == b"D\x0c"]
    return (found[0].frame, found[0].data) if found else None


@pytest.mark.parametrize("case", STREAMS)
def test_every_symbol_is_exact_and_every_feature_near(case: str, model: modelset.ModelSet) -> None:
    folder = VECTORS / f"t1_{case}"
    packets, tables, decoder = packets_of(folder / "packets.bit"), model.tables, DredDecoder()
    with np.load(folder / "dred.npz") as file:
        arrays = {name: file[name] for name in file.files}
    with np.load(folder / "pkt.npz") as file:
        sizes, frames = file["pkt_ext_data_len"], file["pkt_ext_frame"]
    for packet, size, frame in zip(packets, sizes, frames, strict=True):
        found = dred_of(packet)
        assert (len(found[1]) if found else 0) == max(0, size)
        assert found is None or found[0] == frame
    pairs = []
    for row in np.flatnonzero(arrays["dred_payload_len"]):
        start, size = arrays["dred_payload_start"][row], arrays["dred_payload_len"][row]
        data = arrays["dred_payload_bytes"][start : start + size].tobytes()
        assert dred_of(packets[arrays["dred_pkt_index"][row]]) == (0, b"D\x0c" + data)
        check_symbols(arrays, row, data, tables)
        packet = decoder.parse(b"D\x0c" + data)
        got = decoder.features(packet, packet.span_frames)[::-1]
        pairs.append((got, arrays["dred_features"][row, : len(got)]))
    check(case, pairs, LIMITS)


def check_symbols(arrays: dict[str, np.ndarray], row: int, data: bytes, tables: QuantTables) -> None:
    decoded, n = decode_payload(data, tables), int(arrays["dred_nb_latents"][row])
    header = [decoded.q0, decoded.dq, decoded.qmax, decoded.offset, len(decoded.latents)]
    assert header == [int(arrays[f"dred_{name}"][row]) for name in ("q0", "dQ", "qmax", "offset", "nb_latents")]
    np.testing.assert_array_equal(decoded.state_symbols, arrays["dred_state_sym"][row])
    np.testing.assert_array_equal(decoded.latent_symbols, arrays["dred_latent_sym"][row, :n])
    np.testing.assert_array_equal(decoded.state, arrays["dred_state"][row])
    np.testing.assert_array_equal(decoded.latents, arrays["dred_latents"][row, :n])


def test_latents_of_the_encoder(model: modelset.ModelSet) -> None:
    """10 s of features; the share of symbols at level 6 that differ, each by one."""
    with np.load(VECTORS / "encoder.npz") as file:
        features, want = file["features"], {"latent": file["latents"], "state": file["states"]}
    encoder = RdoVaeEncoder(model)
    pairs = [encoder.push(features[i : i + 2].astype(np.float32)) for i in range(0, len(features), 2)]
    got = {"latent": np.array([z for z, _ in pairs]), "state": np.array([s for _, s in pairs])}
    for part, most in (("latent", 0.05), ("state", 0.08)):
        step = model.tables.steps(part)[6]
        moved = np.abs(np.rint(got[part] / step) - np.rint(want[part] / step))
        print(f"\n{part}: {100 * np.mean(moved > 0):.2f} % of symbols differ, by at most {moved.max():.0f}")
        assert np.mean(moved > 0) < most and moved.max() <= 1


def test_our_sender_makes_streams_of_this_version(model: modelset.ModelSet) -> None:
    pcm = np.fromfile(VECTORS / "t1_B44k30/input.s16", np.int16)[: 320 * 100]
    encoder, decoder = DredEncoder(104, model), DredDecoder()
    for start in range(0, len(pcm), 320):
        encoder.push(pcm[start : start + 320])
    packet = decoder.parse(encoder.payload(1.0))
    assert (packet.version, packet.header.offset) == (12, 10) and packet.span_frames >= 100
