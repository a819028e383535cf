# SPDX-License-Identifier: BSD-2-Clause
"""The vocoder FARGAN of libopus 1.5: its layers out of a blob, as the arrays of dredge_kernels.fargan."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.fargan import FLOATS, LAYERS
from dredge_models.libopus.blob import BlobError
from dredge_models.libopus.layers import ACTIVATION_STEPS, Layers
from dredge_models.tflite.matrix import Int8Rows

#: Names in the blob of our int8 layers; the GRUs follow a pattern.
_NAMES = {
    "conv1": "cond_net_fconv1", "dense2": "cond_net_fdense2", "first": "sig_net_fwc0_conv",
    "first_gate": "sig_net_fwc0_glu_gate", "skip": "sig_net_skip_dense", "skip_gate": "sig_net_skip_glu_gate",
    "out": "sig_net_sig_dense_out",
    **{f"gru{k}_in": f"sig_net_gru{k}_input" for k in (1, 2, 3)},
    **{f"gru{k}_own": f"sig_net_gru{k}_recurrent" for k in (1, 2, 3)},
    **{f"gru{k}_gate": f"sig_net_gru{k}_glu_gate" for k in (1, 2, 3)},
}  # fmt: skip
_WITHOUT_BIAS = ("_in", "_own")
_FLOATS = {"dense1": "cond_net_fdense1", "gain": "sig_net_cond_gain_dense", "gates": "sig_net_gain_dense_out"}


def has_fargan(names: list[str]) -> bool:
    """Return whether records of these names are FARGAN's."""
    return any(name.startswith("sig_net_fwc0") for name in names)


def read_arrays(layers: Layers) -> dict[str, NDArray]:
    """Return the arrays of a model. Raises BlobError naming the record that is missing or of another size."""
    periods, width = FLOATS["embed"]
    arrays: dict[str, NDArray] = {"embed": layers.linear("cond_net_pembed", periods, width).dense().T}
    for name, record in _FLOATS.items():
        shape = FLOATS[name]
        outputs, inputs = shape if len(shape) == 2 else (1, shape[0])
        layer = layers.linear(record, inputs, outputs)
        arrays[name], arrays[f"{name}_bias"] = layer.dense().reshape(shape), layer.bias
    for name, (inputs, outputs) in LAYERS.items():
        layer = layers.linear(_NAMES[name], inputs, outputs, bias=not name.endswith(_WITHOUT_BIAS))
        if not isinstance(layer.weight, Int8Rows):
            raise BlobError(f"{_NAMES[name]}: expected int8 weights, got float")
        arrays[name] = layer.weight.values
        arrays[f"{name}_scale"] = layer.weight.scales / np.float32(ACTIVATION_STEPS)
        arrays[f"{name}_bias"] = layer.bias
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
