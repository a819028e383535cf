# SPDX-License-Identifier: BSD-2-Clause
# Programs for MicroPython boards (Raspberry Pi Pico W and Pico 2 W, ESP32), over the portable core dredge_device.
#
#   app           reads dredge.json and runs the program named there
#   bridge        Wi-Fi UDP <-> UART, with bridgeloop
#   audio         microphone and loudspeaker on I2S; the Pi at the other end encodes and recovers
#   ports         ESP-NOW as a radio that loses datagrams
#   probe         a receiver that does not play: what was lost, and what of it could have been recovered; with probeloop
#   mainloop      what the main loops of all programs share
#   padding       where the redundancy is in an Opus packet
#   dred_header   what the header of the redundancy says: level, slope, span
#   reports       answers to requests for reports
#   uart_framing  frames on a UART without allocation, the same bytes as dredge_device.framing
#   udp           Wi-Fi and UDP sockets
#   viper         the names of MicroPython's viper compiler, for other Pythons
