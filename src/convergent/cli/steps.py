"""Steps of a command: what it does now, said on stderr, and what it has kept if it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ..base.progress import displayed
from .console import add_dots, command_line, note

__all__ = ["begin", "doing", "interrupted", "keeps"]

_SOON = 1.0  # seconds after which a step is named
_DOT = 1.5  # seconds from dot to dot, so that no two seconds are silent
_LATER = 600, 60.0  # after so many seconds, so many from dot to dot

_steps: list[object] = []  # those that are under way, the innermost last
_kept: list[str] = []


def begin() -> None:
    """Forget what an earlier command kept."""
    _steps.clear()
    _kept.clear()


@contextmanager
def doing(what: str, *, always: bool = False) -> Iterator[None]:
    """Say on stderr what is done, if it takes a moment, and how long it took.

    Where stderr is no terminal too, as in a log. While a progress bar is displayed, nothing is
    added to it.

    Parameters
    ----------
    what : str
        What is done.
    always : bool
        Whether to say how long it took even if that is short.
    """
    began, step, done = time.perf_counter(), object(), threading.Event()
    said: list[str] = []
    thread = threading.Thread(target=_say, args=(what, step, done, said), daemon=True)
    _steps.append(step)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if step in _steps:
            _steps.remove(step)
    if always or said:
        note(f"{what}: {time.perf_counter() - began:.1f} s")


def keeps(what: str, where: Path) -> None:
    """Remember that finished work is kept, for the message if the command is stopped.

    Parameters
    ----------
    what : str
        What is kept.
    where : Path
        The folder.
    """
    _kept.append(f"{what} stays in {where}" if what.endswith("work") else f"{what} stay in {where}")


def interrupted(words: Sequence[str]) -> str:
    """Say what is kept after a command was stopped, and how to go on.

    Parameters
    ----------
    words : list of str
        The command, its arguments and options.

    Returns
    -------
    str
        One line, with the command to go on.
    """
    again = command_line(*words)
    if not _kept:
        return f"interrupted: nothing is kept. To begin again: {again}"
    kept = ", and ".join(_kept)
    return f"interrupted: {kept}. To go on where it stopped, in the same folder: {again}"


def _say(what: str, step: object, done: threading.Event, said: list[str]) -> None:
    """Name a step, then add dots, until it is done."""
    began, pause = time.perf_counter(), _SOON
    while not done.wait(pause):
        if _steps[-1:] == [step] and not displayed():
            add_dots(what, not said)
            said.append(what)
        pause = _DOT if time.perf_counter() - began < _LATER[0] else _LATER[1]
