"""Two processes in one folder, at the same time; and one after another that crashed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from apart import Ended, apart, at_once, folder
from outcomes import Outcome, files_of
from works import WORKS

_SECONDS = 90.0


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(WORKS)) -> Iterator[Outcome]:
    """Works that two processes do at once in one folder.

    Parameters
    ----------
    each : int
        How often, for each work.
    seed : int
        Not used: no moment is drawn.
    only : tuple of str
        Names of works.
    """
    del seed
    for name in only:
        with folder() as place:
            inside = _new(place, "work")
            expected = apart(WORKS[name], inside, seconds=_SECONDS)
            left = files_of(inside)
        for number in range(each):
            with folder() as place:
                inside = _new(place, "work")
                both = at_once([(WORKS[name], inside)] * 2, _SECONDS)
                again = apart(WORKS[name], inside, seconds=_SECONDS)
                found, detail = _judged(both, again, expected, files_of(inside) - left)
                yield Outcome(f"two at once: {name}", f"time {number}", found, detail)


def _new(place: Path, name: str) -> Path:
    inside = place / name
    inside.mkdir()
    return inside


def _judged(both: list[Ended], again: Ended, expected: Ended, litter: set[str]) -> tuple[str, str]:
    every = [*both, again]
    if any(ended.signal or ended.hung for ended in every):
        return "crashed or hung", ""
    if any(ended.well and ended.value != expected.value for ended in every):
        return "silently wrong", "another result"
    if not again.well:
        return "not resumable", again.said
    refused = [ended for ended in both if not ended.well]
    if len(refused) == len(both):
        return "not resumable", f"both are refused: {refused[0].said}"
    if refused and not (refused[0].told and _says_who(refused[0].said)):
        return "raw traceback", refused[0].said
    if litter:
        return "litter", min(litter)
    return ("noticed" if refused else "survived"), ""


def _says_who(message: str) -> bool:
    """Whether a message names the process that holds a folder."""
    return re.search(r"process \d+", message) is not None
