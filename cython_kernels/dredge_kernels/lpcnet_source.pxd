# SPDX-License-Identifier: BSD-2-Clause
"""From checked arrays (lpcnet_weights) to the C structures that lpcnet/pack.c reads. They point into the arrays."""

from libc.stdint cimport int8_t, uint8_t, uint16_t

from dredge_kernels.lpcnet cimport lf_layer, lf_source, ln_blocks, ln_net


cdef inline const float *_f(dict a, str name):
    cdef const float[::1] v = a[name].reshape(-1)
    return &v[0]


cdef inline const int8_t *_i8(dict a, str name):
    cdef const int8_t[::1] v = a[name].reshape(-1)
    return &v[0] if v.shape[0] else NULL


cdef inline void matrix_of(dict a, str name, int outputs, int inputs, ln_blocks *m):
    cdef const uint8_t[::1] column = a[name + "_column"]
    cdef const uint16_t[::1] count = a[name + "_count"]
    m.outputs, m.inputs = outputs, inputs
    m.blocks = _i8(a, name + "_blocks")
    m.column = &column[0] if column.shape[0] else NULL
    m.count = &count[0]
    m.scale = _f(a, name + "_scale")


cdef inline void net_of(dict a, ln_net *n):
    n.hidden_a, n.hidden_b = len(a["bias_a"]), len(a["bias_b"])
    n.table, n.table_scale = _i8(a, "table"), _f(a, "table_scale")
    n.table_b, n.table_b_scale = _i8(a, "table_b"), _f(a, "table_b_scale")
    n.bias_a, n.bias_b = _f(a, "bias_a"), _f(a, "bias_b")
    matrix_of(a, "recur_a", 3 * n.hidden_a, n.hidden_a, &n.recur_a)
    matrix_of(a, "input_b", 6 * n.hidden_b, n.hidden_a, &n.input_b)
    matrix_of(a, "recur_b", 3 * n.hidden_b, n.hidden_b, &n.recur_b)
    n.tree, n.tree_scale = _i8(a, "tree"), _f(a, "tree_scale")
    n.tree_bias, n.tree_gain = _f(a, "tree_bias"), _f(a, "tree_gain")


cdef inline const uint16_t *_f16(dict a, str name):
    cdef const uint16_t[::1] v = a[name].reshape(-1).view("uint16")
    return &v[0]


cdef inline void _layer(dict a, str name, lf_layer *layer):
    layer.inputs, layer.outputs = a[name].shape
    layer.weight = _f16(a, name)
    layer.bias = _f(a, name + "_bias")


cdef inline void frame_net_of(dict a, lf_source *f):
    f.features, f.embedding = 20, a["pitch"].shape[1]
    f.pitch = _f16(a, "pitch")
    _layer(a, "conv1", &f.conv1)
    _layer(a, "conv2", &f.conv2)
    _layer(a, "dense1", &f.dense1)
    _layer(a, "dense2", &f.dense2)
    _layer(a, "cond_a", &f.cond_a)
    _layer(a, "cond_b", &f.cond_b)
