"""What must decide no bit of a result: threads, order of stimuli, stores, dask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
import works
from apart import apart, folder
from outcomes import Outcome, digest

import convergent as cv

# of units, tests/test_invariance.py says more, and within rounding


def _scores(sources: dict[str, cv.Assembly], target: cv.Assembly, **settings: object) -> str:
    found = cv.score(
        sources,
        target,
        ["linear", "procrustes", "soft-matching"],
        folds=cv.Folds(3),
        progress=False,
        **settings,
    )
    return digest([found["r"].values, found["r"].dims])


def _sources() -> dict[str, cv.Assembly]:
    return {"a": works.recording(30, 2).average(), "b": works.recording(4, 3).average()}


def _plain(_inside: Path) -> str:
    return _scores(_sources(), works.recording())


def _two_threads(_inside: Path) -> str:
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(2)
    with threadpool_limits(2):
        return _scores(_sources(), works.recording())


def _other_order(_inside: Path) -> str:
    order = np.random.default_rng(0).permutation(works.N_STIMULI)
    sources = {name: cv.Assembly(one.data[order]) for name, one in _sources().items()}
    return _scores(sources, cv.Assembly(works.recording().data[order[::-1]]))


def _from_netcdf(inside: Path) -> str:
    sources = {k: cv.open(v.save(inside / f"{k}.nc")) for k, v in _sources().items()}
    return _scores(sources, cv.open(works.recording().save(inside / "target.nc")))


def _from_zarr(inside: Path) -> str:
    sources = {k: cv.open(v.save(inside / f"{k}.zarr")) for k, v in _sources().items()}
    return _scores(sources, cv.open(works.recording().save(inside / "target.zarr")))


def _chunked(_inside: Path) -> str:
    sources = {
        k: cv.Assembly(v.data.chunk({"stimulus": 7, "unit": 3})) for k, v in _sources().items()
    }
    return _scores(sources, cv.Assembly(works.recording().data.chunk({"unit": 2})))


def _in_study_twice(inside: Path) -> str:
    _scores(_sources(), works.recording(), study=inside / "study")
    return _scores(_sources(), works.recording(), study=inside / "study")


def _activations(inside: Path, batch_size: int = 32, kept: str = "") -> str:
    shown = works.images(60)
    where = {"store": inside / "store"} if kept == "store" else {}
    where = {"study": inside / "study"} if kept == "study" else where
    layers = [works.EARLY, works.LATE]
    found = cv.extract(
        works.network(), shown, layers, batch_size=batch_size, progress=False, **where
    )
    return digest([one.data.values for one in found.values()])


Way = Callable[[Path], str]
SAME: dict[str, tuple[Way, dict[str, Way]]] = {
    "scores": (
        _plain,
        {
            "two threads": _two_threads,
            "order of stimuli": _other_order,
            "saved as .nc": _from_netcdf,
            "saved as .zarr": _from_zarr,
            "dask": _chunked,
            "from a study": _in_study_twice,
        },
    ),
    "activations": (
        _activations,
        {
            "in a store": lambda inside: _activations(inside, kept="store"),
            "in a study": lambda inside: _activations(inside, kept="study"),
            "again": _activations,
        },
    ),
}


def outcomes(each: int, seed: int, only: tuple[str, ...] = tuple(SAME)) -> Iterator[Outcome]:
    """Each way to the same result.

    Parameters
    ----------
    each : int
        At most this many, for each result.
    seed : int
        Not used.
    only : tuple of str
        Names of results.
    """
    del seed
    for name in only:
        plainly, ways = SAME[name]
        with folder() as place:
            expected = apart(plainly, place, seconds=60)
        for case, way in list(ways.items())[:each]:
            with folder() as place:
                ended = apart(way, place, seconds=60)
            if not ended.well:
                yield Outcome(f"same: {name}", case, "raw traceback", ended.said)
                continue
            same = ended.value == expected.value
            yield Outcome(f"same: {name}", case, "survived" if same else "silently wrong")
