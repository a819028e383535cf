# SPDX-License-Identifier: BSD-2-Clause
"""Builds the compiled kernels and maps the four import packages onto the top-level folders."""

import os
from pathlib import Path

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

KERNELS = Path("cython_kernels/dredge_kernels")
C_DIR = "cython_kernels/c"

# No contraction and no reassociation: the synthesised samples must be the same on every board.
CFLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-Wall"]

# Contracts between the kernels' files are checked while they run (slower; for work on them).
DEBUG_MACROS = [("DREDGE_DEBUG", "1")] if os.environ.get("DREDGE_DEBUG") == "1" else []

# One wheel for every Python from 3.11 on (scripts/wheel.sh asks for it). In-place builds keep the interpreter's own
# API.
ABI3 = os.environ.get("DREDGE_ABI3") == "1"
ABI3_MACROS = [("Py_LIMITED_API", "0x030B0000")] if ABI3 else []

# Kernels that stop at the first over-read or undefined step, for scripts/fuzz.sh. -g1 has the lines; with the variables
# (-g) the scalar LPCNet takes ten times as long to compile.
SANITISERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-fno-omit-frame-pointer", "-g1",
              "-O1", "-fno-sanitize=pointer-overflow"]  # Cython adds 0 to null pointers, which clang reports
if os.environ.get("DREDGE_SANITIZE") == "1":
    CFLAGS += SANITISERS

# Extra C sources and libraries of single extensions; every other .pyx stands alone.
EXTRA: dict[str, dict[str, list[str]]] = {
    "opus": {"libraries": ["opus"]},
    "fargan": {"sources": ["vocoders/fargan.c"], "libraries": ["m"]},
    "features": {
        "sources": ["features/analysis.c", "features/pitch.c", "features/cepstrum.c", "features/fft320.c"],
        "libraries": ["m"],
    },
    "background": {
        "sources": ["features/background.c", "features/cepstrum.c", "features/fft320.c"],
        "libraries": ["m"],
    },
    "postfilter": {
        "sources": ["vocoders/postfilter.c", "lpcnet/frame.c", "common/arena.c", "features/cepstrum.c",
                    "features/fft320.c"],
        "libraries": ["m"],
    },
    "lpcnet": {
        "sources": [
            "lpcnet/lpcnet.c", "lpcnet/pack.c", "lpcnet/matrix.c", "lpcnet/frame.c",
            "lpcnet/levels/scalar.c", "lpcnet/levels/avx2.c", "lpcnet/levels/vnni.c", "lpcnet/levels/neon.c",
            "lpcnet/levels/dotprod.c",
            "common/arena.c", "common/cpu.c", "features/cepstrum.c", "features/fft320.c",
        ],
        "libraries": ["m"],
    },
}


def extension(path: Path) -> Extension:
    """One Extension for one .pyx, with the C sources it names in EXTRA."""
    extra = EXTRA.get(path.stem, {})
    sources = [str(path)] + [f"{C_DIR}/{name}" for name in extra.get("sources", [])]
    return Extension(
        f"dredge_kernels.{path.stem}",
        sources=sources,
        include_dirs=[numpy.get_include(), C_DIR],
        depends=[str(p) for p in Path(C_DIR).rglob("*.h")],
        define_macros=[("NPY_NO_DEPRECATED_API", "NPY_1_7_API_VERSION"), *ABI3_MACROS, *DEBUG_MACROS],
        py_limited_api=ABI3,
        extra_compile_args=CFLAGS,
        extra_link_args=[flag for flag in CFLAGS if flag.startswith("-fsanitize")],
        libraries=extra.get("libraries", []),
    )


def extensions() -> list[Extension]:
    """Every kernel, or only those named in DREDGE_ONLY=a,b (a quick rebuild while working on one), or none of them."""
    only = os.environ.get("DREDGE_ONLY", "")
    wanted = set(only.split(",")) if only else None
    paths = sorted(KERNELS.glob("*.pyx"))
    return [extension(p) for p in paths if wanted is None or p.stem in wanted]


PACKAGES = {
    "dredge_kernels": "cython_kernels",
    "dredge_models": "models",
    "dredge_device": "firmware",
    "dredge_host": "host",
}


def package_dirs() -> dict[str, str]:
    """Every import package (a folder with __init__.py below one of the four) and where it lies."""
    found = {}
    for name, folder in PACKAGES.items():
        for init in sorted(Path(folder, name).rglob("__init__.py")):
            found[".".join(init.parent.relative_to(folder).parts)] = str(init.parent)
    return found


setup(
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if ABI3 else {},
    package_dir=package_dirs(),
    packages=list(package_dirs()),
    include_package_data=False,  # else the generated C files, three times the wheel, would travel along
    package_data={
        "dredge_kernels": ["*.pyi", "*.pxd", "py.typed"],
        "dredge_models": ["py.typed", "weights/*"],
        "dredge_host": ["py.typed", "assets/*"],
        "dredge_device": ["py.typed"],
    },
    ext_modules=cythonize(
        extensions(),
        nthreads=os.cpu_count() or 1,
        language_level=3,
        compiler_directives={
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
    ),
)
