# SPDX-License-Identifier: BSD-2-Clause
"""Output at 48 kHz or in stereo: what received packets hold beyond 16 kHz mono is added to the receiver's speech.

    companion    decodes received packets once more, at the output's rate and channels
    side_queue   keeps that beside the speech while it is shortened and lengthened
    joining      the speech below 8 kHz, the rest above, the difference of the channels beside it
"""
