# SPDX-License-Identifier: BSD-2-Clause
"""`dredge models list|verify|import|remove`"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import click

from dredge_host.cli.options import json_option
from dredge_host.console import emit, note, table
from dredge_host.errors import CheckFailed, InputError
from dredge_host.progress import Bar

IMPORT_EPILOG = """\b
The files of libopus 1.5 (DRED version 10) or 1.6 (version 12), in any order
  rdovae_enc.bin, rdovae_dec.bin   weight blobs, as libopus' own tools write them; or one blob with everything
  dred_rdovae_stats_data.c         the quantiser tables, from the dnn/ folder of a release
and, on its own or with them
  fargan.bin                       its vocoder, for --vocoder fargan

\b
Example
  dredge models import rdovae_enc.bin rdovae_dec.bin opus-1.5.2/dnn/dred_rdovae_stats_data.c
"""


@click.group()
def command() -> None:
    """List, verify, import and remove neural models: those of the package, and those you import."""


@command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """Name, size and SHA-256 of every model file; imported ones too."""
    from dredge_models import modelset
    from dredge_models.registry import ModelError, manifest, read_manifest

    content = manifest()
    files: list[dict[str, Any]] = content["files"]
    own: dict[str, Any] = {}
    for folder in modelset.folders():
        try:
            about = read_manifest(folder)
        except ModelError as error:
            note(str(error))
            continue
        own[folder.name] = {**about["models"].get(folder.name, {}), "folder": str(folder), "files": about["files"]}
    rows = [_row(f) for f in files] + [_row(f) for model in own.values() for f in model["files"]]
    result = {"schema": "dredge.models/1", "models": content["models"], "files": files, "imported": own}
    lines = table(rows, ["file", "model", "DRED version", "bytes", "sha256"])
    emit(result, lines + [f"imported models are in {modelset.user_folder()}"] * bool(own), as_json)


def _row(entry: dict[str, Any]) -> list[str]:
    version = str(entry.get("version", "–"))
    return [entry["file"], str(entry.get("model", "–")), version, str(entry["bytes"]), entry["sha256"][:16]]


@command.command()
@json_option
def verify(as_json: bool) -> None:
    """Compare every model file with its pinned SHA-256; exit code 1 if one differs."""
    from dredge_models import modelset
    from dredge_models.registry import manifest
    from dredge_models.registry import verify as find_problems

    problems = [str(problem) for problem in [*find_problems(), *modelset.problems()]]
    count = len(manifest()["files"])
    imported = len(modelset.folders())
    result = {"schema": "dredge.models.verify/1", "files": count, "imported": imported, "problems": problems}
    extra = f", and so are {imported} imported model(s)" if imported else ""
    emit(result, problems or [f"all {count} model files are as pinned{extra}"], as_json)
    if problems:
        raise CheckFailed(f"{len(problems)} problem(s) found; reinstall the package, or import the model again")


@command.command("import", epilog=IMPORT_EPILOG)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@json_option
def import_models(files: tuple[Path, ...], as_json: bool) -> None:
    """Make libopus' own model usable here, for streams of libopus senders.

    The result lies in your data folder and is used for every stream of its DRED version. The weights are yours:
    nothing of them is part of this package.
    """
    from dredge_models.libopus.fargan import has_fargan
    from dredge_models.libopus.importer import import_fargan, import_rdovae, read_sources
    from dredge_models.libopus.rdovae import has_decoder, has_encoder

    for path in files:
        if path.is_dir():
            raise InputError(f"{path}: a folder, expected the model's files; name them, for example {path}/*")
        if not path.is_file():
            raise InputError(f"{path}: {'not a plain file' if path.exists() else 'there is no such file'}")
    lines, done = [], []
    with Bar("models", 0, "tensors") as bar:
        sources = read_sources(list(files))
        names = list(sources.records)
        vocoder = has_fargan(names)
        if has_encoder(names) or has_decoder(names) or sources.tables or not vocoder:
            model = import_rdovae(sources, step=bar.reach)
            done.append({"model": model.id, "version": model.version, "folder": str(model.folder)})
            lines.append(f"{model.id}, in {model.folder}: decodes DRED version {model.version} from now on")
        if vocoder:
            folder = import_fargan(sources, step=bar.reach)
            done.append({"model": folder.name, "version": None, "folder": str(folder)})
            lines.append(f"{folder.name}, in {folder}: a vocoder for --vocoder fargan")
    emit({"schema": "dredge.models.import/1", **done[0], "imported": done}, lines, as_json)


@command.command()
@click.argument("name", metavar="MODEL")
@json_option
def remove(name: str, as_json: bool) -> None:
    """Delete an imported model; `dredge models list` has the names."""
    from dredge_models import modelset

    names = {folder.name: folder for folder in modelset.folders()}
    if name not in names:
        there = ", ".join(names) or "none"
        raise InputError(f"{name}: no imported model of this name (there are: {there})")
    shutil.rmtree(names[name])
    emit({"schema": "dredge.models.remove/1", "model": name}, [f"{name}: removed"], as_json)
