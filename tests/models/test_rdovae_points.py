# SPDX-License-Identifier: BSD-2-Clause
"""Rate against distortion of shipped files: real payloads, counted bits, errors in their units."""

import shutil

import numpy as np
import pytest
from model_cases import speechlike
from training_cases import torch  # noqa: F401

from dredge_kernels.payload import encode_payload
from dredge_models.modelset import SHIPPED
from dredge_models.registry import DRED_VERSION, FOLDER
from models.training import rdovae_curve, rdovae_page
from models.training.rdovae_points import LATENTS, WARM_UP, Coder, Folder, Point, curve, errors, relative, spread


@pytest.fixture(scope="module")
def features():
    return speechlike(1100, 3)


@pytest.fixture(scope="module")
def ours(features):
    return curve(SHIPPED, spread(features, 4))


def test_stretches_are_whole_and_evenly_spread(features):
    stretches = spread(features, 3)
    assert [s.shape for s in stretches] == [(2 * (WARM_UP + 2 * LATENTS), 20)] * 3
    np.testing.assert_array_equal(stretches[0][0], features[0])
    np.testing.assert_array_equal(stretches[-1][-1], features[-1])
    with pytest.raises(RuntimeError, match="expected at least 204 rows, got 100"):
        spread(features[:100], 2)


def test_rows_line_up_with_the_features(features):
    """The finest level decodes to the frames that were coded, not to their neighbours."""
    coder = Coder(SHIPPED)
    stretch = spread(features, 1)[0]
    _, rows = coder.decode(*coder.encode(stretch), 0)
    wanted = stretch[-104:]
    off = [np.abs(rows[4:-4, :18] - wanted[4 + k : 100 + k, :18]).mean() for k in (-2, -1, 0, 1, 2)]
    assert np.argmin(off) == 2


def test_rate_is_that_of_real_payloads(features):
    coder = Coder(SHIPPED)
    z, s = coder.encode(spread(features, 1)[0])
    for level in (0, 7):
        bits, _ = coder.decode(z, s, level)
        whole = 8 * len(encode_payload(z, s, coder.tables, level, 0))
        assert whole - 120 < bits * LATENTS <= whole, "the header and the state are not counted"


def test_curve_falls_in_rate_and_rises_in_error(ours):
    assert [p.level for p in ours] == list(range(16))
    assert ours[0].rate > 2 * ours[15].rate
    assert ours[0].weighted < 0.5 * ours[15].weighted and ours[0].cepstral < ours[15].cepstral


def test_errors_are_in_their_units():
    wanted = np.zeros((2, 30, 20), np.float32)
    wanted[..., 0], wanted[..., 19] = 8.0, 0.4
    got = wanted.copy()
    got[..., :18] += 0.2
    got[..., 18] += 0.5 / 12
    got[..., 19] -= 0.03
    found = errors(wanted, got)
    assert found["cepstral"] == pytest.approx(2.0, rel=1e-4) and found["pitch"] == pytest.approx(0.5, rel=1e-4)
    assert found["correlation"] == pytest.approx(0.03, rel=1e-4) and found["weighted"] > 0


def point(level, rate, error):
    return Point(level, rate, error, error, error, error)


def test_comparison_is_at_the_same_rate():
    other = [point(0, 1000.0, 1.0), point(1, 500.0, 2.0)]
    rows = relative([point(0, 750.0, 3.0), point(1, 500.0, 1.0), point(2, 100.0, 1.0)], other)
    assert rows[0]["cepstral"] == pytest.approx(2.0) and rows[1]["pitch"] == pytest.approx(0.5)
    assert np.isnan(rows[2]["weighted"]), "nothing to compare with at that rate"


def test_a_model_is_its_own_equal(ours):
    assert [r["cepstral"] for r in relative(ours, ours)] == pytest.approx([1.0] * 16)


def page(folder):
    (folder / "models.md").write_text(f"# A\n\n{rdovae_page.BEGIN}\nold\n{rdovae_page.END}\n\nafter\n")
    return folder


def test_page_gets_table_and_plot_and_keeps_the_rest(ours, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib: dredge extras add report")
    page(tmp_path)
    case = rdovae_page.Case("some speech", 4, {"ours": ours, "other": ours})
    rdovae_page.write([case], tmp_path)
    content = (tmp_path / "models.md").read_text()
    assert content.startswith("# A\n") and content.endswith("\nafter\n") and "old" not in content
    assert content.count("| 15 |") == 2 and "(1.00)" in content and "images/rdovae_curve.svg" in content
    first = (tmp_path / "images" / "rdovae_curve.svg").read_bytes()
    assert b"some speech" in first or len(first) > 5000
    rdovae_page.write([case], tmp_path)
    assert (tmp_path / "images" / "rdovae_curve.svg").read_bytes() == first
    assert (tmp_path / "models.md").read_text() == content


def test_page_without_its_place_is_refused(ours, tmp_path):
    (tmp_path / "models.md").write_text("# A\n")
    with pytest.raises(ValueError, match=r"models\.md: expected the lines"):
        rdovae_page.write([rdovae_page.Case("x", 4, {"ours": ours})], tmp_path)
    assert not (tmp_path / "images").exists()


def test_rows_come_from_the_narrowest_fitting_array(tmp_path):
    wide, right = np.ones((300, 88), np.float32), np.full((300, 36), 2, np.float32)
    np.savez(tmp_path / "a.npz", some_if_features=wide, enc_features=right, other=np.zeros((300, 20)))
    rows = rdovae_curve.load_rows(tmp_path / "a.npz")
    assert rows.shape == (300, 20) and (rows == 2).all()
    np.save(tmp_path / "b.npy", right)
    assert rdovae_curve.load_rows(tmp_path / "b.npy").shape == (300, 20)


@pytest.mark.parametrize(("content", "text"), [(b"nothing", "not readable"), (None, "not readable")])
def test_unusable_files_are_one_sentence(tmp_path, content, text):
    if content:
        (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(RuntimeError, match=f"x.npz: {text}"):
        rdovae_curve.load_rows(tmp_path / "x.npz")


def test_models_are_found_by_folder_or_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert rdovae_curve.find_model(str(tmp_path)).folder == tmp_path
    with pytest.raises(RuntimeError, match="--other: expected one of no imported models yet, got 'unknown'"):
        rdovae_curve.find_model("unknown")


def test_int8_weights_cost_less_than_two_percent(features, tmp_path):
    from models.training.rdovae_int8 import int8_cost

    for name in ("rdovae.npz", "rdovae_tables.npz", "rdovae_encoder.tflite", "rdovae_decoder.tflite",
                 "rdovae_start.tflite"):
        shutil.copy(FOLDER / name, tmp_path / name)
    assert curve(Folder("x", DRED_VERSION, tmp_path), spread(features, 1))[3].rate > 0
    cost = int8_cost(tmp_path, features, 4)
    assert cost["mean"] < 1.02
