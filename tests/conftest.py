# SPDX-License-Identifier: BSD-2-Clause
"""No test sees the models or the calibration of the person who runs it, and none leaves any behind."""

import os
import tempfile

_data = tempfile.TemporaryDirectory(prefix="dredge-tests-")
os.environ["XDG_DATA_HOME"] = _data.name
os.environ["DREDGE_CALIBRATION"] = "none"
