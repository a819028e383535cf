# SPDX-License-Identifier: BSD-2-Clause
"""Runs one .tflite graph with named inputs and outputs, on the installed runtime.

tflite-runtime (Python up to 3.11) and ai-edge-litert (Python 3.12 and later) have the same
interpreter; nothing else in the project imports either.
"""

import contextlib
import os
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dredge_models.registry import ModelError, ModelFile
from dredge_models.tflite import check

# tflite-runtime was built against NumPy 1 and cannot load beside NumPy 2; ai-edge-litert can use either.
RUNTIMES = ("tflite_runtime", "ai_edge_litert")


Along = tuple[NDArray[np.float32], NDArray[np.float32]]


def _interpreter_class() -> Any:
    usable = RUNTIMES if np.lib.NumpyVersion(np.__version__) < "2.0.0" else RUNTIMES[1:]
    for package in usable:
        try:
            return import_module(f"{package}.interpreter").Interpreter
        except ImportError:
            continue
    raise ModelError(f"no TFLite runtime that works with numpy {np.__version__}: install ai-edge-litert, "
                     "or tflite-runtime with numpy < 2 (Python 3.11 or older)")


_quiet = threading.Lock()


@contextlib.contextmanager
def _without_greeting() -> Iterator[None]:
    """Suppress the runtime's line "Created delegate", which its C++ code writes to stderr.

    Failures still raise exceptions. The lock keeps two threads from saving each other's redirected stderr.
    """
    with _quiet, contextlib.ExitStack() as stack:
        try:
            saved = os.dup(2)
        except OSError:              # there is no stderr (a service), so nothing to suppress
            yield
            return
        stack.callback(os.close, saved)
        null = os.open(os.devnull, os.O_WRONLY)
        stack.callback(os.close, null)
        stack.callback(os.dup2, saved, 2)
        os.dup2(null, 2)
        yield


def runtime_name() -> str:
    """Return the runtime in use and its version, for reports. Raises ModelError if there is none."""
    from importlib import metadata

    package = _interpreter_class().__module__.split(".")[0].replace("_", "-")
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return package


class TfliteModel:
    """A graph with float32 inputs [rows, n]; calls are not thread-safe, each uses one CPU thread.

    model = TfliteModel(weight_file(name)); outputs = model(frames=..., memory=...)
    """

    def __init__(self, source: Path | ModelFile) -> None:
        """Load a graph.

        source: a verified file, or the path of one that was just made. Raises ModelError if it is no valid graph. The
        runtime crashes on some hostile files, so only graphs that pass tflite/check.py are loaded.
        """
        file = source if isinstance(source, ModelFile) else ModelFile.of(Path(source))
        content = file.content
        if content[4:8] != b"TFL3":
            raise ModelError(f"{file.name}: not a TFLite file")
        try:
            check.check(content)
        except check.GraphError as error:
            raise ModelError(f"{file.name}: not a graph of ours ({error})") from None
        interpreter = _interpreter_class()
        try:
            with _without_greeting():
                self._run = interpreter(model_content=content, num_threads=1)
                self._run.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(f"{file.name}: not a usable TFLite graph ({error})") from None
        # The buffer is kept alive, because the interpreter reads the weights from it.
        self._content = content
        inputs, outputs = self._run.get_input_details(), self._run.get_output_details()
        self.inputs = {d["name"]: tuple(map(int, d["shape"])) for d in inputs}
        self.outputs = {d["name"]: tuple(map(int, d["shape"])) for d in outputs}
        self._in = {d["name"]: d["index"] for d in inputs}
        self._out = {d["name"]: d["index"] for d in outputs}

    def __call__(self, **inputs: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Run the graph once; every input by name, float32 of the graph's shape.

        Returns fresh arrays. ValueError for missing, unknown or wrongly shaped inputs.
        """
        if inputs.keys() != self._in.keys():
            raise ValueError(f"inputs: expected {sorted(self._in)}, got {sorted(inputs)}")
        for name, value in inputs.items():
            if value.shape != self.inputs[name] or value.dtype != np.float32:
                raise ValueError(f"{name}: expected float32 {list(self.inputs[name])}, "
                                 f"got {value.dtype} {list(value.shape)}")
            self._run.set_tensor(self._in[name], value)
        self._run.invoke()
        return {name: self._run.get_tensor(index) for name, index in self._out.items()}

    def along(self, name: str, rows: NDArray[np.float32], wanted: str, memory: NDArray[np.float32]) -> Along:
        """Run a graph with the inputs `name` and `memory` along the rows float32 [n, k] of `name`, as many per run as
        it takes; every run gets the `memory_out` of the one before.

        Returns the outputs `wanted` float32 [n, m] and the last memory. Raises ValueError for wrong shapes.
        """
        step, width = self.inputs[name]
        if rows.shape[1:] != (width,) or len(rows) % step or memory.shape != self.inputs["memory"]:
            raise ValueError(f"{name}: expected float32 [n, {width}], n a multiple of {step}, and a memory of "
                             f"{list(self.inputs['memory'])}, got {list(rows.shape)} and {list(memory.shape)}")
        run, given, kept = self._run, self._in[name], self._in["memory"]
        found, next_ = self._out[wanted], self._out["memory_out"]
        out = np.empty((len(rows), self.outputs[wanted][1]), np.float32)
        for i in range(0, len(rows), step):
            run.set_tensor(given, rows[i : i + step])
            run.set_tensor(kept, memory)
            run.invoke()
            out[i : i + step] = run.get_tensor(found)
            memory = run.get_tensor(next_)
        return out, memory
