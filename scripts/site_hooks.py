# SPDX-License-Identifier: BSD-2-Clause
"""What the site has beyond the documents: the example programs, the help text of every verb, and the comments of the
portable core, which has no docstrings because they would take a microcontroller's memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

import click
import griffe
from mkdocs.structure.files import File

from dredge_host.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = "reference/options.md"
WIDTH = 100  # of a help text, in characters


def on_files(files: Any, config: Any) -> Any:
    """Add examples/*.py, which lie outside docs/, so that links to them lead somewhere."""
    for path in sorted((ROOT / "examples").glob("*.py")):
        files.append(File.generated(config, f"examples/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to the examples into those of the site, and add the help texts to the page of options."""
    if page.file.src_uri == OPTIONS:
        markdown += "".join(f"\n## {name}\n\n```text\n{text}\n```\n" for name, text in help_texts(cli, "dredge"))
    return markdown.replace("](../../examples/", "](../examples/")


class Comments(griffe.Extension):
    """Gives a module, class or function without a docstring the comment at its head, or right above it."""

    def on_instance(self, *, node: Any, obj: griffe.Object, **more: Any) -> None:
        """Take the comment, once the object is made from its syntax tree."""
        del node, more
        if obj.docstring is not None or obj.is_attribute or not isinstance(obj.filepath, Path):
            return
        source = obj.filepath.read_text(encoding="utf-8").splitlines()
        if obj.is_module:
            above = takewhile(_is_comment, source[1:])  # below the line about the licence
        else:
            first = min([one.lineno or obj.lineno or 1 for one in getattr(obj, "decorators", [])] or [obj.lineno or 1])
            above = reversed(list(takewhile(_is_comment, reversed(source[: first - 1]))))
        text = "\n".join(line.strip().removeprefix("#").strip() for line in above)
        if text:
            obj.docstring = griffe.Docstring(text, parent=obj)


def _is_comment(line: str) -> bool:
    return line.strip().startswith("#")


def help_texts(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield (name, help text) of a command and of every verb below it."""
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    with click.Context(command, parent, info_name=name.rpartition(" ")[2], **settings) as context:
        yield name, command.get_help(context)
        for verb in command.list_commands(context) if isinstance(command, click.Group) else ():
            below = command.get_command(context, verb)
            if below is not None:
                yield from help_texts(below, f"{name} {verb}", context)
