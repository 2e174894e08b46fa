"""Runs that are repeated: ``convergent run``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..base.errors import InputError, unknown
from .options import home
from .study_files import read_study

__all__ = ["run"]


def run(
    context: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(callback=home, help="Study file that an earlier run wrote, or you did."),
    ],
) -> None:
    """Run the command of a study file, with its options.

    Each command writes a study file, study.toml, beside its results. Options that follow the file
    replace those in it; --out writes to another folder. Paths in the file are relative to the
    folder in which you run the command.
    """
    name = read_study(file).command
    commands = context.parent.command.commands if context.parent else {}  # type: ignore[attr-defined]
    known = {key: one for key, one in commands.items() if "config" in {p.name for p in one.params}}
    if name is None:
        raise InputError(
            f'{file} does not say which command it is for: add command = "score" at its top, or '
            f"another of {', '.join(known)}."
        )
    if name not in known:
        raise InputError(f"{file}: {unknown('command with study files', name, list(known))}")
    command = known[name]
    words = ["--config", str(file), *context.args]
    with command.make_context(name, words, parent=context.parent) as called:
        command.invoke(called)
