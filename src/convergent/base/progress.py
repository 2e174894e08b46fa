"""Progress of long work, on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = ["track"]

_T = TypeVar("_T")


def track(steps: Iterable[_T], what: str, total: int, show: bool | None = None) -> Iterator[_T]:
    """Pass the steps on, with a bar that says how far the work is.

    Parameters
    ----------
    steps : iterable
        What is worked through.
    what : str
        Name of the work.
    total : int
        Number of steps.
    show : bool, optional
        Whether to draw; where left out, only if stderr is a terminal.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield from steps
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(steps, total=total, description=what)
