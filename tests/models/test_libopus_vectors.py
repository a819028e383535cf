# SPDX-License-Identifier: BSD-2-Clause
"""The imported model against everything libopus 1.5.2 decoded: features within half the conformance limits.

Run with -s for the figures. Limits of libopus' own conformance script: total RMS .5, worst coefficient .15, pitch .02.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from feature_errors import check, newest_first

from dredge_models import modelset
from dredge_models.dred import DredDecoder
from dredge_models.libopus.graphs import decoder_graph, encoder_graph, start_graph
from dredge_models.libopus.importer import import_rdovae, read_sources
from dredge_models.libopus.rdovae import GENERATIONS, read_decoder, read_encoder
from dredge_models.rdovae import RdoVaeDecoder, RdoVaeEncoder
from dredge_models.registry import ModelFile

VECTORS = Path(os.environ.get("DREDGE_VECTORS", ""))
pytestmark = [
    pytest.mark.vectors,
    pytest.mark.skipif(not os.environ.get("DREDGE_VECTORS"), reason="needs vectors: set DREDGE_VECTORS"),
]

V10 = GENERATIONS[0]
FILES = ["rdovae_enc.bin", "rdovae_dec.bin", "rdovae_stats_and_tables.npz"]
STREAMS = ["v4_A24k20", "v4_B44k30", "v1_C60ms", "v1_G_lbrr48"]


@pytest.fixture(scope="module", params=["int8", "float"])
def decoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DredDecoder]:
    """The product's decoder with the imported model, as stored and with float32 weights."""
    root = tmp_path_factory.mktemp("models")
    sources = read_sources([VECTORS / "weights" / name for name in FILES])
    model = import_rdovae(sources, root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modelset, "user_folder", lambda: root)
        made = DredDecoder()
        made._model(10)
        if request.param == "float":
            made._models[10] = (model.tables, float_network(sources, root / "float"))
        made.name = request.param  # type: ignore[attr-defined]
        yield made


def float_network(sources, folder: Path) -> RdoVaeDecoder:
    from dredge_models.libopus.layers import Layers

    folder.mkdir()
    net = read_decoder(Layers(sources.records), V10)
    decoder_graph(net, V10, int8=False).save(folder / modelset.DECODER)
    start_graph(net, int8=False).save(folder / modelset.START)

    class Floats(modelset.ModelSet):
        def file(self, name: str) -> ModelFile:
            return ModelFile.of(folder / name)

    return RdoVaeDecoder(Floats("float", 10, folder))


@pytest.mark.parametrize("case", STREAMS)
def test_features_of_every_packet(decoder: DredDecoder, case: str) -> None:
    pairs = []
    with np.load(VECTORS / case / "dred.npz") as file:
        arrays = {name: file[name] for name in file.files}
    for row in np.flatnonzero(arrays["dred_payload_len"]):
        start, size = arrays["dred_payload_start"][row], arrays["dred_payload_len"][row]
        got = newest_first(decoder, 10, arrays["dred_payload_bytes"][start : start + size].tobytes())
        assert len(got) == 4 * arrays["dred_nb_latents"][row]
        pairs.append((got, arrays["dred_features"][row, : len(got)]))
    check(case, pairs)


def test_features_of_the_whole_grid(decoder: DredDecoder) -> None:
    """Every q0, dQ and qmax; noise-like inputs of the coarsest levels included."""
    every, pairs = decoder.name == "int8", []  # type: ignore[attr-defined]
    with np.load(VECTORS / "grid/grid.npz") as file:
        data, features = file["grid_payload_bytes"], file["grid_features"]
        starts, sizes = file["grid_payload_start"], file["grid_payload_len"]
    for row in range(0, len(sizes), 1 if every else 8):
        got = newest_first(decoder, 10, data[starts[row] : starts[row] + sizes[row]].tobytes())
        pairs.append((got, features[row, : len(got)]))
    assert len(pairs) == (933 if every else 117)     # the float graphs are the same numbers
    check("grid", pairs)


def test_latents_of_the_encoder(tmp_path: Path) -> None:
    """10 s of features; libopus' own two paths differ in .4 % of the symbols, each by at most 3."""
    from dredge_models.libopus.layers import Layers

    sources = read_sources([VECTORS / "weights" / name for name in FILES])
    encoder_graph(read_encoder(Layers(sources.records), V10)).save(tmp_path / modelset.ENCODER)

    class Here(modelset.ModelSet):
        def file(self, name: str) -> ModelFile:
            return ModelFile.of(tmp_path / name)

    encoder = RdoVaeEncoder(Here("here", 10, tmp_path))
    with np.load(VECTORS / "modules/modules.npz") as file:
        features, want, want_start = file["mod_features"], file["mod_rdovae_latents"], file["mod_rdovae_states"]
    got = [encoder.push(features[i : i + 2, :20].astype(np.float32)) for i in range(0, 1000, 2)]
    latents, starts = (np.array(rows) for rows in zip(*got, strict=True))
    assert sources.tables is not None
    for name, a, b, part, most in (
        ("latents", latents, want, "latent", 0.03),
        ("states", starts, want_start, "state", 0.08),     # finer steps: 50 bits for 19 values
    ):  # fmt: skip
        step = sources.tables.steps(part)[6]
        moved = np.abs(np.rint(a / step) - np.rint(b / step))
        print(f"\n{name}: RMS {np.sqrt(np.mean((a - b) ** 2)):.3f} of {np.abs(b).mean():.2f}; at level 6 "
              f"{100 * np.mean(moved > 0):.2f} % of symbols differ, by at most {moved.max():.0f}")  # fmt: skip
        assert np.mean(moved > 0) < most and moved.max() <= 1
