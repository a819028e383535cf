# SPDX-License-Identifier: BSD-2-Clause
# Microphone and loudspeaker of a board: I2S on one side, RTP packets of plain samples on the other
# (L16 at 16 kHz, mono, RFC 3551 section 4.5.11). The Pi at the other end encodes and recovers.
#
#   samples      sample formats, volume, insertion and removal of a sample
#   microphone   I2S -> packets
#   loudspeaker  packets -> I2S, at the board's own clock
#   audioloop    both of them, or one, over Wi-Fi, a UART or USB
