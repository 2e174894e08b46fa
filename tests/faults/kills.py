"""Kills: before and after each change of a file, and at random moments; then the same again."""

from __future__ import annotations

import itertools
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from apart import Ended, apart, folder
from outcomes import Outcome, files_of
from works import WORKS

Work = Callable[[Path], str]
_CHANGES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_USERS = {"notes.txt": "mine", ".hidden": "mine too"}  # files of the user in the same folder
_SECONDS = 60.0


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(WORKS)) -> Iterator[Outcome]:
    """Kills of each work.

    Parameters
    ----------
    each : int
        Number of kills at changes of files, for each work; half as many at random moments.
    seed : int
        Of these moments.
    only : tuple of str
        Names of works.
    """
    rng = random.Random(seed)
    for name in only:
        work = WORKS[name]
        with folder() as place:
            undisturbed = apart(_counted, work, _ready(place), seconds=_SECONDS)
            if not undisturbed.well:
                raise RuntimeError(f"{name} fails undisturbed: {undisturbed.said}")
            expected, n_changes, took = undisturbed.value
            left = files_of(place / "work")
        places = [(k, after) for k in range(n_changes) for after in (False, True)]
        first = (2, False)  # where all that there is has a temporary name
        for k, after in sorted({first, *rng.sample(places, min(each - 1, len(places)))}):
            case = f"{'after' if after else 'before'} change {k} of {n_changes}"
            yield _disturbed(
                f"killed: {name}", case, work, expected, left, killed_at_change, k, after
            )
        for number in itertools.islice(itertools.cycle(_SIGNALS), each // 2):
            moment = rng.uniform(0, took)
            case = f"{number.name} after {moment:.3f} s"
            yield _disturbed(
                f"killed: {name}", case, work, expected, left, _killed_later, moment, number
            )


def _ready(place: Path) -> Path:
    """A folder for the work, in which the user has files."""
    inside = place / "work"
    inside.mkdir()
    for name, text in _USERS.items():
        (inside / name).write_text(text)
    return inside


def _disturbed(
    kind: str,
    case: str,
    work: Work,
    expected: str,
    left: set[str],
    kill: Callable[..., Any],
    *how: Any,
) -> Outcome:
    """What becomes of a work that is killed and done again."""
    with folder() as place:
        inside = _ready(place)
        first = apart(kill, work, inside, *how, seconds=_SECONDS)
        again = apart(work, inside, seconds=_SECONDS)
        return Outcome(kind, case, *_judged(first, again, expected, inside, left))


def _judged(
    first: Ended, again: Ended, expected: str, inside: Path, left: set[str]
) -> tuple[str, str]:
    if first.hung or again.hung or again.signal:
        return "crashed or hung", f"signal {again.signal}"
    if any(
        not (inside / name).exists() or (inside / name).read_text() != text
        for name, text in _USERS.items()
    ):
        return "lost", "files of the user"
    if not again.well:
        return "not resumable", again.said
    if again.value != expected:
        return "silently wrong", "another result"
    there = files_of(inside)
    if gone := sorted(left - there):
        return "lost", ", ".join(gone[:3])
    if more := sorted(there - left):
        return "litter", more[0]
    return "survived", ""


def _counted(work: Work, inside: Path) -> tuple[str, int, float]:
    """Result of a work, the number of its changes of files, and the seconds that it took."""
    changes: list[int] = []
    sys.addaudithook(_watch(inside, lambda: changes.append(1)))
    start = time.perf_counter()
    result = work(inside)
    return result, len(changes), time.perf_counter() - start


def killed_at_change(work: Work, inside: Path, k: int, after: bool) -> str:
    """Do a work, and die before or after one of its changes of files."""
    count = iter(range(10**9))

    def changing() -> None:
        if next(count) == k:
            if not after:
                os.kill(os.getpid(), signal.SIGKILL)
            inner = sys._getframe(1).f_code  # of the hook, which returns before the change is done
            sys.setprofile(
                lambda frame, event, _: (
                    None
                    if frame.f_code in (inner, changing.__code__) or event == "c_return"
                    else os.kill(os.getpid(), signal.SIGKILL)
                )
            )

    sys.addaudithook(_watch(inside, changing))
    return work(inside)


def _killed_later(work: Work, inside: Path, seconds: float, number: int) -> str:
    """Do a work, and get a signal after some time."""
    timer = threading.Timer(seconds, os.kill, (os.getpid(), number))
    timer.daemon = True
    timer.start()
    return work(inside)


def _watch(inside: Path, changing: Callable[[], None]) -> Callable[[str, tuple[Any, ...]], None]:
    """A hook that is called before each change of a file or folder below a folder."""
    within = str(inside)

    def hook(event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            wanted = isinstance(flags, int) and flags & _WRITES
            if wanted and isinstance(path, str) and path.startswith(within):
                changing()
        elif event in _CHANGES:
            path = "" if isinstance(given[0], int) else os.fsdecode(given[0])
            if path.startswith(within) or not path.startswith("/"):
                changing()

    return hook
