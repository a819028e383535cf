# SPDX-License-Identifier: BSD-2-Clause
"""The processing of a talk's samples: levels, gain, mute, push-to-talk, half duplex, echo."""
