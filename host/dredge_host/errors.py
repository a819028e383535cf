# SPDX-License-Identifier: BSD-2-Clause
"""The exceptions for users, and the table from exception classes to exit codes."""

from __future__ import annotations

from importlib import import_module
from typing import Any

OK, CHECK_FAILED, USAGE, UNREACHABLE, VERSION, CAPABILITY, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130


class DredgeError(Exception):
    """The base class of expected failures; the message is one sentence for the user."""


class CheckFailed(DredgeError):
    """The verdict of a check is negative."""


class UsageError(DredgeError, ValueError):
    """An argument is malformed or impossible."""


class InputError(DredgeError, ValueError):
    """A file is missing, damaged or empty, or has an unknown format."""


class UnreachableError(DredgeError, ConnectionError):
    """The other end of a link does not answer."""


class VersionMismatch(DredgeError):
    """The two ends have different protocol versions or models."""


class CapabilityError(DredgeError):
    """This machine or this build lacks something that was asked for."""


# Dotted class names, so that this table does not import their packages.
# The first listed class in an exception's MRO applies.
_LONGEST = 600  # most characters of a message
EXIT_CODES: dict[str, int] = {
    "dredge_host.errors.CheckFailed": CHECK_FAILED,
    "dredge_host.errors.UsageError": USAGE,
    "dredge_host.errors.InputError": USAGE,
    "dredge_host.errors.UnreachableError": UNREACHABLE,
    "dredge_host.errors.VersionMismatch": VERSION,
    "dredge_host.errors.CapabilityError": CAPABILITY,
    "dredge_host.errors.DredgeError": CHECK_FAILED,
    "dredge_models.registry.ModelError": CAPABILITY,
    "dredge_models.libopus.blob.BlobError": USAGE,
    "dredge_device.pi.output.interface.CapabilityError": CAPABILITY,
    "dredge_kernels.opuserrors.OpusError": CHECK_FAILED,
    "click.exceptions.UsageError": USAGE,
    "click.exceptions.FileError": USAGE,
    "click.exceptions.Abort": INTERRUPTED,
    "builtins.KeyboardInterrupt": INTERRUPTED,
    "builtins.ConnectionError": UNREACHABLE,
    "builtins.TimeoutError": UNREACHABLE,
    "builtins.ImportError": CAPABILITY,
    "builtins.MemoryError": CAPABILITY,
    "builtins.OSError": USAGE,
}


def exit_code(error: BaseException) -> int | None:
    """Return the exit code for an exception, None for an unexpected one, which is a bug and must be visible."""
    for cls in type(error).__mro__:
        code = EXIT_CODES.get(f"{cls.__module__}.{cls.__qualname__}")
        if code is not None:
            return code
    return None


def sentence(error: BaseException) -> str:
    """Return one line for the user: the message, with the advice of its class, if any."""
    if isinstance(error, KeyboardInterrupt) or type(error).__qualname__ == "Abort":
        return "interrupted"
    text = _shown(" ".join(str(error).split())) or type(error).__name__
    if isinstance(error, ImportError):
        return f"a part of dredge is missing ({text}); run `make build` or reinstall the package"
    if isinstance(error, OSError) and error.errno:
        from dredge_device.pi.transport.errors import refusal

        return _shown(" ".join(refusal(error).split()))
    return text


def _shown(text: str) -> str:
    """Return text that a terminal may show: names of files and hosts may contain any characters and be very long."""
    clean = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST // 2]} … {clean[-_LONGEST // 2 :]}"


def need(package: str, purpose: str, extra: str = "metrics", how: str = "") -> Any:
    """Return an imported optional package.

    purpose: the feature that needs it; extra: the extra that contains it; how: another way to install it, without an
    extra. Raises CapabilityError, which says all three.
    """
    try:
        return import_module(package)
    except (ImportError, OSError) as error:  # OSError: the package is installed, but its library is not
        name = package.partition(".")[0].replace("_", "-")
        how = how or f"run `dredge extras add {extra}`"
        raise CapabilityError(f"{purpose} needs {name} ({error}); {how}") from None
