"""Arguments of public functions: what a user gave is checked, and returned in one form."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from .errors import InputError, examples, quoted, unknown

__all__ = [
    "as_list",
    "as_names",
    "as_number",
    "as_seed",
    "as_share",
    "as_whole",
    "check_callable",
    "check_flags",
    "check_keys",
    "check_known",
    "check_type",
]

_MOST = 2**31 - 1  # things that are counted
_LARGEST_SEED = 2**32 - 1  # of numpy's and scikit-learn's older generators
_PLAIN = (str, bytes, int, float, complex, type(None))  # values that are shown themselves


def as_whole(name: str, value: object, least: int = 1, most: int = _MOST) -> int:
    """Check a whole number that a user gave.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What the user gave.
    least, most : int
        Least and greatest value; by default, no array could be larger.

    Returns
    -------
    int
        The number; one of numpy as a plain one, which can be written to JSON.

    Raises
    ------
    InputError
        If it is something else; True and False are no numbers here.
    """
    number = None
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        number = int(value)
        if least <= number <= most:
            return number
    limited = most != _MOST or (number is not None and number > most)
    reach = f"from {least} to {most}" if limited else f"from {least} up"
    raise InputError(f"{name}={quoted(value)}: give a whole number {reach}.")


def as_seed(value: object, name: str = "seed") -> int:
    """Check a seed, which is a whole number below 2^32: all generators take these."""
    return as_whole(name, value, 0, _LARGEST_SEED)


def as_number(name: str, value: object, least: float = -math.inf, most: float = math.inf) -> float:
    """Check a real number that a user gave, between a least and a greatest one.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What the user gave.
    least, most : float
        Least and greatest value, which are allowed themselves.

    Returns
    -------
    float
        The number.

    Raises
    ------
    InputError
        If it is no number, out of this range, infinite or NaN.
    """
    number = _real(value)
    if least <= number <= most and math.isfinite(number):
        return number
    if math.isinf(least) and math.isinf(most):
        reach = "a finite number"
    else:
        reach = f"a number from {least:g} " + ("up" if math.isinf(most) else f"to {most:g}")
    raise InputError(f"{name}={quoted(value)}: give {reach}.")


def _real(value: object) -> float:
    """A number as a float; NaN if it is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def as_share(name: str, value: object, example: float = 0.95) -> float:
    """Check a share, probability or level: a number between 0 and 1, and neither of these.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    value : object
        What the user gave.
    example : float
        A usual value, for the message.

    Returns
    -------
    float
        The share.

    Raises
    ------
    InputError
        If it is something else, such as a percentage.
    """
    if isinstance(value, (float, np.floating)) and 0 < value < 1:
        return float(value)
    raise InputError(f"{name}={quoted(value)}: give a share between 0 and 1, such as {example:g}.")


def check_flags(**flags: object) -> None:
    """Check that arguments are True or False."""
    for name, value in flags.items():
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name}={quoted(value)}: give True or False.")


def check_callable(**functions: object) -> None:
    """Check that arguments are functions."""
    for name, value in functions.items():
        if not callable(value):
            raise InputError(f"{name} is {quoted(value)}: give a function.")


def check_type(kind: type | tuple[type, ...], remedy: str, **values: object) -> None:
    """Check the types of arguments.

    Parameters
    ----------
    kind : type, or tuple of them
        What they must be.
    remedy : str
        What to give, for the message: ``"an Assembly"``.
    **values
        What the user gave, by name of the argument.

    Raises
    ------
    InputError
        If one is something else.
    """
    for name, value in values.items():
        if not isinstance(value, kind):
            what = quoted(value) if isinstance(value, _PLAIN) else f"of type {type(value).__name__}"
            raise InputError(f"{name} is {what}: give {remedy}.")


def check_known(kind: str, name: object, known: Collection[str]) -> None:
    """Check a name against those that exist; the error names the closest ones."""
    if not isinstance(name, str) or name not in known:
        raise unknown(kind, name, known)


def as_list(name: str, values: object, remedy: str) -> list[Any]:
    """Check that an argument holds several values in an order.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : object
        What the user gave.
    remedy : str
        What to give, for the message: ``"a list of names"``.

    Returns
    -------
    list
        The values, in their order.

    Raises
    ------
    InputError
        If they are one text, or have no order, or are no values at all.
    """
    if isinstance(values, (set, frozenset)):
        raise InputError(
            f"{name} are given as a {type(values).__name__}, which has no order: give {remedy}."
        )
    if isinstance(values, (str, bytes, Mapping)) or not isinstance(values, Iterable):
        raise InputError(f"{name}={quoted(values)}: give {remedy}.")
    try:
        return list(values)
    except TypeError:  # an array without axes
        raise InputError(f"{name}={quoted(values)}: give {remedy}.") from None


def as_names(name: str, values: object, least: int = 1) -> list[str]:
    """Check a list of names: strings, none of them twice.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    values : object
        What the user gave.
    least : int
        How many there must be.

    Returns
    -------
    list of str
        The names, in their order.

    Raises
    ------
    InputError
        If they have no order, one is no string or comes twice, or they are too few.
    """
    names = as_list(name, values, "a list of names")
    for one in names:
        if not isinstance(one, str):
            raise InputError(
                f"{name} hold {quoted(one)}, of type {type(one).__name__}: names are strings."
            )
    twice = [one for one, count in Counter(names).items() if count > 1]
    if twice:
        raise InputError(f"{name} hold {examples(twice)} more than once: give each once.")
    if len(names) < least:
        raise InputError(f"{name} are {quoted(values)}: give {least} or more.")
    return [str(one) for one in names]


def check_keys(name: str, given: object, remedy: str) -> None:
    """Check that an argument is a dict that is not empty, and that its keys are strings.

    Parameters
    ----------
    name : str
        Name of the argument, for the message.
    given : object
        What the user gave.
    remedy : str
        What to give, for the message: ``"a dict of Assembly by name"``.

    Raises
    ------
    InputError
        If it is something else.
    """
    if not isinstance(given, Mapping) or not given:
        found = "empty" if isinstance(given, Mapping) else f"of type {type(given).__name__}"
        raise InputError(f"{name} is {found}: give {remedy}.")
    for key in given:
        if not isinstance(key, str):
            raise InputError(
                f"{name} has the key {quoted(key)}, of type {type(key).__name__}: names are "
                f"strings, such as {str(key)!r}."
            )
