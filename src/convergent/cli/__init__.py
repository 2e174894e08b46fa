"""The command line, ``convergent``: a module for each kind of question."""

from __future__ import annotations

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from .between_networks import hierarchy, shift, trajectory
from .commands import Command, Commands
from .comparing import compare
from .console import print_line
from .endings import end
from .examples import epilog
from .listing import datasets, fetch, networks
from .repeating import run
from .scoring import score
from .small_studies import findings, train
from .unit_features import features

__all__ = ["app", "main"]

app = typer.Typer(
    cls=Commands,
    help="Compare the layers of neural networks with brains, and with each other.",
    epilog="To begin: convergent score, which needs no data. Each command has examples: "
    "convergent score --help",
    pretty_exceptions_enable=False,
)

_PANELS = {
    "Compare": (score, compare, hierarchy, shift, trajectory, features),
    "Repeat": (run,),
    "Data and networks": (datasets, fetch, networks, train, findings),
}
_FURTHER = {"allow_extra_args": True, "ignore_unknown_options": True}  # options of another command

for panel, commands in _PANELS.items():
    for command in commands:
        app.command(
            cls=Command,
            epilog=epilog(command.__name__),
            rich_help_panel=panel,
            context_settings=_FURTHER if command is run else None,
        )(command)


def _print_version(asked: bool) -> None:
    if asked:
        print_line(f"convergent {version('convergent')}")
        raise typer.Exit


@app.callback()
def _of_all(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run a command; an error in the input is one line on stderr, without a traceback."""
    sys.exit(end(app, sys.argv[1:] or ["--help"]))
