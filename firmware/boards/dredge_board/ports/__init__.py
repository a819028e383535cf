# SPDX-License-Identifier: BSD-2-Clause
# Transports that only some boards have.
#
#   radio      ESP-NOW: frames of 250 bytes between two ESP32
#   radioloop  the radio as a bridge to a UART
