#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sends a speech file through a lossy link offline, twice, and says what filled the gaps.

python examples/simulate_wav.py in.wav with_dred.wav without.wav
"""

import sys

from dredge_host.offline.simulate import simulate
from dredge_host.sending.audio import read_audio, write_audio
from dredge_host.settings import Settings

LOSS = "gilbert:rate=20%,burst=5,max=15"


def main(source: str, recovered: str, concealed: str) -> None:
    speech = read_audio(source).pcm  # int16[n], 16 kHz mono
    for target, settings in (
        (recovered, Settings(loss=LOSS, seed=7, redundancy_s=1.0, conceal="dred")),
        (concealed, Settings(loss=LOSS, seed=7, redundancy_s=0.0, conceal="opus")),
    ):
        run = simulate(speech, settings)
        write_audio(target, run.pcm)  # as long as the input and aligned with it
        filled = {name: count for name, count in run.result["frames"].items() if count}
        print(f"{target}: {run.result['bitrate_total_bps'] / 1000:.1f} kb/s, packets {filled}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} IN.wav RECOVERED.wav CONCEALED.wav")
    main(*sys.argv[1:])
