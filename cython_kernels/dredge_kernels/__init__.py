# SPDX-License-Identifier: BSD-2-Clause
"""The compiled parts of Dredge: functions of arrays, without I/O and without decisions.

Every module is imported by its own name, so that a missing library (libopus, for one) affects only
the module that needs it.

    rangecore, rangecoder     RFC 6716 range encoder and decoder (C interface; Python objects)
    laplace, quantiser        the symbols of DRED; floats <-> symbols, level by age
    tables, decoded           QuantTables; the contents of a payload (pure Python)
    payloadheader, payload    latents and state <-> DRED payload bytes (docs/reference/bitstream.md)
    layout, framing           Opus packets taken apart: positions (C interface); Python objects
    extensions                the extensions in the padding of packets
    lbrr, opuserrors, opus    libopus: encoder, decoder with FEC and missing-frame calls
    features                  18 cepstra, pitch and correlation per 10 ms; LPC from cepstra
    arrays                    names of the arrays that go through every part (pure Python)
    lpcnet                    int8 LPCNet synthesis, with SIMD levels chosen at import

A module ``x`` is the triplet ``x.pyx`` (checks, conversions and loops), ``x.pxd`` (its C interface,
where other kernels use it) and ``x.pyi`` (what Python sees).
"""
