# SPDX-License-Identifier: BSD-2-Clause
"""The check of a JSON value, made from its type."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints, is_typeddict

LARGEST = 2**53  # of any number: exact in JSON and in float64
Check = Callable[[Any], bool]


def number(value: Any) -> bool:
    """Return whether a value is a finite number that float64 holds."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= LARGEST and math.isfinite(value)


def whole(value: Any) -> bool:
    """Return whether a value is an integer."""
    return isinstance(value, int) and number(value)


def count(value: Any) -> bool:
    """Return whether a value is an integer from 0 on."""
    return whole(value) and value >= 0


Count = Annotated[int, count]

_SIMPLE: dict[Any, Check] = {
    float: number,
    int: whole,
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    NoneType: lambda value: value is None,
}


def check_of(kind: Any) -> Check:
    """Return the check of a JSON value for a type: str, int, float, bool, None, a union, list[...], dict[str, ...], a
    TypedDict, or Annotated with a check of its own.
    """
    origin = get_origin(kind)
    if origin is Annotated:
        own: Check = get_args(kind)[1]
        return own
    if is_typeddict(kind):
        return _record(kind)
    if origin in (Union, UnionType):
        ways = [check_of(way) for way in get_args(kind)]
        return lambda value: any(check(value) for check in ways)
    if origin is list:
        item = check_of(get_args(kind)[0])
        return lambda value: isinstance(value, list) and all(map(item, value))
    if origin is dict:
        of = check_of(get_args(kind)[1])
        return lambda value: isinstance(value, dict) and all(map(of, value.values()))
    return _SIMPLE[kind]


def _record(kind: Any) -> Check:
    fields = fields_of(kind)

    def good(value: Any) -> bool:
        if not isinstance(value, dict) or any(value.get(name) is None for name in kind.__required_keys__):
            return False
        return all(value.get(name) is None or check(value[name]) for name, check in fields.items())

    return good


def fields_of(kind: Any) -> dict[str, Check]:
    """Return the check of every field of a TypedDict."""
    return {name: check_of(of) for name, of in get_type_hints(kind, include_extras=True).items()}
