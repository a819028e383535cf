# SPDX-License-Identifier: BSD-2-Clause
"""A calibration: the costs measured on this machine, the choice that follows from them, and the file that keeps both.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dredge_device.pi.calibration.choice import CANDIDATES, Choice, choose
from dredge_device.pi.calibration.costs import PeriodCosts
from dredge_device.pi.calibration.measure import Measure, measure
from dredge_device.pi.machine import Machine
from dredge_device.pi.output.files import write_bytes
from dredge_device.pi.schema.documents import Calibrated, CalibrationKey

SCHEMA = "dredge.calibration/1"
GIVEN = "DREDGE_CALIBRATION"  # environment variable: the path of the file, or …
NOWHERE = "none"  # … this word, with which nothing is stored or read
_LARGEST = 65536  # bytes of a file


class Calibration(NamedTuple):
    """The costs of periods on one machine. key: the conditions they hold for; costs: by vocoder; cached: measured
    before.
    """

    key: CalibrationKey
    costs: dict[str, PeriodCosts]
    cached: bool = False

    @property
    def choice(self) -> Choice:
        """Return the choice that follows from the costs."""
        return choose(self.costs)

    def as_dict(self) -> Calibrated:
        """Return JSON values."""
        measured = {name: costs._asdict() for name, costs in self.costs.items()}
        return {"schema": SCHEMA, "key": self.key, "measured": measured, "cached": self.cached, **self.choice.as_dict()}

    def line(self) -> str:
        """Return one line for people."""
        choice, own = self.choice, self.costs[self.choice.vocoder]
        when = "measured before" if self.cached else "measured now"
        plain, first, following = (us / 1000 for us in (own.plain_us, own.first_us, own.next_us))
        return (
            f"vocoder '{choice.vocoder}', queue {choice.queue} periods, levels {', '.join(choice.levels)}, "
            f"{choice.streams} streams a core; {choice.why}; "
            f"ms of 20: received {plain:.2f}, in a gap {following:.1f}, its first {first:.1f} ({when})"
        )


def calibrate(
    machine: Machine | None = None, measure: Measure = measure, places: Sequence[Path] = (), anew: bool = False
) -> Calibration:
    """Return this machine's calibration: one that is kept in a file of `places` if nothing has changed, else measured
    now.

    What was measured is kept in the first of the places that can be written to. anew: measure in any case. Raises the
    models' errors.
    """
    key = key_of(machine or Machine())
    found = None if anew else kept(key, places)
    if found is not None:
        return found
    made = Calibration(key, measure(CANDIDATES))
    _keep(made, places)
    return made


def kept(key: CalibrationKey, places: Sequence[Path]) -> Calibration | None:
    """Return the calibration with this key from the first file that holds one, None without."""
    return next((found for path in places if (found := _read(path, key)) is not None), None)


def default_places() -> list[Path]:
    """Return the files where a calibration may be kept: the one that `dredge deploy` measured, the service's, the
    user's.
    """
    if os.environ.get(GIVEN) == NOWHERE:
        return []
    found = [Path(os.environ[GIVEN])] if os.environ.get(GIVEN) else []
    for name, below in (("CACHE_DIRECTORY", ""), ("STATE_DIRECTORY", ""), ("XDG_CACHE_HOME", "dredge")):
        folder = os.environ.get(name, "").partition(":")[0]
        if folder:
            found.append(Path(folder) / below / "calibration.json")
    home = os.path.expanduser("~")
    return [*found, Path(home) / ".cache/dredge/calibration.json"] if os.path.isabs(home) else found


def key_of(machine: Machine) -> CalibrationKey:
    """Return what the costs depend on: board, processor, kernels, models, libopus, Python, and this package's version.
    """
    from dredge_kernels.lpcnet import simd_level
    from dredge_kernels.opus import opus_version
    from dredge_models import registry

    facts = machine.facts()
    return {
        "board": facts["board"], "cpu": facts["cpu"], "cores": facts["cores"], "architecture": facts["architecture"],
        "governor": facts["governor"], "python": facts["python"], "simd": simd_level(),
        "models": registry.model_ids(), "opus": opus_version(), "version": _version(),
    }  # fmt: skip


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("dredge-audio")
    except PackageNotFoundError:
        return ""


def _read(path: Path, key: CalibrationKey) -> Calibration | None:
    """Return the calibration in a file, None if it was measured under other conditions."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(_LARGEST))
        if document["schema"] != SCHEMA or document["key"] != key or set(document["measured"]) != set(CANDIDATES):
            return None
        costs = {name: PeriodCosts.parse(document["measured"][name]) for name in CANDIDATES}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Calibration(key, costs, cached=True)


def _keep(made: Calibration, places: Sequence[Path]) -> None:
    for path in places:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_bytes(path, (json.dumps(made.as_dict(), indent=1) + "\n").encode())
        except OSError:
            continue
        return
