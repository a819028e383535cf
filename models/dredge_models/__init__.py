# SPDX-License-Identifier: BSD-2-Clause
"""The neural parts of Dredge as objects. The packages below this one work on arrays only.

| module | content |
|---|---|
| `registry` | the shipped weights: manifest, checksums, `verify()`, `ModelError` |
| `tflite` | one TFLite graph, on tflite-runtime or ai-edge-litert |
| `rdovae` | features -> latents (encoder), latents -> features backwards in time (decoder) |
| `dred` | the payload that a sender adds to a packet, and the features that a receiver decodes from it |
| `plc` | prediction of features that no packet describes |
| `vocoder` | features -> speech |

Nothing is imported here, so that a program loads only the parts that it uses.
"""
