# SPDX-License-Identifier: BSD-2-Clause
"""Runs every part of the installed package once and prints what came out, as JSON.

Run on two machines, the documents can be compared (test_emulated_wheel.py). Usage: facts.py SPEECH SECONDS
"""

import hashlib
import json
import platform
import sys

import numpy as np


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def where():
    """Version of the machine, and where the code came from: the wheel, not a checkout."""
    import dredge_kernels.lpcnet as lpcnet
    from dredge_kernels.opus import opus_version
    from dredge_models import registry

    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opus": opus_version(),
        "levels": list(lpcnet.simd_levels()),
        "files": [lpcnet.__file__, registry.__file__],
        "problems": [str(problem) for problem in registry.verify()],
    }


def features(pcm):
    from dredge_kernels.features import FeatureExtractor

    return FeatureExtractor().process(pcm[: len(pcm) // 160 * 160])


def payload(pcm):
    """The DRED payload of 1 s that a sender would write after this speech, and what a receiver reads in it."""
    from dredge_models.dred import DredDecoder, DredEncoder

    encoder = DredEncoder(lookahead=104)
    for start in range(0, len(pcm) - 319, 320):
        encoder.push(pcm[start : start + 320])
    data = encoder.payload(1.0)
    decoder = DredDecoder()
    packet = decoder.parse(data)
    return data, decoder.features(packet, packet.span_frames)


def speech(rows):
    """20 frames of the vocoder, primed with silence, at the level in use."""
    from dredge_models.vocoder import Vocoder

    vocoder = Vocoder()
    vocoder.begin(np.zeros(1600, np.int16), np.repeat(rows[:1], 10, axis=0))
    return vocoder.synthesise(rows[:24])


def session(pcm):
    """A whole simulation through burst losses."""
    from dredge_host.offline.simulate import simulate
    from dredge_host.settings import Settings

    run = simulate(pcm, Settings(loss="gilbert:rate=20%,burst=4", seed=3, playout_ms=400))
    return run.pcm, run.result


def main(path, seconds):
    import soundfile

    pcm = soundfile.read(path, dtype="int16")[0][: int(16000 * float(seconds))]
    rows = features(pcm)
    data, decoded = payload(pcm)
    loud = rows[40:64]
    played, result = session(pcm)
    facts = {
        "where": where(),
        "features": digest(rows),
        "features_sample": rows[::25].ravel().tolist(),
        "payload": data.hex(),
        "decoded_shape": list(decoded.shape),
        "decoded": decoded[::7].ravel().tolist(),
        "vocoder": digest(speech(np.ascontiguousarray(np.round(loud * 64) / 64, np.float32))),
        "frames": result["frames"],
        "played_samples": len(played),
        "played_rms": float(np.sqrt(np.mean(played.astype(np.float64) ** 2))),
    }
    json.dump(facts, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
