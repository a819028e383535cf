# SPDX-License-Identifier: BSD-2-Clause
"""The neural parts of Dredge as objects; everything below this package is arrays in, arrays out.

| module | what it holds |
|---|---|
| `registry` | the shipped weights: manifest, checksums, `verify()`, `ModelError` |
| `tflite` | one TFLite graph, on tflite-runtime or ai-edge-litert |
| `rdovae` | features -> latents (encoder), latents -> features backwards in time (decoder) |
| `dred` | what a sender adds to a packet, and what a receiver gets out of it |
| `plc` | guesses features that no packet describes |
| `vocoder` | features -> speech |

Nothing is imported here: a program pays only for the parts it uses.
"""
