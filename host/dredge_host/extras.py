# SPDX-License-Identifier: BSD-2-Clause
"""Optional packages: what each extra brings, how to name it in a message, and how to install it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, metadata, requires

from packaging.requirements import Requirement

from dredge_host.errors import CapabilityError, UsageError

DISTRIBUTION = "dredge-audio"
PURPOSES = {
    "metrics": "PLCMOS, ESTOI and word errors for `dredge evaluate`",
    "judge": "PESQ, and PLCMOS by 500 raters, for `dredge evaluate`",
    "report": "figures and plots",
    "mqtt": "`--status mqtt://…`, for home automation",
    "gateway": "`dredge gateway`, a browser at one end of a talk",
    "containers": "`dredge inspect` and `simulate` of WebM, Matroska and MP4",
    "cluster": "`dredge evaluate --scheduler`",
    "import": "import of libopus' models",
    "boards": "`dredge deploy --board`",
    "train": "the trainers of all models",
    "docs": "`make site`, the documents as a site",
    "dev": "tests, linters and build tools",
    "fuzz": "coverage-guided fuzzing",
}


def names() -> list[str]:
    """Return every extra of the installed distribution, alphabetically. Raises CapabilityError without its metadata."""
    try:
        return sorted(metadata(DISTRIBUTION).get_all("Provides-Extra") or [])
    except PackageNotFoundError:
        raise CapabilityError(
            f"the package {DISTRIBUTION} is not installed for {sys.executable}; run `make setup` in the checkout"
        ) from None


def requirements(extra: str) -> list[str]:
    """Return the requirement strings (PEP 508) that this extra adds on this machine, those of extras it names included.

    Raises UsageError for an unknown extra.
    """
    known = names()
    if extra not in known:
        raise UsageError(f"extra is '{extra}', expected one of {', '.join(known)}")
    found: dict[str, None] = {}
    for text in requires(DISTRIBUTION) or []:
        wanted = Requirement(text)
        marker = wanted.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        if _normal(wanted.name) == DISTRIBUTION:
            for other in sorted(wanted.extras):
                found.update(dict.fromkeys(requirements(other)))
            continue
        found[f"{wanted.name}{_bracket(wanted.extras)}{wanted.specifier}"] = None
    return list(found)


def missing(extra: str) -> list[str]:
    """Return those of `requirements(extra)` that are not installed in a suitable version."""
    return [text for text in requirements(extra) if not _installed(Requirement(text))]


def add(extra: str, dry_run: bool = False) -> list[str]:
    """Install what is missing of an extra with this interpreter's pip; return what was (or would be) installed.

    Raises UsageError for an unknown extra, CapabilityError when pip fails.
    """
    wanted = missing(extra)
    if wanted and not dry_run:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *wanted, *_held()]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise CapabilityError(f"pip could not install {', '.join(wanted)} (exit code {done.returncode}); see above")
    return wanted


def _held() -> list[str]:
    """Return the distribution's own version ranges, so that an extra does not replace NumPy by one that does not fit.
    """
    texts = [Requirement(text) for text in requires(DISTRIBUTION) or []]
    base = [r for r in texts if r.marker is None or r.marker.evaluate({"extra": ""})]
    return [f"{r.name}{r.specifier}" for r in base if _normal(r.name) == "numpy"]


def _installed(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(metadata(wanted.name)["Version"], prereleases=True)
    except PackageNotFoundError:
        return False


def _bracket(extras: Sequence[str] | set[str]) -> str:
    return f"[{','.join(sorted(extras))}]" if extras else ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
