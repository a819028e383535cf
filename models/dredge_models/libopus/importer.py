# SPDX-License-Identifier: BSD-2-Clause
"""The import of libopus' model files as a model of ours in the user's data folder (docs/reference/interop.md)."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from dredge_kernels.tables import QuantTables
from dredge_models import modelset, registry
from dredge_models.libopus import fargan, rdovae
from dredge_models.libopus import tables as libopus_tables
from dredge_models.libopus.blob import BlobError, Record, is_blob, read_blob, read_file
from dredge_models.libopus.layers import Layers
from dredge_models.modelset import (
    DECODER,
    ENCODER,
    FARGAN,
    FARGAN_ID,
    START,
    TABLES,
    ModelSet,
)
from dredge_models.registry import ModelError

Step = Callable[[int, int], None]
Job = tuple[str, str, Callable[[], bytes]]      #: file name, kind, content


@dataclass
class Sources:
    """The content of the given files."""

    records: dict[str, Record] = field(default_factory=dict)
    tables: QuantTables | None = None
    sums: dict[str, str] = field(default_factory=dict)     #: file name -> SHA-256

    @property
    def names(self) -> str:
        """The files in one string, for messages."""
        return ", ".join(self.sums)


def read_sources(paths: list[Path]) -> Sources:
    """Read blobs and tables in any order; BlobError for files that are neither, damaged or contradictory."""
    found = Sources()
    for path in paths:
        data = read_file(path)
        found.sums[path.name] = hashlib.sha256(data).hexdigest()
        if is_blob(data):
            records = read_blob(data, path.name)
            twice = found.records.keys() & records.keys()
            if twice:
                raise BlobError(f"{path.name}: record {min(twice)} is in an earlier file too")
            found.records.update(records)
        elif libopus_tables.is_tables(data):
            if found.tables is not None:
                raise BlobError(f"{path.name}: quantiser tables are in an earlier file too")
            found.tables = libopus_tables.read_tables(data, path.name)
        else:
            raise BlobError(f"{path.name}: expected a libopus weight blob or its quantiser tables, got neither")
    return found


def import_rdovae(sources: Sources, root: Path | None = None, step: Step | None = None) -> ModelSet:
    """Write encoder, decoder and tables as one model folder, complete or not at all; return the model.

    An earlier import of the same version is replaced. step(done, total) reports progress. Raises BlobError when
    something is missing, ModelError without the packages that write TFLite, OSError when the folder cannot be written.
    """
    generation, encoder, decoder, tables = _parts(sources)
    graphs = _graphs()
    name = f"libopus-rdovae-{generation.version}"
    about = {
        "id": name,
        "title": f"RDO-VAE of libopus {generation.release}, imported",
        "version": generation.version,
    }
    folder = _store(root, about, sources, step, [
        (ENCODER, "tflite", lambda: graphs.encoder_graph(encoder).to_bytes()),
        (DECODER, "tflite", lambda: graphs.decoder_graph(decoder, generation).to_bytes()),
        (START, "tflite", lambda: graphs.start_graph(decoder).to_bytes()),
        (TABLES, "tables", lambda: _npz(tables.to_arrays())),
    ])  # fmt: skip
    return ModelSet(name, generation.version, folder)


def import_fargan(sources: Sources, root: Path | None = None, step: Step | None = None) -> Path:
    """Write the vocoder FARGAN as a model folder, complete or not at all; return the folder.

    Raises BlobError when a layer is missing or of another size, OSError when the folder cannot be written.
    """
    arrays = fargan.read_arrays(Layers(sources.records, sources.names))
    about = {"id": FARGAN_ID, "title": "Vocoder FARGAN of libopus, imported"}
    return _store(root, about, sources, step, [(FARGAN, "vocoder", lambda: _npz(arrays))])


def _store(root: Path | None, about: dict, sources: Sources, step: Step | None, jobs: list[Job]) -> Path:
    """Make every file in a hidden folder, then put that in its place."""
    place = root or modelset.user_folder()
    if place is None:
        raise ModelError("this user has no home to import a model into; set XDG_DATA_HOME to a folder")
    folder = place / about["id"]
    folder = folder.resolve()  # so that a link is kept
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{about['id']}.", dir=folder.parent))
    try:
        entries = []
        for done, (name, kind, make) in enumerate(jobs):
            entries.append(_write(work / name, kind, make(), about))
            if step:
                step(done + 1, len(jobs))
        _write_manifest(work, entries, sources, about)
        _replace(folder, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _parts(sources: Sources) -> tuple[rdovae.Generation, rdovae.Encoder, rdovae.Decoder, QuantTables]:
    names, files = list(sources.records), sources.names
    lacking = [
        text
        for text, there in (
            ("the encoder (rdovae_enc)", rdovae.has_encoder(names)),
            ("the decoder (rdovae_dec)", rdovae.has_decoder(names)),
            ("the quantiser tables (dred_rdovae_stats_data.c)", sources.tables is not None),
        )
        if not there
    ]
    if lacking or sources.tables is None:
        raise BlobError(f"{files}: {' and '.join(lacking)} missing; give all files in one command")
    layers = Layers(sources.records, files)
    generation = rdovae.generation_of(names, files)
    if sources.tables.version != generation.version:
        raise BlobError(
            f"{files}: the networks are DRED version {generation.version} (libopus {generation.release}), "
            f"the tables version {sources.tables.version}; give tables of the same release"
        )
    encoder, decoder = rdovae.read_encoder(layers, generation), rdovae.read_decoder(layers, generation)
    return generation, encoder, decoder, sources.tables


def _graphs() -> ModuleType:
    try:
        return import_module("dredge_models.libopus.graphs")
    except ImportError as error:
        raise ModelError(f"importing needs a package ({error}): run `dredge extras add import`") from None


def _npz(arrays: Mapping[str, NDArray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def _write(path: Path, kind: str, content: bytes, about: dict) -> dict:
    path.write_bytes(content)
    entry = {"file": path.name, "model": about["id"], "kind": kind, "bytes": len(content),
             "sha256": hashlib.sha256(content).hexdigest()}  # fmt: skip
    return entry | {k: about[k] for k in ("version",) if k in about}


def _write_manifest(folder: Path, entries: list[dict], sources: Sources, about: dict) -> None:
    model = {k: v for k, v in about.items() if k != "id"} | {"sources": sources.sums}
    content = {"format": registry.FORMAT, "models": {about["id"]: model}, "files": entries}
    (folder / "manifest.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _replace(folder: Path, work: Path) -> None:
    """Put a finished folder in its place; an older one is removed only when the new one is complete."""
    old = work.with_name(work.name + ".old")
    if folder.exists():
        os.replace(folder, old)
    try:
        os.replace(work, folder)
    except OSError:
        if old.exists():
            os.replace(old, folder)
        raise
    shutil.rmtree(old, ignore_errors=True)
    folder.chmod(0o755)
