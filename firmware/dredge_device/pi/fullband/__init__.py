# SPDX-License-Identifier: BSD-2-Clause
"""Output at 48 kHz or in stereo: the part of received packets beyond 16 kHz mono is added to the receiver's speech.

    companion    decodes received packets once more, at the output's rate and channels
    side_queue   keeps that signal in step with the speech while the speech is shortened and lengthened
    joining      joins the speech below 8 kHz, the decoded packets above, and the difference of the channels
"""
