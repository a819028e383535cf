# SPDX-License-Identifier: BSD-2-Clause
"""The table of the vocoders that a receiver can use.

A new one is a class with the interface of `vocoder.Vocoder` (begin, synthesise, reset) and a row here: command lines,
their help, validation, benchmarks and copy synthesis follow from this table. Nothing is loaded before it is opened.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Entry(NamedTuple):
    """One vocoder. title: for help texts, "" for an alias of one above; open: creates one, ModelError without its
    weights; stand_in: a cheaper one for use under load, "" for none.
    """

    title: str
    open: Callable[[], Any]
    stand_in: str = ""


def _lpcnet(model: str) -> Callable[[], Any]:
    def make() -> Any:
        from dredge_models.vocoder import Vocoder

        return Vocoder(model)

    return make


def _fargan() -> Any:
    from dredge_models.fargan import FarganVocoder

    return FarganVocoder()


VOCODERS = {
    "standard": Entry("our int8 LPCNet", _lpcnet("standard"), stand_in="small"),
    "small": Entry("ours for the slowest boards", _lpcnet("small")),
    "lpcnet": Entry("", _lpcnet("standard"), stand_in="small"),
    "fargan": Entry("FARGAN, if you have imported it (dredge models import)", _fargan),
}
DEFAULT = "standard"
HELP = "Who speaks what was lost: " + "; ".join(f"{n}: {e.title}" for n, e in VOCODERS.items() if e.title) + "."


def checked(name: str) -> str:
    """Return the name itself. Raises ValueError for one that is not in the table."""
    if name not in VOCODERS:
        raise ValueError(f"vocoder is '{name}', expected one of {', '.join(VOCODERS)}")
    return name


def open_vocoder(name: str = DEFAULT) -> Any:
    """Return a new vocoder of this name. Raises ValueError for an unknown name, ModelError without its weights."""
    return VOCODERS[checked(name)].open()


def missing(name: str) -> str:
    """Return why this vocoder cannot be opened here as one sentence, "" when it can."""
    from dredge_models.registry import ModelError

    try:
        open_vocoder(name)
    except ModelError as error:
        return str(error)
    return ""


def present() -> list[str]:
    """Return the names of all vocoders whose weights are installed, each once, the default first."""
    return [name for name, entry in VOCODERS.items() if entry.title and not missing(name)]
