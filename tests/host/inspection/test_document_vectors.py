# SPDX-License-Identifier: BSD-2-Clause
"""`dredge inspect` on the bit files of libopus 1.5.2: every field as its own decoder read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from dredge_host.capture.reader import read_capture
from dredge_host.inspection.document import inspect
from dredge_models import modelset
from dredge_models.libopus.importer import import_rdovae, read_sources

VECTORS = Path(os.environ.get("DREDGE_VECTORS", ""))
pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not os.environ.get("DREDGE_VECTORS"), reason="needs vectors: set DREDGE_VECTORS"),
]


@pytest.fixture(scope="module", autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    root = tmp_path_factory.mktemp("models")
    names = ["rdovae_enc.bin", "rdovae_dec.bin", "rdovae_stats_and_tables.npz"]
    import_rdovae(read_sources([VECTORS / "weights" / name for name in names]), root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelset, "user_folder", lambda: root)
        yield


@pytest.mark.parametrize(
    ("case", "mode", "lbrr"),
    [
        ("v4_A24k20", "SILK WB 1 x 20 ms", False),
        ("v4_B44k30", "SILK WB 1 x 20 ms", False),
        ("v1_C60ms", "SILK WB 1 x 60 ms", False),
        ("v1_G_lbrr48", "SILK WB 1 x 20 ms", True),
    ],
)
def test_every_field_of_every_packet(case: str, mode: str, lbrr: bool) -> None:
    result = inspect(read_capture(VECTORS / case / "packets.bit"), symbols=True)
    entries = result["packets"]
    with np.load(VECTORS / case / "dred.npz") as file, np.load(VECTORS / case / "pkt.npz") as packets:
        want = {name: file[name] for name in file.files} | {name: packets[name] for name in packets.files}
    assert len(entries) == len(want["pkt_len"])
    for entry, size, length, frame in zip(
        entries, want["pkt_len"], want["pkt_ext_data_len"], want["pkt_ext_frame"], strict=True
    ):
        assert entry["bytes"] == size and (entry["dred"] is None) == (length <= 0)
        if entry["dred"]:
            assert entry["dred"]["bytes"] == length and entry["dred"]["version"] == 10
            assert entry["dred"]["frame"] == frame and entry["dred"]["reason"] is None
    for row, index in enumerate(want["dred_pkt_index"]):
        dred = entries[index]["dred"]
        assert (dred is None) == (want["dred_payload_len"][row] == 0)
        if dred:
            fields = [dred[name] for name in ("q0", "dq", "qmax", "offset", "latents")]
            assert fields == [want[f"dred_{n}"][row] for n in ("q0", "dQ", "qmax", "offset", "nb_latents")]
            n = dred["latents"]
            assert dred["state_symbols"] == want["dred_state_sym"][row].tolist()
            assert dred["latent_symbols"] == want["dred_latent_sym"][row, :n].tolist()
            reach = 40 * n - 2.5 * dred["offset"]        # what libopus' parser returns, in samples at 16 kHz
            assert want["dred_parse_ret"][row] == max(0, 16 * reach)
    assert list(result["totals"]["modes"]) == [mode]
    assert (result["totals"]["with_lbrr"] > len(entries) // 4) == lbrr
