"""Messages in the words of the command line: ``--layers a,b``, not ``layers=[...]``."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["spoken"]

_VALUE = r"""(?:'[^']*'|"[^"]*"|\[[^\]]*\]|-?\d+(?:\.\d+)?(?:e[-+]?\d+)?|None|True|False|\.\.\.)"""
_BEFORE = r"(?<![\w'\"=/.:-])"  # no part of a name that the user gave
# what is the same, written in another way; then names of settings are those of options
_FORMS: tuple[tuple[str, str], ...] = (
    (r"\bbootstrap=Bootstrap\(", "Bootstrap("),
    (r"\bshuffle=Shuffle\(", "Shuffle("),
    (r"\bfolds=Folds\(", "Folds("),
    (r"\bBootstrap\((\d+)\)", r"bootstrap=\1"),
    (r"\bShuffle\((\d+)\)", r"shuffle=\1"),
    (r"\bFolds\((\d+)\)", r"folds=\1"),
    (rf"\b(?:Bootstrap|Shuffle|Folds)\(((?:over|group|seed|refits)={_VALUE})\)", r"\1"),
    (r"\b(bootstrap|shuffle) samples=", r"\1="),
    (r"\bbootstrap refits=", "refits="),
    (r"\bmetrics are \[", "metrics=["),
    (r"; to compare settings of one metric, name them: \{.*\}", ""),
    (r" as checkpoint=, or get it untrained with pretrained=False", " as NAME=FILE"),
    (rf"{_BEFORE}pretrained=False", "untrained=True"),
    (rf"{_BEFORE}checkpoint=(?![\w'\"])", "NAME=CHECKPOINT"),
    (r"give one, session=", "give one after a slash, as in NAME/SESSION: "),
    (rf"{_BEFORE}k=(?=\d)", "clusters="),
)


def spoken(message: str, options: Mapping[str, str]) -> str:
    """Write the settings in a message as options of a command.

    Parameters
    ----------
    message : str
        What was found, and what to do, in the words of Python.
    options : mapping of str to str
        Options of the command, by the names of its parameters.

    Returns
    -------
    str
        The same in the words of the command line. What the command has no option for stays.

    Examples
    --------
    >>> spoken("use layers=['a', 'b'], or ceiling=None.", {"layers": "--layers", "ceiling": "--c"})
    'use --layers a,b, or --c none.'
    """
    for form, other in _FORMS:
        message = re.sub(form, other, message)

    def option(found: re.Match[str]) -> str:
        name, value = found["name"], found["value"] or ""
        if name not in options:
            return found[0]
        if value == "True":  # options without a value
            return options[name]
        return f"{options[name]} {_plain(value)}".rstrip()

    setting = rf"{_BEFORE}(?P<name>[a-z_]+)=(?P<value>{_VALUE})?(?![\w('\"{{])"
    return re.sub(setting, option, message)


def _plain(value: str) -> str:
    """A value as it is typed."""
    if value.startswith("["):
        return ",".join(_plain(part.strip()) for part in value[1:-1].split(","))
    if value == "None":
        return "none"
    if re.fullmatch(r"'[^'\s]+'|\"[^\"\s]+\"", value):
        return value[1:-1]
    return value
