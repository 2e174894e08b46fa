"""The command line, ``convergent``: a module for each kind of question."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import typer

from ..base.errors import InputError
from .between_networks import hierarchy, shift, trajectory
from .comparing import compare
from .console import note
from .listing import datasets, fetch, networks
from .scoring import score
from .small_studies import findings, train
from .unit_features import features

__all__ = ["app", "main"]

app = typer.Typer(
    help="Compare the layers of neural networks with brains, and with each other.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

for command in (
    *(score, compare, hierarchy, shift, trajectory, features),
    *(datasets, fetch, networks, train, findings),
):
    app.command()(command)


def main() -> None:
    """Run a command; an error in the input is one line on stderr, without a traceback."""
    sys.path.append(str(Path.cwd()))  # so that module:function may be a file in this folder
    with warnings.catch_warnings():  # which restores showwarning
        warnings.showwarning = _show_warning
        try:
            app()
        except (InputError, OSError) as error:
            note(f"error: {error}")
            sys.exit(2)


def _show_warning(message: Warning | str, *_where: object, **_more: object) -> None:
    note(f"warning: {message}")
