# SPDX-License-Identifier: BSD-2-Clause
"""Opus streams of other programs' kind, made with the system's libopus: any bandwidth, mono or stereo."""

import ctypes
import ctypes.util

import numpy as np

FULLBAND, SUPERWIDEBAND, WIDEBAND = 1105, 1104, 1103
AUDIO, VOIP = 2049, 2048
RATE = 48000
_SET_BITRATE, _SET_MAX_BANDWIDTH, _SET_FORCE_CHANNELS, _SET_SIGNAL = 4002, 4004, 4022, 4024
_VOICE = 3001


class Coder:
    """libopus' encoder at 48 kHz."""

    def __init__(self, channels=1, application=AUDIO, bitrate=96000, bandwidth=FULLBAND):
        self._lib = ctypes.CDLL(ctypes.util.find_library("opus"))
        self._lib.opus_encoder_create.restype = ctypes.c_void_p
        error = ctypes.c_int()
        self._handle = ctypes.c_void_p(self._lib.opus_encoder_create(RATE, channels, application, ctypes.byref(error)))
        assert error.value == 0
        self.set(_SET_BITRATE, bitrate)
        self.bandwidth(bandwidth)

    def set(self, request, value):
        assert self._lib.opus_encoder_ctl(self._handle, request, ctypes.c_int(value)) == 0

    def voice(self):
        """Speech, whatever it sounds like: no music."""
        self.set(_SET_SIGNAL, _VOICE)
        return self

    def bandwidth(self, value):
        self.set(_SET_MAX_BANDWIDTH, value)

    def channels(self, value):
        self.set(_SET_FORCE_CHANNELS, value)

    def encode(self, pcm):
        """A packet of int16[960] or int16[960, 2]."""
        data = np.ascontiguousarray(pcm, np.int16)
        out = ctypes.create_string_buffer(4000)
        size = self._lib.opus_encode(
            self._handle, data.ctypes.data_as(ctypes.POINTER(ctypes.c_int16)), len(data), out, len(out)
        )
        assert size > 0
        return out.raw[:size]


def stream(pcm, coder):
    """Packets of 20 ms."""
    return [coder.encode(pcm[at : at + 960]) for at in range(0, len(pcm) - 959, 960)]


def reference(packets, rate=RATE, channels=1):
    """What libopus decodes of them, int16[n, channels]."""
    from dredge_kernels.opus import OpusDecoder

    decoder = OpusDecoder(rate, channels)
    return np.concatenate([decoder.decode(packet) for packet in packets]).reshape(-1, channels)


def sound(seconds, channels=1, seed=3):
    """Something with energy up to 18 kHz that changes slowly: int16[n] or int16[n, 2]."""
    rng = np.random.default_rng(seed)
    count = int(seconds * RATE)
    at = np.arange(count) / RATE
    out = np.zeros((count, channels))
    for channel in range(channels):
        for tone in (180, 440, 1300, 3100, 6300, 9500, 12700, 16100):
            phase, slow = rng.uniform(0, 6.28, 2)
            out[:, channel] += np.sin(2 * np.pi * tone * at + phase) * (1 + 0.5 * np.sin(2.1 * at + slow)) * 900
    return np.rint(out).astype(np.int16) if channels > 1 else np.rint(out[:, 0]).astype(np.int16)
