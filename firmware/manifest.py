# SPDX-License-Identifier: BSD-2-Clause
# For freezing into a firmware image (make FROZEN_MANIFEST=.../firmware/manifest.py in a MicroPython port).
# dredge_device/pi and __main__ are for CPython.
# ruff: noqa: F821
CORE = (
    "__init__", "agent", "budget", "bursts", "control", "delay", "feedback", "fragments", "framing", "jitter", "media",
    "playout", "rtcp", "rtp", "telemetry", "timeline", "units",
)  # fmt: skip

package("dredge_device", files=tuple(name + ".py" for name in CORE), opt=2)
package("dredge_board", base_path="boards", opt=2)
