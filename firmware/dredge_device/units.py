# SPDX-License-Identifier: BSD-2-Clause
# Units of the whole system, declared once. A frame is 10 ms (one row of features), a packet 20 ms.

SAMPLE_RATE = 16000  # of all speech, Hz
FRAME_SAMPLES = 160  # 10 ms
PACKET_SAMPLES = 320  # 20 ms
PACKET_MS = 20
PACKET_US = 20000
PACKET_SECONDS = 0.02
RTP_CLOCK_HZ = 48000  # RTP clock of Opus, whatever the sample rate (RFC 7587 section 4.1)
RTP_TICKS_PER_PACKET = 960  # 20 ms of that clock

CONCEAL_MODES = ("dred", "plc", "opus")  # the best means that a receiver may use against losses
