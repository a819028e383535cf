# SPDX-License-Identifier: BSD-2-Clause
"""Arrays in, arrays out: the compiled parts of Dredge. No I/O, no policy.

Every module is imported by its own name, so that a missing library (libopus, for one) hurts only
the module which needs it.

    rangecoder   RFC 6716 range encoder and decoder        <- laplace, payload
    laplace      the quantised-value symbols of DRED       <- payload
    tables       QuantTables: what a model's quantiser needs to know (pure Python)
    payload      latents and state <-> DRED payload bytes
    extensions   Opus packet framing: padding extensions read, written, stripped
    opus         libopus: encoder, decoder with FEC and missing-frame calls
    features     18 cepstra, pitch and correlation per 10 ms; LPC from cepstra
    lpcnet       int8 LPCNet synthesis, with SIMD levels chosen at import

A module ``x`` is the triplet ``x.pyx`` (checks, conversions, loops), ``x.pxd`` (its C interface,
where other kernels use it) and ``x.pyi`` (what Python sees).
"""
