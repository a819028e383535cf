# SPDX-License-Identifier: BSD-2-Clause
"""What is done to the samples of a talk: levels, gain, mute, push-to-talk, half duplex, echo."""
