# SPDX-License-Identifier: BSD-2-Clause
"""Configuration files (TOML) of long-running verbs: the options of the command line, by their names.

A value on the command line comes first, then an environment variable, then the file, then the default.
"""

from __future__ import annotations

import functools
import json
import os
import tomllib
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from dredge_device.pi.text import read_bytes
from dredge_device.pi.transport.errors import refusal
from dredge_host.console import note
from dredge_host.errors import UsageError

if TYPE_CHECKING:
    from dredge_host.cli.options import Given

SYSTEM = Path("/etc/dredge")
_NONE = "none"
_MOST = 1 << 20  # bytes
_MEANT = {"url": "to", "call": "to", "peer": "to"}  # other names of an argument
_META = ("config", "print_config")
_FILE, _VALUES = "dredge.config.file", "dredge.config.values"  # in the context's meta


def configured(name: str, check: Callable[[Mapping[str, Any]], Any] | None = None) -> Callable[[Any], Any]:
    """Return a decorator that gives a command --config and --print-config; it stands above all options.

    name: of the file, agent for agent.toml; check: raises UsageError for incompatible values, before they
    are printed.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        @functools.wraps(function)
        def run(*, print_config: bool, **values: Any) -> Any:
            context = click.get_current_context()
            if print_config:
                if check is not None:
                    check(values)
                click.echo(effective(context), nl=False)
                return None
            if context.meta[_FILE] is not None and not values.get("quiet"):
                note(f"configuration: {context.meta[_FILE]}")
            return function(**values)

        places = " or ".join(str(place) for place in (Path("~/.config/dredge") / f"{name}.toml", _system(name)))
        printing = click.option("--print-config", is_flag=True, help="Print the options in effect as such a file.")
        reading = click.option(
            "--config", metavar="FILE", is_eager=True, expose_value=False,
            callback=functools.partial(_load, name), help=f"Options in TOML; {_NONE}: no file.  [default: {places}]",
        )  # fmt: skip
        return reading(printing(run))

    return decorate


def _system(name: str) -> Path:
    return SYSTEM / f"{name}.toml"


def _load(name: str, context: click.Context, parameter: click.Parameter, given: str | None) -> None:
    """Make the file's values the defaults of the options that are read after this one."""
    path = None if given == _NONE else Path(given) if given is not None else found(name)
    context.meta[_FILE], context.meta[_VALUES] = path, {}
    if path is not None:
        context.meta[_VALUES] = read(path, context)
        context.default_map = {**(context.default_map or {}), **context.meta[_VALUES]}


def found(name: str) -> Path | None:
    """Return the user's file, or else the system's; None where there is none."""
    own = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    for path in (Path(own) / "dredge" / f"{name}.toml", _system(name)):
        try:
            if path.is_file():
                return path
        except OSError:  # a home folder that this user may not read
            continue
    return None


def read(path: Path, context: click.Context) -> Given:
    """Return the file's values by the Python names of the options. Raises UsageError with one sentence."""
    try:
        document = tomllib.loads(read_bytes(path, _MOST).decode())
    except OSError as error:
        raise UsageError(refusal(error, path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    known = {_key(parameter): parameter for parameter in context.command.params if parameter.name not in _META}
    values: Given = {}
    for key, value in document.items():
        if key not in known:
            near = [_MEANT[key]] if _MEANT.get(key) in known else get_close_matches(key, known, 1, 0.5)
            advice = f"did you mean '{near[0]}'?" if near else f"see `{context.command_path} --print-config`"
            raise UsageError(f"{path}: there is no option '{key}'; {advice}")
        values[known[key].name or ""] = _checked(path, context, known[key], value)
    return values


def _checked(path: Path, context: click.Context, parameter: click.Parameter, value: Any) -> Any:
    """Return the value as the command line would convert it."""
    key, switch = _key(parameter), isinstance(parameter.type, click.types.BoolParamType)
    if isinstance(value, bool) != switch or not isinstance(value, bool | int | float | str):
        raise UsageError(f"{path}: {key} is {value!r}, expected {'true or false' if switch else 'a text or a number'}")
    try:
        return parameter.type_cast_value(context, value if switch else os.fsdecode(str(value).encode()))
    except click.BadParameter as error:
        raise UsageError(f"{path}: {key}: {error.message.rstrip('.')}") from None


def _key(parameter: click.Parameter) -> str:
    """Return the name of an option in a file: without the leading dashes."""
    return max(parameter.opts, key=len).lstrip("-") if isinstance(parameter, click.Option) else parameter.name or ""


def effective(context: click.Context) -> str:
    """Return the options in effect as a configuration file that can be read back; options without a value are comments.
    """
    file: Path | None = context.meta[_FILE]
    lines = [f"# Options of `{context.command_path}`; the command line comes before this file."]
    for parameter in context.command.params:
        if parameter.name in _META or parameter.name not in context.params:
            continue
        value, key = context.params[parameter.name], _key(parameter)
        about = getattr(parameter, "help", None) or parameter.make_metavar(context)
        lines += ["", *(f"# {line}" for line in click.wrap_text(about, 116).splitlines())]
        if value is None:
            lines.append(f"# {key} =")
        else:
            lines.append(f"{key} = {_toml(value)}  # {_source(context, parameter.name, file)}")
    return "\n".join(lines) + "\n"


def _source(context: click.Context, name: str, file: Path | None) -> str:
    source = context.get_parameter_source(name)
    if source is ParameterSource.COMMANDLINE:
        return "command line"
    if source is ParameterSource.ENVIRONMENT:
        return "environment"
    return str(file) if name in context.meta[_VALUES] else "default"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
