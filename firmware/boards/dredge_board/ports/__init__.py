# SPDX-License-Identifier: BSD-2-Clause
# Ways off a board that not every board has.
#
#   radio      ESP-NOW: frames of 250 bytes between two ESP32
#   radioloop  the radio as a bridge to a UART
