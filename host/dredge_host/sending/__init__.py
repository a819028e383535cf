# SPDX-License-Identifier: BSD-2-Clause
"""Speech as packets: audio files, the sender, loss models and the simulated network."""
