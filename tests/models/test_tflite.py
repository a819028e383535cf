# SPDX-License-Identifier: BSD-2-Clause
"""The runtime wrapper: names, shapes, and clear errors for bad files."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from dredge_models.registry import ModelError, weight_file
from dredge_models.tflite import runtime
from dredge_models.tflite.runtime import TfliteModel, runtime_name


@pytest.fixture(scope="module")
def model():
    return TfliteModel(weight_file("rdovae_encoder.tflite"))


def zeros(model):
    return {name: np.zeros(shape, np.float32) for name, shape in model.inputs.items()}


def test_names_and_shapes_are_read_from_the_graph(model):
    assert model.inputs["frames"] == (1, 40)
    assert model.inputs["memory"] == model.outputs["memory_out"]
    assert set(model.outputs) == {"latent", "start", "memory_out"}


def test_a_call_is_a_pure_function(model):
    inputs = zeros(model)
    inputs["frames"][:] = 0.5
    first = model(**inputs)
    model(**zeros(model))
    again = model(**inputs)
    for name, value in first.items():
        np.testing.assert_array_equal(value, again[name])
    assert (inputs["memory"] == 0).all()


def test_results_are_copies(model):
    first = model(**zeros(model))
    kept = first["latent"].copy()
    inputs = zeros(model)
    inputs["frames"][:] = 1
    model(**inputs)
    np.testing.assert_array_equal(first["latent"], kept)


def test_wrong_names_shapes_and_types_are_refused(model):
    good = zeros(model)
    with pytest.raises(ValueError, match=r"inputs: expected \['frames', 'memory'\]"):
        model(frames=good["frames"])
    with pytest.raises(ValueError, match=r"frames: expected float32 \[1, 40\], got float32 \[40\]"):
        model(frames=good["frames"][0], memory=good["memory"])
    with pytest.raises(ValueError, match="frames: expected float32"):
        model(frames=good["frames"].astype(np.float64), memory=good["memory"])


@pytest.mark.parametrize(("content", "sentence"), [
    (b"", "not a TFLite file"),
    (b"RIFF0000WAVE", "not a TFLite file"),
])
def test_other_files_are_refused(tmp_path, content, sentence):
    path = tmp_path / "x.tflite"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=rf"x\.tflite: {sentence}"):
        TfliteModel(path)


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.tflite: cannot be read"):
        TfliteModel(tmp_path / "gone.tflite")


def test_the_runtime_has_a_name():
    assert runtime_name().split()[0] in ("tflite-runtime", "ai-edge-litert")


@pytest.mark.parametrize("package", ["tflite_runtime", "ai_edge_litert"])
@pytest.mark.parametrize("name", ["rdovae_encoder.tflite", "rdovae_decoder.tflite",
                                  "rdovae_decoder_rows.tflite", "rdovae_start.tflite", "plc_step.tflite"])
def test_both_runtimes_run_the_shipped_graphs_alike(monkeypatch, package, name):
    """Float maths: equal up to rounding, whichever runtime a Python version brings."""
    module = pytest.importorskip(f"{package}.interpreter", reason=f"this Python has no {package}")
    default = TfliteModel(weight_file(name))
    monkeypatch.setattr(runtime, "_interpreter_class", lambda: module.Interpreter)
    other = TfliteModel(weight_file(name))
    assert (other.inputs, other.outputs) == (default.inputs, default.outputs)
    rng = np.random.default_rng(0)
    inputs = {n: rng.standard_normal(s).astype(np.float32) for n, s in default.inputs.items()}
    for n, value in default(**inputs).items():
        np.testing.assert_allclose(other(**inputs)[n], value, rtol=1e-3, atol=2e-3)


def test_without_any_runtime_the_advice_is_clear(monkeypatch):
    monkeypatch.setitem(sys.modules, "tflite_runtime.interpreter", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    with pytest.raises(ModelError, match=r"^no TFLite runtime that works with numpy"):
        TfliteModel(weight_file("rdovae_start.tflite"))


_LOAD = """
import sys, threading
from dredge_models.registry import weight_file
from dredge_models.tflite.runtime import TfliteModel
threads = [threading.Thread(target=lambda: TfliteModel(weight_file("rdovae_start.tflite")))
           for _ in range(6)]
[t.start() for t in threads]
[t.join() for t in threads]
print("still heard", file=sys.stderr)
"""


def test_loading_leaves_stderr_clean_and_working():
    """The runtime greets on stderr; programs that print results there must not see it."""
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stderr == "still heard\n"


def test_loading_works_without_stderr():
    code = "import os; os.close(2)\n" + _LOAD.replace('print("still heard", file=sys.stderr)',
                                                      'print("done")')
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.stdout == "done\n"


@pytest.mark.parametrize(("version", "expected"), [("1.26.4", "tflite_runtime"), ("2.1.0", "ai_edge_litert")])
def test_runtime_fits_the_numpy_version(monkeypatch, version, expected):
    asked = []

    def load(name):
        asked.append(name.split(".")[0])
        return SimpleNamespace(Interpreter=name)

    monkeypatch.setattr(runtime, "import_module", load)
    monkeypatch.setattr(runtime.np, "__version__", version)
    assert runtime._interpreter_class() == f"{expected}.interpreter"
    assert asked == [expected]
