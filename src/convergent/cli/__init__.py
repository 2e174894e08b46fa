"""The command line, ``convergent``: a module for each kind of question."""

from __future__ import annotations

import sys

import typer

from .between_networks import hierarchy, shift, trajectory
from .comparing import compare
from .endings import end
from .listing import datasets, fetch, networks
from .scoring import score
from .small_studies import findings, train
from .unit_features import features

__all__ = ["app", "main"]

app = typer.Typer(
    help="Compare the layers of neural networks with brains, and with each other.",
    pretty_exceptions_enable=False,
)

for command in (
    *(score, compare, hierarchy, shift, trajectory, features),
    *(datasets, fetch, networks, train, findings),
):
    app.command()(command)


def main() -> None:
    """Run a command; an error in the input is one line on stderr, without a traceback."""
    sys.exit(end(app, sys.argv[1:] or ["--help"]))
