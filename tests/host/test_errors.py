# SPDX-License-Identifier: BSD-2-Clause
"""The one table of exit codes."""

import importlib

import click
import pytest

from dredge_device.pi.transport.errors import refusal
from dredge_host import errors


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.CheckFailed("no"), 1),
        (errors.UsageError("x"), 2),
        (errors.InputError("x"), 2),
        (errors.UnreachableError("x"), 3),
        (errors.VersionMismatch("x"), 4),
        (errors.CapabilityError("x"), 5),
        (KeyboardInterrupt(), 130),
        (click.UsageError("x"), 2),
        (click.BadParameter("x"), 2),
        (click.Abort(), 130),
        (FileNotFoundError(2, "No such file", "a.wav"), 2),
        (ConnectionRefusedError("x"), 3),
        (TimeoutError("x"), 3),
        (ModuleNotFoundError("No module named 'dredge_kernels.opus'"), 5),
        (ZeroDivisionError("a bug"), None),
    ],
)
def test_codes(error: BaseException, code: int | None) -> None:
    assert errors.exit_code(error) == code


@pytest.mark.parametrize("name", errors.EXIT_CODES)
def test_every_class_in_the_table_exists(name: str) -> None:
    module, _, cls = name.rpartition(".")
    found = getattr(importlib.import_module(module), cls)
    assert issubclass(found, BaseException)
    # The table is keyed by where a class is defined, not by where it can be imported from.
    assert f"{found.__module__}.{found.__qualname__}" == name


def test_errors_are_builtins_too() -> None:
    assert issubclass(errors.InputError, ValueError)
    assert issubclass(errors.UnreachableError, ConnectionError)


def test_sentences_are_one_line() -> None:
    assert errors.sentence(ValueError("a\n  b")) == "a b"
    assert errors.sentence(FileNotFoundError(2, "No such file", "a.wav")) == "a.wav: No such file"
    assert errors.sentence(KeyboardInterrupt()) == "interrupted"
    assert "make build" in errors.sentence(ImportError("no opus"))
    assert errors.sentence(ZeroDivisionError()) == "ZeroDivisionError"


def test_an_error_of_the_system_has_no_number_but_advice() -> None:
    """Every place that passes one on uses `refusal`, so that the same refusal has the same words everywhere."""
    full = OSError(28, "No space left on device")
    assert errors.sentence(full) == "No space left on device; make room on this disk, or write elsewhere"
    assert refusal(full, "a.wav") == f"a.wav: {errors.sentence(full)}"
    taken = refusal(OSError(98, "Address already in use", "udp://:1"))
    assert taken == "udp://:1: Address already in use; end the program that has this port, or take another port"
    assert refusal(BrokenPipeError(32, "Broken pipe"), "-") == "-: its reader has ended"
    assert refusal(OSError("a sentence of our own")) == "a sentence of our own"
