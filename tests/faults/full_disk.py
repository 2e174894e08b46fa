"""A full disk: a small file system where one may be mounted, else a limit on the size of files."""

from __future__ import annotations

import contextlib
import random
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import works
from apart import Ended, apart, folder
from outcomes import Outcome, digest, files_of

import convergent as cv

_SECONDS = 60.0
_OLD = "old.nc"  # a file of before, which no fault may harm


def _save(name: str, inside: Path) -> str:
    works.recording(400).save(inside / name)
    return digest(cv.open(inside / name))


def _report(inside: Path) -> str:
    scores = cv.score(
        works.recording(4, 2).average(),
        works.recording(),
        ["linear"],
        folds=cv.Folds(3),
        progress=False,
    )
    cv.report(scores, inside / "report.html")
    return digest(scores)


WORKS: dict[str, Callable[[Path], str]] = {
    "save .nc": partial(_save, "a.nc"),
    "save .zarr": partial(_save, "a.zarr"),
    "report": _report,
    **works.WORKS,
}


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(WORKS)) -> Iterator[Outcome]:
    """Works in too little space, and again with enough.

    Parameters
    ----------
    each : int
        Number of sizes of the disk, for each work.
    seed : int
        Of these sizes.
    only : tuple of str
        Names of works.
    """
    rng = random.Random(seed)
    mounted = _may_mount()
    for name in only:
        work = WORKS[name]
        with folder() as place:
            inside = place / "work"
            inside.mkdir()
            expected = apart(work, inside, seconds=_SECONDS)
            if not expected.well:
                raise RuntimeError(f"{name} fails with enough space: {expected.said}")
            files = [inside / file for file in files_of(inside) if (inside / file).is_file()]
            sizes = [file.stat().st_size for file in files]
        most = sum(4096 * (1 + size // 4096) for size in sizes) if mounted else max(sizes)
        for _ in range(each):
            size = int(most * rng.random() ** 2)  # more often early
            limit = _disk if mounted else _limit
            with folder() as place, limit(place / "work", size) as (run, more):
                yield Outcome(
                    f"full disk: {name}",
                    f"{size} of {most} bytes",
                    *_tried(work, place / "work", run, more, expected),
                )


def _tried(
    work: Callable[[Path], str],
    inside: Path,
    run: Callable[[Callable[[Path], str], Path], str],
    more: Callable[[], None],
    expected: Ended,
) -> tuple[str, str]:
    """Work in too little space, and then again."""
    old = (inside / _OLD).read_bytes()
    first = apart(run, work, inside, seconds=_SECONDS)
    if (inside / _OLD).read_bytes() != old:
        return "lost", _OLD
    more()
    again = apart(work, inside, seconds=_SECONDS)
    if first.signal or first.hung or again.signal or again.hung:
        return "crashed or hung", f"signal {first.signal or again.signal}"
    if first.well and first.value != expected.value:
        return "silently wrong", "another result in too little space"
    if not again.well:
        return "not resumable", again.said
    if again.value != expected.value:
        return "silently wrong", "another result when done again"
    if first.well:
        return "survived", ""
    if not first.told or not _helps(first.said, inside):
        return "raw traceback", first.said
    return "noticed", ""


def _helps(message: str, inside: Path) -> bool:
    """Whether a message names the place, and says that space is lacking."""
    return str(inside) in message and any(word in message for word in ("space", "disk", "large"))


def _may_mount() -> bool:
    with folder() as place:
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)],
            check=False,
            capture_output=True,
        )
        if done.returncode == 0:
            subprocess.run(["umount", str(place)], check=True)
        return done.returncode == 0


_Limited = tuple[Callable[[Callable[[Path], str], Path], str], Callable[[], None]]


@contextlib.contextmanager
def _disk(inside: Path, size: int) -> Iterator[_Limited]:
    """A file system of some size, and a function that makes it large."""
    inside.mkdir()
    _mount("size=64m", "-t", "tmpfs", "none", str(inside))
    try:
        works.recording(2).save(inside / _OLD)
        used = shutil.disk_usage(inside).used
        _mount(f"remount,size={4096 * (1 + (used + size) // 4096)}", str(inside))
        yield _plainly, partial(_mount, "remount,size=64m", str(inside))
    finally:
        subprocess.run(["umount", "--lazy", str(inside)], check=True)


def _mount(options: str, *words: str) -> None:
    subprocess.run(["mount", "-o", options, *words], check=True)


def _plainly(work: Callable[[Path], str], inside: Path) -> str:
    return work(inside)


@contextlib.contextmanager
def _limit(inside: Path, size: int) -> Iterator[_Limited]:
    """No file may be larger than some size, in the process that works."""
    inside.mkdir()
    works.recording(2).save(inside / _OLD)
    yield partial(_limited, size), lambda: None


def _limited(size: int, work: Callable[[Path], str], inside: Path) -> str:
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))  # Python ignores SIGXFSZ
    try:
        return work(inside)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
