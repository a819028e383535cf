# SPDX-License-Identifier: BSD-2-Clause
"""Folders in the layout of the PLC challenge, made by hand, for the tests that read them."""

from pathlib import Path

import numpy as np
import soundfile

SPEECH = soundfile.read(Path(__file__).parents[1] / "data" / "speech_short.flac", dtype="int16")[0]


def put(folder: Path, name: str, packets: float, trace: "str | None" = None, pcm: "np.ndarray | None" = None) -> Path:
    """`packets` packets of speech as name.wav, and beside it a trace of this text."""
    folder.mkdir(parents=True, exist_ok=True)
    speech = SPEECH[: int(320 * packets)] if pcm is None else pcm
    soundfile.write(folder / f"{name}.wav", speech, 16000)
    if trace is not None:
        (folder / f"{name}_is_lost.txt").write_text("\n".join(trace) + "\n")
    return folder
