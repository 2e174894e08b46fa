"""Errors and warnings: one exception for bad input, and what messages have in common."""

from __future__ import annotations

import difflib
import os
import sys
import warnings
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

import numpy as np

from .display import shortened, shown

__all__ = ["InputError", "check_numbers", "examples", "unknown", "warn"]


class InputError(ValueError):
    """Input that cannot be used; the message says what was found, why it is wrong, what to do."""

    def __str__(self) -> str:
        """The message; names in it cannot act on a terminal."""
        return shown(super().__str__())


def examples(names: Iterable[object], most: int = 3) -> str:
    """List the first few names for a message: ``'a', 'b', 'c' and 637 more``."""
    names = names if isinstance(names, Collection) else list(names)
    first = ", ".join(_quoted(name) for name in islice(names, most))
    return first + (f" and {len(names) - most} more" if len(names) > most else "")


def unknown(kind: str, name: object, known: Collection[str]) -> InputError:
    """Error for a name that does not exist, with the names that are closest to it."""
    brief = str(name)[:_MOST]  # to compare long names takes minutes
    close = difflib.get_close_matches(brief, known, n=5, cutoff=0.5)
    hint = f"did you mean {examples(close, 5)}?" if close else f"known: {examples(known, 12)}"
    return InputError(f"there is no {kind} {_quoted(name)}: {hint}")


_MOST = 120  # characters of a name in a message


def _quoted(name: object) -> str:
    return repr(shortened(str(name), _MOST))


def check_numbers(**numbers: int) -> None:
    """Check that numbers are whole and at least 1, or at least 0 for ``seed`` and ``early``."""
    for key, value in numbers.items():
        least = 0 if key in {"seed", "early"} else 1
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise InputError(f"{key}={value!r}: give a whole number from {least} up.")


_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def warn(message: str) -> None:
    """Warn the user, and name the line of the user's own code that led to the warning.

    Parameters
    ----------
    message : str
        What was found, what follows from it, and what to do.
    """
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(shown(message), UserWarning, stacklevel=level)
