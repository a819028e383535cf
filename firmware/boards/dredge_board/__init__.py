# SPDX-License-Identifier: BSD-2-Clause
# Programs for MicroPython boards (Raspberry Pi Pico W and Pico 2 W, ESP32), over the portable core dredge_device.
#
#   line     frames on a UART without allocation, the same bytes as dredge_device.framing
#   bridge   Wi-Fi UDP <-> UART
#   padding  where the redundancy is in an Opus packet
#   redhead  what the header of the redundancy says: level, slope, span
#   probe    a receiver that does not play: what was lost, and what of it could have been recovered
#   reports  answers to whoever asks how it goes
#   net      Wi-Fi and UDP sockets
#   app      reads dredge.json and runs the program named there
