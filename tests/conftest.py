# SPDX-License-Identifier: BSD-2-Clause
"""No test sees the models or the calibration of the person who runs it, and none leaves any behind.

Nor does a test see how the suite was started: a shell gives what it runs in the background (`make test &`, nohup) an
ignored SIGINT or SIGHUP, and a program that is born with one cannot be interrupted, as the tests do.
"""

import os
import signal
import tempfile

_data = tempfile.TemporaryDirectory(prefix="dredge-tests-")
os.environ["XDG_DATA_HOME"] = _data.name
os.environ["DREDGE_CALIBRATION"] = "none"

for _number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    if signal.getsignal(_number) is signal.SIG_IGN:  # a handler does not survive exec, so children begin as usual
        signal.signal(_number, signal.default_int_handler if _number == signal.SIGINT else lambda *_: None)
