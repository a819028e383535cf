# SPDX-License-Identifier: BSD-2-Clause
"""Every layer the writer knows, run by the real runtime and compared with NumPy."""

import numpy as np
import pytest
import repo_path  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from dredge_models.tflite.runtime import TfliteModel
from dredge_models.tflite.writer import SMALL, Graph, quantise_rows

RNG = np.random.default_rng(0)


def run(tmp_path, build, int8=False, **inputs):
    """Builds a graph of the given inputs, runs it, returns its outputs."""
    graph = Graph("test", int8)
    handles = {name: graph.input(value.shape[1], name) for name, value in inputs.items()}
    for name, handle in build(graph, **handles).items():
        graph.output(handle, name)
    path = tmp_path / "g.tflite"
    assert graph.save(path) == path.stat().st_size
    return TfliteModel(path)(**inputs)


def row(n):
    return RNG.standard_normal((1, n)).astype(np.float32)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("bias", [True, False])
def test_dense(tmp_path, bias):
    x, w, b = row(30), row(12 * 30).reshape(12, 30), row(12)[0]
    out = run(tmp_path, lambda g, x: {"y": g.dense(x, w, b if bias else None)}, x=x)
    np.testing.assert_allclose(out["y"], x @ w.T + (b if bias else 0), rtol=1e-5, atol=1e-5)


def test_elementwise(tmp_path):
    x, y = row(9), row(9)
    out = run(tmp_path, lambda g, x, y: {
        "tanh": g.tanh(x), "sigmoid": g.sigmoid(x), "add": g.add(x, y), "sub": g.sub_(x, y),
        "mul": g.mul(x, y)}, x=x, y=y)
    for name, wanted in {"tanh": np.tanh(x), "sigmoid": sigmoid(x), "add": x + y, "sub": x - y,
                         "mul": x * y}.items():
        np.testing.assert_allclose(out[name], wanted, rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("sizes", [[5, 5], [2, 3, 4], [1, 1, 1, 1, 1], [7]])
def test_split_and_concat(tmp_path, sizes):
    x = row(sum(sizes))

    def build(g, x):
        parts = g.split(g.tanh(x), sizes)
        return {"back": g.concat([g.tanh(p) for p in parts[::-1]])}

    parts = np.split(np.tanh(np.tanh(x)), np.cumsum(sizes)[:-1], 1)
    out = run(tmp_path, build, x=x)
    np.testing.assert_allclose(out["back"], np.concatenate(parts[::-1], 1), atol=1e-5)


def test_gru_is_that_of_torch(tmp_path):
    torch = pytest.importorskip("torch", reason="needs torch: dredge extras add train")
    torch.manual_seed(0)
    cell = torch.nn.GRU(11, 7)
    weights = {k: v.detach().numpy() for k, v in cell.state_dict().items()}
    x, h = row(11), row(7)
    out = run(tmp_path, lambda g, x, h: {"h2": g.gru(x, h, weights)}, x=x, h=h)
    with torch.no_grad():
        wanted = cell(torch.from_numpy(x)[None], torch.from_numpy(h)[None])[0][0]
    np.testing.assert_allclose(out["h2"], wanted.numpy(), atol=1e-5)


def test_int8_weights_are_what_is_computed_with(tmp_path):
    """Float maths: the result is that of the rounded weights, not of rounded activations."""
    x, w = row(64), row(80 * 64).reshape(80, 64)
    assert w.size > SMALL
    out = run(tmp_path, lambda g, x: {"y": g.dense(x, w)}, int8=True, x=x)
    values, scales = quantise_rows(w)
    np.testing.assert_allclose(out["y"], x @ (values * scales[:, None]).T, rtol=1e-4, atol=1e-4)
    assert (tmp_path / "g.tflite").stat().st_size < 8000


def test_small_weights_stay_float(tmp_path):
    x, w = row(8), row(16).reshape(2, 8)
    out = run(tmp_path, lambda g, x: {"y": g.dense(x, w)}, int8=True, x=x)
    np.testing.assert_allclose(out["y"], x @ w.T, rtol=1e-5, atol=1e-6)


@settings(max_examples=50, deadline=None)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 6), st.integers(1, 9)),
                  elements=st.floats(-100, 100, width=32)))
def test_quantised_rows_are_within_half_a_step(matrix):
    values, scales = quantise_rows(matrix)
    assert values.dtype == np.int8 and np.abs(values.astype(int)).max() <= 127
    assert (np.abs(values * scales[:, None] - matrix) <= 0.5001 * scales[:, None] + 1e-6).all()


def test_the_same_graph_gives_the_same_bytes():
    def build():
        graph = Graph("same", True)
        x = graph.input(40, "x")
        graph.output(graph.tanh(graph.dense(x, np.eye(40, dtype=np.float32))), "y")
        return graph.to_bytes()

    assert build() == build()
    assert build()[4:8] == b"TFL3"


def test_shape_mistakes_are_refused():
    graph = Graph("bad", False)
    x, y = graph.input(4, "x"), graph.input(5, "y")
    with pytest.raises(ValueError, match="widths differ: 4 and 5"):
        graph.add(x, y)
    with pytest.raises(ValueError, match="weight takes 3 values, input has 4"):
        graph.dense(x, np.zeros((2, 3)))
    with pytest.raises(ValueError, match="sizes sum to 3, input has 4"):
        graph.split(x, [1, 2])
