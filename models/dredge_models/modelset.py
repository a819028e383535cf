# SPDX-License-Identifier: BSD-2-Clause
"""An RDO-VAE with its quantiser tables, shipped or imported by the user, found by its version byte."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from dredge_kernels.tables import QuantTables
from dredge_models import registry
from dredge_models.registry import DRED_VERSION, ModelError, ModelFile

ENCODER, DECODER, START = "rdovae_encoder.tflite", "rdovae_decoder.tflite", "rdovae_start.tflite"
DECODER_ROWS = "rdovae_decoder_rows.tflite"  # several steps in one call; imported models have none
TABLES = "rdovae_tables.npz"
FARGAN, FARGAN_ID = "fargan.npz", "libopus-fargan"
_ADVICE = "import it again: dredge models import"


@dataclass(frozen=True)
class ModelSet:
    """The files of one model: its graphs and the quantiser tables."""

    id: str
    version: int              #: DRED version byte of its streams
    folder: Path | None       #: None: among the shipped weights

    def file(self, name: str) -> ModelFile:
        """Return a file of the model, checked against its manifest. Raises ModelError when it is missing or damaged."""
        return registry.weight_file(name) if self.folder is None else _checked(self.folder, name)

    def has(self, name: str) -> bool:
        """Return whether the model comes with this file; an imported one may lack DECODER_ROWS."""
        return self.folder is None or (self.folder / name).is_file()

    @property
    def tables(self) -> QuantTables:
        """Its quantiser tables; ModelError when their file is damaged."""
        arrays = self.file(TABLES).arrays()
        try:
            return QuantTables.from_arrays(self.version, arrays)
        except (KeyError, ValueError) as error:
            raise ModelError(f"{TABLES}: not usable as quantiser tables ({error})") from None


SHIPPED = ModelSet("shipped", DRED_VERSION, None)


def user_folder() -> Path | None:
    """Return the folder of imported models: $XDG_DATA_HOME/dredge/models, by default below ~/.local/share.

    None for a user without a home (a service, a container's user id), who has no such folder.
    """
    data = os.environ.get("XDG_DATA_HOME")
    try:
        base = Path(data) if data else Path.home() / ".local" / "share"
    except RuntimeError:
        return None
    return base / "dredge" / "models"


def imported() -> list[ModelSet]:
    """Return the user's models by id; a damaged folder is left out (`problems` names it)."""
    found = []
    for folder in folders():
        try:
            found.append(_open(folder))
        except ModelError:
            continue
    return found


def problems() -> list[registry.Problem]:
    """Return the faults of the user's models, empty if there are none."""
    out = []
    for folder in folders():
        found = registry.verify(folder)
        out += [registry.Problem(f"{folder.name}/{p.file}", p.text) for p in found]
    return out


def find(version: int) -> ModelSet | None:
    """Return the model for streams of this DRED version: ours, an imported one, or None."""
    if version == DRED_VERSION:
        return SHIPPED
    return next((model for model in imported() if model.version == version), None)


def versions() -> frozenset[int]:
    """Return the DRED versions that can be decoded here."""
    return frozenset({DRED_VERSION, *(model.version for model in imported())})


def fargan_file() -> ModelFile:
    """Return the imported FARGAN vocoder, checked against its manifest. Raises ModelError when there is none, or it is
    damaged.
    """
    folder = next((place for place in folders() if place.name == FARGAN_ID), None)
    if folder is None:
        raise ModelError("no FARGAN vocoder here: bring libopus' own with `dredge models import fargan.bin`")
    return _checked(folder, FARGAN)


def folders() -> list[Path]:
    """Return the folders of the user's models, damaged ones too."""
    root = user_folder()
    try:
        if root is None or not root.is_dir():
            return []
        return sorted(p for p in root.iterdir() if p.is_dir() and not p.name.startswith("."))
    except OSError:  # a home folder without read permission
        return []


def _open(folder: Path) -> ModelSet:
    content = registry.read_manifest(folder)
    files = {entry["file"]: entry for entry in content["files"]}
    missing = [name for name in (ENCODER, DECODER, START, TABLES) if name not in files]
    version = files.get(TABLES, {}).get("version")
    if missing or not isinstance(version, int):
        raise ModelError(f"{folder.name}: manifest.json does not describe an RDO-VAE; {_ADVICE}")
    return ModelSet(folder.name, version, folder)


def _checked(folder: Path, name: str) -> ModelFile:
    try:
        return registry.checked(folder, name)
    except ModelError as error:
        raise ModelError(f"{folder.name}/{error}; {_ADVICE}") from None
