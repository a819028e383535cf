# SPDX-License-Identifier: BSD-2-Clause
"""libopus: encoder of 16 kHz mono speech with LBRR, decoder with FEC and missing-frame calls."""

import numpy as np

from libc.stdint cimport uint32_t

from dredge_kernels.busy cimport must_be_idle

from dredge_kernels.lbrr import packet_has_lbrr
from dredge_kernels.opuserrors import OpusError, OpusValueError, opus_error

SAMPLE_RATE = 16000
MAX_SAMPLES = 1920             # 120 ms, the longest packet
STEP_SAMPLES = 40              # 2.5 ms: a gap is a multiple of it
APPLICATIONS = {
    "voip": OPUS_APPLICATION_VOIP,
    "audio": OPUS_APPLICATION_AUDIO,
    "lowdelay": OPUS_APPLICATION_RESTRICTED_LOWDELAY,
}
FRAME_MS = (10, 20, 40, 60)
RATES = (8000, 12000, 16000, 24000, 48000)     # that a decoder gives

cdef enum:
    ROOM = 4096                # more than libopus writes for 60 ms (three frames of 1276 bytes)


cdef int check(int code, str what) except? -1:
    """Raise the exception for a negative return code of libopus; return other codes."""
    if code < 0:
        raise opus_error(code, what)
    return code


cdef int must_be_open(const void *handle, str what) except -1:
    """Raise OpusError after close()."""
    if handle is NULL:
        check(OPUS_INVALID_STATE, what)
    return 0


def opus_version():
    """Version string of the libopus in use."""
    return opus_get_version_string().decode()


def packet_samples(packet):
    """Duration of a packet in samples at 16 kHz."""
    cdef bytes data = bytes(packet)
    samples = check(opus_packet_get_nb_samples(data, <int32_t>len(data), 16000), "packet_samples")
    return samples or check(OPUS_INVALID_PACKET, "packet_samples")     # libopus lets 0 frames pass


cdef class Coder:
    """The common base of encoder and decoder; close() frees libopus' state."""

    cdef int request(self, int number, void *value, str what) except -1:
        """A request of libopus that takes nothing, or fills *value."""
        return check(OPUS_INVALID_STATE, what)

    @property
    def final_range(self):
        """State of the range coder after the last packet: encoder and decoder must agree."""
        cdef uint32_t value = 0
        self.request(OPUS_GET_FINAL_RANGE_REQUEST, &value, "final_range")
        return value

    def reset(self):
        """Forget all audio; settings stay."""
        self.request(OPUS_RESET_STATE, NULL, "reset")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()


cdef class OpusEncoder(Coder):
    """Encoder of 16 kHz mono int16 into wideband packets; see opus.pyi."""

    def __cinit__(self, bitrate=24000, complexity=9, lbrr=False, loss_pct=0, dtx=False,
                  application="voip", frame_ms=20, vbr=True):
        cdef int error = 0
        if application not in APPLICATIONS:
            names = ", ".join(APPLICATIONS)
            raise ValueError(f"application: expected one of {names}, got {application!r}")
        if frame_ms not in FRAME_MS:
            raise ValueError(f"frame_ms: expected one of {FRAME_MS}, got {frame_ms}")
        self.frame_samples = 16 * frame_ms
        self.handle = opus_encoder_create(16000, 1, APPLICATIONS[application], &error)
        check(error, "create encoder")
        self.set(OPUS_SET_SIGNAL_REQUEST, OPUS_SIGNAL_VOICE, "signal")
        self.set(OPUS_SET_BANDWIDTH_REQUEST, OPUS_BANDWIDTH_WIDEBAND, "bandwidth")
        self.set_bitrate(bitrate)
        self.set_complexity(complexity)
        self.set_lbrr(lbrr)
        self.set_loss_pct(loss_pct)
        self.set_dtx(dtx)
        self.set_vbr(vbr)

    def __dealloc__(self):
        if self.handle is not NULL:
            opus_encoder_destroy(self.handle)

    cdef int set(self, int request, int value, str what) except -1:
        must_be_open(self.handle, what)
        must_be_idle(self.busy, what)
        check(opus_encoder_ctl(self.handle, request, <int32_t>value), f"{what} = {value}")
        return 0

    cdef int request(self, int number, void *value, str what) except -1:
        must_be_open(self.handle, what)
        must_be_idle(self.busy, what)
        check(opus_encoder_ctl(self.handle, number, value), what)
        return 0

    def set_bitrate(self, value):
        """Speech rate in bits per second, 6000 to 256000."""
        if not 6000 <= value <= 256000:
            raise ValueError(f"bitrate: expected 6000 to 256000, got {value}")
        self.set(OPUS_SET_BITRATE_REQUEST, value, "bitrate")

    def set_complexity(self, value):
        """Effort, 0 to 10."""
        self.set(OPUS_SET_COMPLEXITY_REQUEST, value, "complexity")

    def set_lbrr(self, value):
        """In-band FEC on or off; it appears only with an expected loss above 0."""
        self.set(OPUS_SET_INBAND_FEC_REQUEST, bool(value), "lbrr")

    def set_loss_pct(self, value):
        """Expected packet loss in percent, 0 to 100."""
        self.set(OPUS_SET_PACKET_LOSS_PERC_REQUEST, value, "loss_pct")

    def set_dtx(self, value):
        """Discontinuous transmission on or off: in silence, packets of one or two bytes."""
        self.set(OPUS_SET_DTX_REQUEST, bool(value), "dtx")

    def set_vbr(self, value):
        """Variable or constant bitrate."""
        self.set(OPUS_SET_VBR_REQUEST, bool(value), "vbr")

    @property
    def lookahead(self):
        """Delay of the codec in samples at 16 kHz."""
        cdef int32_t value = 0
        self.request(OPUS_GET_LOOKAHEAD_REQUEST, &value, "lookahead")
        return value

    def encode(self, pcm):
        """Packet of one frame, int16 [frame_samples]."""
        cdef unsigned char[ROOM] packet
        cdef int size
        must_be_open(self.handle, "encode")
        array = np.asarray(pcm)
        if array.dtype != np.int16 or array.shape != (self.frame_samples,):
            raise ValueError(f"pcm: expected int16 [{self.frame_samples}], "
                             f"got {array.dtype} {list(array.shape)}")
        cdef const int16_t[::1] samples = np.array(array, order="C")
        must_be_idle(self.busy, "encode")
        self.busy = True
        with nogil:
            size = opus_encode(self.handle, &samples[0], self.frame_samples, packet, ROOM)
        self.busy = False
        check(size, "encode")
        return <bytes>(<char *>packet)[:size]

    def close(self):
        """Free the encoder; every later call raises OpusError."""
        must_be_idle(self.busy, "close")
        if self.handle is not NULL:
            opus_encoder_destroy(self.handle)
        self.handle = NULL


cdef class OpusDecoder(Coder):
    """Decoder of Opus packets to int16; see opus.pyi."""

    def __cinit__(self, rate=16000, channels=1):
        cdef int error = 0
        if rate not in RATES:
            raise ValueError(f"rate: expected one of {RATES}, got {rate}")
        if channels not in (1, 2):
            raise ValueError(f"channels: expected 1 or 2, got {channels}")
        self.rate, self.channels = rate, channels
        self.handle = opus_decoder_create(self.rate, self.channels, &error)
        check(error, "create decoder")

    def __dealloc__(self):
        if self.handle is not NULL:
            opus_decoder_destroy(self.handle)

    cdef int request(self, int number, void *value, str what) except -1:
        must_be_open(self.handle, what)
        must_be_idle(self.busy, what)
        check(opus_decoder_ctl(self.handle, number, value), what)
        return 0

    cdef object decode_into(self, bytes packet, int samples, bint fec, str what):
        """Decode (packet given) or conceal (None) exactly `samples` samples."""
        cdef const unsigned char *data = NULL
        cdef int32_t size = 0
        cdef int got
        must_be_open(self.handle, what)
        cdef int step = self.rate // 400
        if not 0 < samples <= 48 * step or samples % step:
            raise ValueError(f"samples: expected a multiple of {step} up to {48 * step}, got {samples}")
        if packet is not None:
            if not packet:
                raise ValueError("packet: expected at least 1 byte, got 0 (use conceal)")
            data, size = packet, <int32_t>len(packet)
        pcm = np.empty(samples * self.channels, np.int16)
        cdef int16_t[::1] out = pcm
        must_be_idle(self.busy, what)
        self.busy = True
        with nogil:
            got = opus_decode(self.handle, data, size, &out[0], samples, fec)
        self.busy = False
        check(got, what)
        return pcm[:got] if self.channels == 1 else pcm[:got * self.channels].reshape(got, self.channels)

    def set_complexity(self, value):
        """Effort of the decoder, 0 to 10; see opus.pyi."""
        if not 0 <= value <= 10:
            raise ValueError(f"complexity: expected 0 to 10, got {value}")
        must_be_open(self.handle, "complexity")
        must_be_idle(self.busy, "complexity")
        check(opus_decoder_ctl(self.handle, OPUS_SET_COMPLEXITY_REQUEST, <int32_t>value),
              f"decoder's complexity = {value}")

    def decode(self, packet):
        """All samples of a packet."""
        data = bytes(packet)
        samples = (packet_samples(data) if data else 320) * self.rate // SAMPLE_RATE
        return self.decode_into(data, samples, False, "decode")

    def decode_fec(self, packet, samples=320):
        """The lost frame before this packet, from the packet's LBRR; concealment if it has none."""
        return self.decode_into(bytes(packet), samples, True, "decode_fec")

    def conceal(self, samples=320):
        """libopus' own concealment of a missing stretch; the decoder's state advances."""
        return self.decode_into(None, samples, False, "conceal")

    def close(self):
        """Free the decoder; every later call raises OpusError."""
        must_be_idle(self.busy, "close")
        if self.handle is not NULL:
            opus_decoder_destroy(self.handle)
        self.handle = NULL
