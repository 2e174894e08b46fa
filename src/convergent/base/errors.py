"""Errors and warnings: one exception for bad input, and what messages have in common."""

from __future__ import annotations

import difflib
import os
import sys
import unicodedata
import warnings
from collections.abc import Collection, Iterable
from itertools import islice
from pathlib import Path

__all__ = [
    "InputError",
    "examples",
    "quoted",
    "shortened",
    "shown",
    "unknown",
    "warn",
]

_LONGEST = 120  # letters of a name or value in a message
_JOINERS = "\u200c\u200d"  # parts of Persian and Indian words, and of emoji
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # Unicode's classes of characters that act or are unseen
_ESCAPES = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown(text: object) -> str:
    r"""Text with control characters as escapes, so that it cannot act on a terminal or page.

    Parameters
    ----------
    text : object
        Text of any origin, or what becomes one by ``str``.

    Returns
    -------
    str
        The same text where all of it is visible. Control characters, line breaks, marks that
        reverse the direction of writing, and halves of surrogate pairs become escapes as Python
        writes them.

    Examples
    --------
    >>> print(shown("V4\x1b[2J"), shown("層 1"))
    V4\x1b[2J 層 1
    """
    text = str(text)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN or character in _JOINERS:
        return character
    number = ord(character)
    plain = f"\\x{number:02x}" if number < 256 else f"\\u{number:04x}"
    return _ESCAPES.get(character, plain if number < 0x10000 else f"\\U{number:08x}")


def shortened(text: str, most: int) -> str:
    """Text without its middle, where it is longer than `most` characters.

    Parameters
    ----------
    text : str
        Names often differ at their ends, so both ends stay.
    most : int
        Most characters of the result.

    Returns
    -------
    str
        At most so many characters.

    Examples
    --------
    >>> shortened("module.encoder.layers.11.output", 20)
    'module.en...1.output'
    """
    if len(text) <= most:
        return text
    start = (most - 2) // 2
    return f"{text[:start]}...{text[len(text) - (most - 3 - start) :]}"


class InputError(ValueError):
    """Input that cannot be used; the message says what was found, why it is wrong, what to do."""

    def __str__(self) -> str:
        """The message; names in it cannot act on a terminal."""
        return shown(super().__str__())


def examples(names: Iterable[object], most: int = 3) -> str:
    """List the first few names for a message: ``'a', 'b', 'c' and 637 more``."""
    names = names if isinstance(names, Collection) else list(names)
    first = ", ".join(quoted(str(name)) for name in islice(names, most))
    return first + (f" and {len(names) - most} more" if len(names) > most else "")


def unknown(kind: str, name: object, known: Collection[str]) -> InputError:
    """Error for a name that does not exist, with the names that are closest to it."""
    brief = str(name)[:_LONGEST]  # to compare long names takes minutes
    close = difflib.get_close_matches(brief, known, n=5, cutoff=0.5)
    hint = f"did you mean {examples(close, 5)}?" if close else f"known: {examples(known, 12)}"
    return InputError(f"there is no {kind} {quoted(name)}: {hint}")


def quoted(value: object) -> str:
    """Show a name or value in a message, in one line that is not too long."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no whole numbers of more than 4300 digits
        text = f"<{type(value).__name__}>"
    return shortened(" ".join(text.split()), _LONGEST)


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
