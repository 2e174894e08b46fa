"""Runs of a command: what was asked, kept in each result, so that no run replaces another's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from ..base.checksums import DamageError
from ..base.errors import InputError
from ..base.netcdf import open_netcdf
from .options import parts_of

__all__ = ["Run"]

_ATTR = "command"
_UNDECIDED = {
    "out",
    "config",
    "as_json",
    "overwrite",
    "batch_size",
    "scheduler",
}  # these decide no number
_MAY_BE_ADDED = {"bootstrap", "shuffle", "controls"}  # where there were none
_OF_BOOTSTRAP = {"refits", "over"}
# more of these leave what there was as it is; in other commands, layers decide the depths of others
_MAY_GROW = {"metrics", "references"}
_LAYERS_MAY_GROW = {"score", "compare"}


@dataclass(frozen=True)
class Run:
    """What a command was asked.

    Attributes
    ----------
    command : str
        Its name.
    options : mapping
        Arguments and options that decide its results; plain values.
    overwrite : bool
        Whether results of other runs may be replaced.
    context : typer.Context
        Of the call; what it holds is released when the command ends.
    """

    command: str
    options: Mapping[str, Any]
    overwrite: bool
    context: typer.Context = field(repr=False, compare=False)

    @classmethod
    def of(cls, context: typer.Context, overwrite: bool, *without: str) -> Run:
        """Run of the command that was called.

        Parameters
        ----------
        context : typer.Context
            Of the call.
        overwrite : bool
            Whether results of other runs may be replaced.
        *without : str
            Options that decide which results there are, and not what is in them.
        """
        left_out = _UNDECIDED.union(without)
        if not context.params.get("bootstrap", True):
            left_out |= _OF_BOOTSTRAP
        options = {k: _lasting(v) for k, v in context.params.items() if k not in left_out}
        return cls(str(context.info_name), options, overwrite, context)

    @property
    def attrs(self) -> dict[str, str]:
        """What a result keeps of the run, as its attributes."""
        return {_ATTR: json.dumps({"name": self.command, "options": self.options})}

    def check(self, file: Path) -> None:
        """Refuse to replace a result of another run.

        Parameters
        ----------
        file : Path
            A result that the folder already holds.

        Raises
        ------
        InputError
            If this run would not give all that is in it.
        """
        other = self._differs(file)
        if other and not self.overwrite:
            raise InputError(
                f"{file} is of another run ({other}), and is left as it is: choose another folder "
                "with --out, or replace it with --overwrite."
            )

    def _differs(self, file: Path) -> str:
        """How the run that wrote a result differs from this one; '' if it does not."""
        try:
            with open_netcdf(file) as result:
                found = json.loads(result.attrs[_ATTR])
            name, options = str(found["name"]), dict(found["options"])
        except InputError:  # no permission
            raise
        except DamageError as error:
            return f"which one is not known, as it is damaged: {error}"
        except (OSError, ValueError, KeyError, TypeError, RuntimeError):
            return "which one is not known"
        if name != self.command:
            return f"of convergent {name}"
        return ", ".join(
            f"{_option(key)} was {_written(value)}, and is {_written(self.options.get(key))}"
            for key, value in options.items()
            if not self._holds(key, value)
        )

    def _holds(self, key: str, before: Any) -> bool:
        """Whether what an option gave before is among what it gives now."""
        now = self.options.get(key)
        if now == before or (key in _MAY_BE_ADDED and not before):
            return True
        grows = key in _MAY_GROW or (key.startswith("layers") and self.command in _LAYERS_MAY_GROW)
        if not grows or not isinstance(before, str) or not isinstance(now, str):
            return False
        return set(parts_of(before)) <= set(parts_of(now))


def _lasting(value: Any) -> Any:
    """A plain value that means the same in another working folder."""
    if isinstance(value, list | tuple):
        return [_lasting(one) for one in value]
    if not isinstance(value, str | Path):
        return value
    name, equals, path = str(value).rpartition("=")  # as in NAME=CHECKPOINT
    return f"{name}{equals}{Path(path).resolve()}" if path and Path(path).exists() else str(value)


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}" if key not in {"first", "second", "runs"} else key


def _written(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "not given" if value is None else str(value)
