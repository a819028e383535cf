# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of this folder share."""

import numpy as np
import pytest
import soundfile


@pytest.fixture(scope="session")
def speech(tmp_path_factory):
    """A file to stream: seconds -> path."""
    folder = tmp_path_factory.mktemp("speech")

    def make(seconds):
        path = folder / f"{seconds}.wav"
        if not path.exists():
            t = np.arange(int(16000 * seconds)) / 16000
            voice = 6000 * np.sin(2 * np.pi * 200 * t) * (1 + 0.4 * np.sin(2 * np.pi * 2 * t))
            soundfile.write(path, voice.astype(np.int16), 16000, "PCM_16")
        return path

    return make
