# SPDX-License-Identifier: BSD-2-Clause
"""The part of libopus (1.3 or later) that opus.pyx calls. C names get a C in front of them here."""

from libc.stdint cimport int16_t, int32_t

cdef extern from "<opus/opus.h>" nogil:
    ctypedef struct CEncoder "OpusEncoder":
        pass
    ctypedef struct CDecoder "OpusDecoder":
        pass

    const char *opus_get_version_string()
    int opus_packet_get_nb_samples(const unsigned char *packet, int32_t size, int32_t rate)

    CEncoder *opus_encoder_create(int32_t rate, int channels, int application, int *error)
    void opus_encoder_destroy(CEncoder *encoder)
    int opus_encoder_ctl(CEncoder *encoder, int request, ...)
    int32_t opus_encode(CEncoder *encoder, const int16_t *pcm, int samples, unsigned char *packet,
                        int32_t room)

    CDecoder *opus_decoder_create(int32_t rate, int channels, int *error)
    void opus_decoder_destroy(CDecoder *decoder)
    int opus_decoder_ctl(CDecoder *decoder, int request, ...)
    int opus_decode(CDecoder *decoder, const unsigned char *packet, int32_t size, int16_t *pcm,
                    int samples, int fec)

    const int OPUS_INVALID_STATE, OPUS_INVALID_PACKET
    const int OPUS_APPLICATION_VOIP, OPUS_APPLICATION_AUDIO, OPUS_APPLICATION_RESTRICTED_LOWDELAY
    const int OPUS_SET_BITRATE_REQUEST, OPUS_SET_COMPLEXITY_REQUEST, OPUS_SET_INBAND_FEC_REQUEST
    const int OPUS_SET_PACKET_LOSS_PERC_REQUEST, OPUS_SET_DTX_REQUEST, OPUS_SET_VBR_REQUEST
    const int OPUS_SET_SIGNAL_REQUEST, OPUS_SIGNAL_VOICE
    const int OPUS_SET_BANDWIDTH_REQUEST, OPUS_BANDWIDTH_WIDEBAND
    const int OPUS_GET_LOOKAHEAD_REQUEST, OPUS_GET_FINAL_RANGE_REQUEST, OPUS_RESET_STATE


cdef class Coder:
    cdef bint busy                 # a call is running without the interpreter's lock
    cdef int request(self, int number, void *value, str what) except -1


cdef class OpusEncoder(Coder):
    cdef CEncoder *handle          # owned; NULL after close()
    cdef readonly int frame_samples
    cdef int set(self, int request, int value, str what) except -1


cdef class OpusDecoder(Coder):
    cdef CDecoder *handle          # owned; NULL after close()
    cdef readonly int rate
    cdef readonly int channels
    cdef object decode_into(self, bytes packet, int samples, bint fec, str what)
