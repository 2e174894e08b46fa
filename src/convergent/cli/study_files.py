"""Study files: the options of a command in a TOML file, so that a run can be repeated.

A path in a study file means what it means on the command line: it is relative to the folder in
which the command is run. So a study file holds no path that the user did not give, and the same
words have the same meaning in both places.
"""

from __future__ import annotations

import inspect
import json
import math
import platform
import re
import tomllib
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from types import UnionType
from typing import Any, NamedTuple, get_args, get_type_hints

import typer

from ..base.errors import InputError, examples, quoted, shown, unknown
from .commands import given_to

__all__ = [
    "StudyFile",
    "changed_inputs",
    "read_study",
    "study_name",
    "study_text",
    "toml",
    "use_study",
]

_FILE = "study.toml"
_TABLES = ("command", "options", "versions", "inputs")
_INPUTS = "convergent.cli.study_files.inputs"
_NOT_KEPT = {"config", "as_json", "overwrite", "help"}  # these say nothing of what is computed
_LIBRARIES = ("convergent", "numpy", "scipy", "torch", "xarray")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
_MOST_BYTES = 2**22


def use_study(context: typer.Context, path: Path | None) -> Path | None:
    """Take options that the command line does not give from a study file (``--config``)."""
    if path is None or context.resilient_parsing:
        return path
    command, options, inputs = read_study(path)
    called = str(context.info_name)
    if command not in (None, called):
        raise InputError(
            f"{path} is a study of convergent {command}, not of convergent {called}: use "
            f"`convergent run {path}`."
        )
    keys, kinds = _keys(context), _kinds(context)
    found = {}
    for key, value in options.items():
        if key not in keys:
            raise _unknown_key(path, key, keys)
        name = keys[key].name
        found[name] = _value(path, key, value, keys[key], kinds[name])
    context.default_map = found
    context.meta[_INPUTS] = path, inputs if isinstance(inputs, dict) else {}
    return path


class StudyFile(NamedTuple):
    """What a study file holds.

    Attributes
    ----------
    command : str or None
        Name of the command; None if the file names none.
    options : dict
        Options by their names on the command line, without ``--``.
    inputs : dict
        SHA-256 of the inputs, by side and name.
    """

    command: str | None
    options: dict[str, Any]
    inputs: Any


def read_study(path: Path) -> StudyFile:
    """Read a study file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    StudyFile
        Command, options and inputs.

    Raises
    ------
    InputError
        If there is no such file, it is no TOML, or holds something else.
    """
    try:
        with path.open("rb") as file:
            found = tomllib.loads(file.read(_MOST_BYTES).decode("utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no study file {path}.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is no TOML file: its letters are not UTF-8.") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no TOML file: {error}.") from None
    for key in found:
        if key not in _TABLES:
            raise _unknown_key(path, key, _TABLES)
    study = StudyFile(found.get("command"), found.get("options", {}), found.get("inputs", {}))
    if not isinstance(study.command, str | None) or not isinstance(study.options, dict):
        raise InputError(
            f'{path}: give command = "score" (or another command), and a table [options].'
        )
    return study


def study_name(folder: Path, command: str) -> str:
    """Name of the study file of a command in a folder of results.

    It is ``study.toml``, or ``study-COMMAND.toml`` where ``study.toml`` is of another command, as
    several commands may share a folder.
    """
    path = folder / _FILE
    try:
        taken = path.exists() and read_study(path).command not in (None, command)
    except InputError:
        taken = True
    return f"study-{command}.toml" if taken else _FILE


def study_text(context: typer.Context, provenance: Iterable[str], name: str) -> str:
    """Text of a study file that repeats a call.

    Parameters
    ----------
    context : typer.Context
        Of the call.
    provenance : iterable of str
        The attr ``provenance`` of each result: hashes of the inputs.
    name : str
        Where the file will be, as the user names it.

    Returns
    -------
    str
        TOML. All options are in it, those that were not given too; where an option has no value, a
        comment says what is used instead.

    Raises
    ------
    InputError
        If an option holds bytes that are no text, which TOML cannot hold.
    """
    given, options, without = given_to(context), {}, []
    for key, parameter in _keys(context).items():
        value = context.params.get(parameter.name)
        if isinstance(value, str | list | tuple | Path):  # others are numbers, not their text
            value = given.get(parameter.name, value)
        if value is None or value in ((), []):
            usual = parameter.show_default if isinstance(parameter.show_default, str) else "none"
            without.append(f"# {key}: {usual}")
        else:
            options[key] = list(value) if isinstance(value, tuple) else value
    versions = {library: version(library) for library in _LIBRARIES}
    tables: dict[str, Mapping[str, Any]] = {
        "options": options,
        "versions": {"python": platform.python_version()} | versions,
        **{f"inputs.{side}": hashes for side, hashes in _hashes(provenance).items()},
    }
    head = (
        f"# convergent {versions['convergent']} wrote this file. To repeat the run:\n"
        f"#     convergent run {shown(name)}\n"
        "# Paths are relative to the folder in which the command is run. [inputs] are SHA-256.\n"
    )
    text = toml({"command": str(context.info_name)}, tables)
    first, rest = text.split("\n[versions]", 1)
    comments = "".join(f"{line}\n" for line in without)
    return f"{head}{first}{comments}\n[versions]{rest}"


def toml(top: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]) -> str:
    r"""Write plain values as TOML.

    Parameters
    ----------
    top : mapping
        Values without a table.
    tables : mapping of mapping
        Tables by name; a dot in a name separates names of tables.

    Returns
    -------
    str
        The text. Characters that are unseen, or act on a terminal, are escapes in it.

    Raises
    ------
    InputError
        If a text holds bytes that are no letters.

    Examples
    --------
    >>> print(toml({"command": "score"}, {"options": {"folds": 5, "layers": ["a", 'b"']}}))
    command = "score"
    <BLANKLINE>
    [options]
    folds = 5
    layers = ["a", "b\""]
    <BLANKLINE>
    """
    lines = [f"{_key(key)} = {_toml(value)}" for key, value in top.items()]
    for name, table in tables.items():
        lines += ["", f"[{'.'.join(map(_key, name.split('.')))}]"]
        lines += [f"{_key(key)} = {_toml(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def changed_inputs(context: typer.Context, provenance: Iterable[str]) -> str:
    """Say which inputs of a run are not those of the study file that it repeats; '' if none."""
    path, before = context.meta.get(_INPUTS, (None, {}))
    now = _hashes(provenance)
    changed = [
        f"{side} {name}"
        for side, several in now.items()
        for name, found in several.items()
        if isinstance(of_side := before.get(side), dict) and of_side.get(name, found) != found
    ]
    if not changed:
        return ""
    return (
        f"the inputs are not those of {path}: {examples(changed)} differ, as the data, the network "
        "or the options do."
    )


def _keys(context: typer.Context) -> dict[str, Any]:
    """Parameters that a study file may hold, by name on the command line."""
    found = {}
    for parameter in context.command.params:
        names = [one.removeprefix("--") for one in parameter.opts if one.startswith("--")]
        if parameter.name not in _NOT_KEPT:
            found[names[0] if names else str(parameter.name)] = parameter
    return found


def _unknown_key(path: Path, key: str, known: Iterable[str]) -> InputError:
    return InputError(f"{path}: {unknown('key', key, list(known))}")


def _value(path: Path, key: str, value: Any, parameter: Any, kind: Any) -> Any:
    """A value as the command line would give it."""
    several = parameter.multiple or parameter.nargs != 1
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        if several:
            return value
        if kind is str:
            for one in value:
                if "," in one:
                    raise InputError(
                        f"{path}: {key} holds {quoted(one)}: commas separate values, so write each "
                        "value by itself."
                    )
            return ",".join(value)
    known, expected = _KINDS["several" if several else getattr(kind, "__name__", "str")]
    if not isinstance(value, known) or (isinstance(value, bool) and kind is not bool):
        raise InputError(f"{path}: {key} = {quoted(value)}: give {expected}.")
    if isinstance(value, str) and not value.strip():
        raise InputError(f"{path}: {key} has no value: give one, or leave the line out.")
    return value


# types of values that an option takes, and what they are called
_KINDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "several": ((), 'a list of texts, ["a", "b"]'),
    "bool": ((bool,), "true or false"),
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "str": ((str,), 'a text, "..."'),
    "Path": ((str,), 'a path, "..."'),
}


def _kinds(context: typer.Context) -> dict[str, Any]:
    """Type of each parameter of a command, without None."""
    hints = get_type_hints(inspect.unwrap(context.command.callback or _kinds))
    return {
        name: next(iter(set(get_args(hint)) - {type(None)}), hint)
        if isinstance(hint, UnionType)
        else hint
        for name, hint in hints.items()
    }


def _hashes(provenance: Iterable[str]) -> dict[str, dict[str, str]]:
    """SHA-256 of the inputs, by side and name."""
    found: dict[str, dict[str, str]] = {}
    for text in provenance:
        for side, several in json.loads(text).items():
            if not isinstance(several, dict):
                continue
            for name, about in several.items():
                if isinstance(about, dict) and isinstance(about.get("sha256"), str):
                    found.setdefault(side, {})[name] = about["sha256"]
    return found


def _key(text: str) -> str:
    return text if re.fullmatch(r"[A-Za-z0-9_-]+", text) else _quoted(text)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)  # nan, inf and -inf
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return _quoted(str(value))


def _quoted(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise InputError(
            f"{quoted(text)} holds bytes that are no letters, which a study file cannot hold: give "
            "the file another name."
        ) from None
    return f'"{"".join(map(_letter, text))}"'


def _letter(letter: str) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable():
        return letter
    return f"\\u{ord(letter):04x}" if ord(letter) < 0x10000 else f"\\U{ord(letter):08x}"
