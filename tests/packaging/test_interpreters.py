# SPDX-License-Identifier: BSD-2-Clause
"""Kernels belong to one interpreter of a process; another one is told so and nothing breaks."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

KERNELS = Path(__file__).parents[2] / "cython_kernels" / "dredge_kernels"
SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")
MODULES = sorted(f"dredge_kernels.{path.stem}" for path in KERNELS.glob("*.pyx") if path.with_suffix(SUFFIX).exists())
PRELUDE = """
import importlib, sys
try:
    import _interpreters as interpreters  # 3.13
except ImportError:
    import _xxsubinterpreters as interpreters  # 3.11 and 3.12

def elsewhere(code):
    "The exception that another interpreter ends with, as text; '' if it has none."
    guarded = f"import sys; sys.path[:0] = {sys.path!r}\\n" + code
    made = interpreters.create()
    try:
        failed = interpreters.run_string(made, guarded)
        return "" if failed is None else f"{failed.type.__name__}: {failed.msg}"
    except Exception as error:  # before 3.13: RunFailedError
        return str(error)
    finally:
        interpreters.destroy(made)
"""


def run(code):
    command = [sys.executable, "-W", "ignore", "-c", PRELUDE + code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, (done.returncode, done.stderr)  # a negative one would be a crash
    return done.stdout.splitlines()


def test_every_kernel_refuses_a_second_interpreter_and_goes_on_in_the_first():
    said = run(f"""
for name in {MODULES!r}:
    importlib.import_module(name)
for name in {MODULES!r}:
    print(elsewhere("import " + name))
from dredge_kernels.opus import OpusDecoder
print(len(OpusDecoder().conceal()))
""")
    assert len(said) == len(MODULES) + 1 and said[-1] == "320"
    for name, sentence in zip(MODULES, said[:-1], strict=True):
        assert "ImportError" in sentence and "interpreter" in sentence, (name, sentence)


def test_whoever_comes_first_may_have_the_kernels():
    """Where an interpreter may share the lock of the first one at all (before Python 3.12)."""
    first, second = run("""
print(elsewhere("from dredge_kernels.rangecoder import RangeEncoder; RangeEncoder(8)"))
print(elsewhere("import dredge_kernels.rangecoder"))
""")
    if sys.version_info < (3, 12):
        assert first == ""
    assert "ImportError" in second and "interpreter" in second


def test_no_kernel_claims_to_need_no_lock():
    """Objects rely on it (busy.pxd): on a free-threaded Python an import switches it on again, with a warning."""
    for path in [*KERNELS.glob("*.pyx"), *KERNELS.glob("*.pxd"), KERNELS.parents[1] / "setup.py"]:
        assert "freethreading_compatible" not in path.read_text(encoding="utf-8"), path
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        assert run("import dredge_kernels.rangecoder; print(sys._is_gil_enabled())") == ["True"]
