# SPDX-License-Identifier: BSD-2-Clause
"""`dredge models list|verify`"""

from __future__ import annotations

from typing import Any

import click

from dredge_host.cli_options import json_option
from dredge_host.errors import CheckFailed
from dredge_host.output import emit, table


@click.group()
def command() -> None:
    """The neural models that come with the package."""


@command.command("list")
@json_option
def list_models(as_json: bool) -> None:
    """Name, size and SHA-256 of every model file."""
    from dredge_models.registry import manifest

    content = manifest()
    files: list[dict[str, Any]] = content["files"]
    rows = [[f["file"], str(f.get("model", "–")), str(f["bytes"]), f["sha256"][:16]] for f in files]
    result = {"schema": "dredge.models/1", "models": content["models"], "files": files}
    emit(result, table(rows, ["file", "model", "bytes", "sha256"]), as_json)


@command.command()
@json_option
def verify(as_json: bool) -> None:
    """Compare every model file with its pinned SHA-256; exit code 1 if one differs."""
    from dredge_models.registry import manifest
    from dredge_models.registry import verify as find_problems

    problems = [str(problem) for problem in find_problems()]
    count = len(manifest()["files"])
    result = {"schema": "dredge.models.verify/1", "files": count, "problems": problems}
    emit(result, problems or [f"all {count} model files are as pinned"], as_json)
    if problems:
        raise CheckFailed(f"{len(problems)} problem(s) found; reinstall the package")
