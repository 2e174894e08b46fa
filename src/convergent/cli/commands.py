"""What all commands have in common before their own work: help, and options given once."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable
from typing import Any

import typer
from rich.markup import escape
from typer.core import TyperCommand, TyperGroup

from ..base.errors import InputError
from .steps import doing

__all__ = ["Command", "Commands", "given_to"]

_GIVEN = "convergent.cli.commands.given"
# options that take several values in one word
_WITH_COMMAS = {
    *("--layers", "--layers-second", "--metrics", "--references", "--distortion"),
    *("--over", "--seeds", "--where", "--where-second"),
}


def given_to(context: typer.Context) -> dict[str, Any]:
    """Arguments and options as the user wrote them, before paths of a home folder are written out.

    Parameters
    ----------
    context : typer.Context
        Of the call.

    Returns
    -------
    dict
        By name of the parameter; those of a study file are among them.
    """
    return dict(context.default_map or {}) | dict(context.meta.get(_GIVEN, {}))


class Command(TyperCommand):
    """A command that refuses an option that is given twice, and whose help is as it is written."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read arguments and options."""
        if not ctx.resilient_parsing:  # as it is where words are completed
            given, _, order = self.make_parser(ctx).parse_args(args=list(args))
            _check_once(order)
            ctx.meta[_GIVEN] = {name: value for name, value in given.items() if value is not None}
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a long one says that it goes on, between its steps too."""
        names = {parameter.name for parameter in self.params}
        if not names & {"config", "epochs"}:
            return super().invoke(ctx)
        with doing(f"convergent {ctx.info_name}"):
            return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        super(Command, _literal(self)).format_help(ctx, formatter)


class Commands(TyperGroup):
    """The commands."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Print the help."""
        alike = _literal(self)
        alike.commands = {name: _literal(command) for name, command in self.commands.items()}
        super(Commands, alike).format_help(ctx, formatter)


def _check_once(parameters: Iterable[Any]) -> None:
    """Refuse an option that may be given once, and is given several times."""
    for parameter, times in Counter(parameters).items():
        if times > 1 and not parameter.multiple and parameter.nargs == 1:
            option = next(one for one in parameter.opts if one.startswith("--"))
            several = ", with commas between its values" if option in _WITH_COMMAS else ""
            raise InputError(f"{option} is given {times} times: give it once{several}.")


def _literal(shown: Any) -> Any:
    """A copy of a command or option whose texts are printed as they are: [brackets] are no styles.

    The command itself keeps its texts, from which pages are made.
    """
    alike = copy.copy(shown)
    for name in ("help", "short_help", "epilog"):
        text = getattr(shown, name, None)
        if isinstance(text, str):
            setattr(alike, name, escape(text))
    if hasattr(shown, "params"):
        alike.params = [_literal(one) for one in shown.params]
    return alike
