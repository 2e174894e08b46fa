"""Progress of long work, displayed on stderr."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from .errors import shortened, shown

__all__ = ["displayed", "track"]

_T = TypeVar("_T")
_bars: list[str] = []  # what bars are displayed for
_MOST = 60  # characters of the name of the work


def track(steps: Iterable[_T], what: str, total: int, show: bool | None = None) -> Iterator[_T]:
    """Pass the steps on, and display a bar that says how many of them are done.

    Parameters
    ----------
    steps : iterable
        The steps of the work.
    what : str
        Name of the work.
    total : int
        Number of steps.
    show : bool, optional
        Whether to display the bar; by default, only if stderr is a terminal.

    Yields
    ------
    object
        Each step.
    """
    if not (sys.stderr.isatty() if show is None else show):
        yield from steps
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", markup=False),  # names may hold brackets
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    brief = shortened(shown(what), _MOST)
    _bars.append(brief)
    try:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            yield from progress.track(steps, total=total, description=brief)
    finally:
        _bars.remove(brief)


def displayed() -> bool:
    """Whether a bar is on the screen, which other output would break."""
    return bool(_bars)
