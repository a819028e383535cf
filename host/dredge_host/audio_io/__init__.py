# SPDX-License-Identifier: BSD-2-Clause
"""Sources of live speech: files, pipes, microphones. The other direction is dredge_device.pi.output."""
