# SPDX-License-Identifier: BSD-2-Clause
"""Real packets of real speech for the state machines, made once, and how loud a lossless decoder plays them."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import numpy as np

from dredge_host.sending.audio import packets, read_audio
from dredge_host.sending.sender import Sender
from dredge_kernels.opus import OpusDecoder

# How loud recovered speech may be, by the rule of `dredge evaluate --robustness`.
FLOOR_DBFS, LIMIT_DB, AROUND = -60.0, 6.0, 2  # silence; above the loudest clean packet; packets nearby on either side

CLIP = Path(__file__).parents[1] / "data" / "speech_short.flac"
KINDS = ("plain", "dred", "lbrr", "dtx", "muted")
_OPTIONS = {
    "plain": {"redundancy_s": 0.0},
    "dred": {"redundancy_s": 1.0},
    "lbrr": {"redundancy_s": 0.4, "lbrr": True},
    "dtx": {"redundancy_s": 0.5, "dtx": True},
    "muted": {"redundancy_s": 1.0, "dtx": True},
}  # fmt: skip
_MUTED = range(60, 130)  # packets of the stream "muted" in which the speaker is


def level(pcm):
    """RMS of int16 samples in dBFS, not below the floor under which everything is silence."""
    power = np.mean((pcm.astype(np.float64) / 32768.0) ** 2)
    return max(10.0 * float(np.log10(power + 1e-12)), FLOOR_DBFS)


class Stream:
    """The payloads of one sender, b"" in the periods in which it sends nothing; they repeat for ever."""

    def __init__(self, kind):
        speech = read_audio(CLIP).pcm
        if kind == "dtx":
            speech = np.concatenate((speech[:32000], np.zeros(24000, np.int16), speech[32000:]))
        with Sender(**_OPTIONS[kind]) as sender:
            self.payloads = [self._payload(sender, kind, n, pcm) for n, pcm in enumerate(packets(speech))]
        self._levels = self._clean_levels()
        self._periods = defaultdict(list)
        for index, payload in enumerate(self.payloads):
            if payload:
                self._periods[payload].append(index)

    @staticmethod
    def _payload(sender, kind, number, pcm):
        sender.mute(kind == "muted" and number in _MUTED)
        return sender.push(pcm).data[12:]

    def payload(self, period):
        return self.payloads[period % len(self.payloads)]

    def around(self, payload, back=0):
        """The loudest clean packet nearby: from ``back`` periods before this one's neighbourhood to its end."""
        count = len(self._levels)
        near = [
            self._levels[k % count]
            for index in self._periods.get(payload, ())
            for k in range(index - min(back, count) - AROUND, index + AROUND + 1)
        ]
        return max(near, default=None)

    def _clean_levels(self):
        """Of two rounds, because the decoder hears the first packets after the last ones."""
        decoder = OpusDecoder()
        rounds = [[level(decoder.decode(p) if p else decoder.conceal(320)) for p in self.payloads] for _ in "12"]
        return np.max(rounds, axis=0)


@cache
def stream(kind):
    return Stream(kind)
