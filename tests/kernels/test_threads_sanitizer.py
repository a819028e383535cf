# SPDX-License-Identifier: BSD-2-Clause
"""The kernels' C files under ThreadSanitizer: many threads, one model, tables that all of them initialise."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
C_DIR = ROOT / "cython_kernels" / "c"
HARNESS = Path(__file__).with_name("threads.c")
FLAGS = ["-fsanitize=thread", "-g", "-O1", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Werror"]
RACE = 66  # exit status of a program in which ThreadSanitizer has found something
COMPILERS = ("gcc", "clang", "clang-14")


def sources():
    """The C files of every kernel that the harness uses, as setup.py names them."""
    tree = ast.parse((ROOT / "setup.py").read_text())
    extra = next(n.value for n in tree.body if isinstance(n, ast.AnnAssign) and n.target.id == "EXTRA")
    kernels = ast.literal_eval(extra)
    return sorted({name for kernel in ("lpcnet", "features", "postfilter") for name in kernels[kernel]["sources"]})


def run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def compiler(tmp_path_factory):
    """A compiler whose programs run under ThreadSanitizer here; not every kernel's address layout suits it."""
    folder = tmp_path_factory.mktemp("probe")
    (folder / "probe.c").write_text("int main(void) { return 0; }\n")
    for name in filter(shutil.which, COMPILERS):
        if run([name, "-fsanitize=thread", str(folder / "probe.c"), "-o", str(folder / name)]).returncode:
            continue
        if run([str(folder / name)]).returncode == 0:
            return name
    pytest.skip("needs a ThreadSanitizer that runs on this kernel: apt-get install clang libclang-rt-dev")


def build(compiler, folder, *more):
    program = folder / "threads"
    files = [str(C_DIR / name) for name in sources()]
    done = run([compiler, *FLAGS, *more, f"-I{C_DIR}", str(HARNESS), *files, "-lm", "-lpthread", "-o", str(program)])
    assert done.returncode == 0, done.stderr
    return program


def test_eight_threads_share_one_model_without_a_race(compiler, tmp_path):
    program = build(compiler, tmp_path)
    done = run([str(program), "8", "4"])
    assert done.returncode == 0, done.stderr[:3000]
    alone = run([str(program), "1", "4"])
    assert done.stdout == alone.stdout and done.stdout.startswith("same ")


def test_a_race_would_be_found(compiler, tmp_path):
    program = build(compiler, tmp_path, "-DBROKEN")
    done = run([str(program), "4", "4"])
    assert done.returncode == RACE and "data race" in done.stderr and "shared_room" in done.stderr
