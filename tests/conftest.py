# SPDX-License-Identifier: BSD-2-Clause
"""No test sees the models that the person who runs it has imported, and none leaves one behind."""

import os
import tempfile

_data = tempfile.TemporaryDirectory(prefix="dredge-tests-")
os.environ["XDG_DATA_HOME"] = _data.name
