# SPDX-License-Identifier: BSD-2-Clause
"""Where live speech comes from: files, pipes, microphones. The other direction is dredge_device.pi.output."""
