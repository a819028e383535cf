# SPDX-License-Identifier: BSD-2-Clause
"""Arrays in, arrays out: the compiled parts of Dredge. No I/O, no policy.

Every module is imported by its own name, so that a missing library (libopus, for one) hurts only
the module which needs it.

    rangecore, rangecoder     RFC 6716 range encoder and decoder (C interface; Python objects)
    laplace, quantiser        the symbols of DRED; floats <-> symbols, level by age
    tables, decoded           QuantTables; what a payload says (pure Python)
    payloadheader, payload    latents and state <-> DRED payload bytes (docs/reference/bitstream.md)
    layout, framing           Opus packets taken apart: positions (C interface); Python objects
    extensions                what is in their padding
    lbrr, opuserrors, opus    libopus: encoder, decoder with FEC and missing-frame calls
    features                  18 cepstra, pitch and correlation per 10 ms; LPC from cepstra
    arrays                    names of the arrays that go through every part (pure Python)
    lpcnet                    int8 LPCNet synthesis, with SIMD levels chosen at import

A module ``x`` is the triplet ``x.pyx`` (checks, conversions, loops), ``x.pxd`` (its C interface,
where other kernels use it) and ``x.pyi`` (what Python sees).
"""
