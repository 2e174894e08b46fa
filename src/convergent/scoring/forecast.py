"""Forecast of the cost of a score before it starts: pairs, time on this machine, memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from ..base.arguments import as_list, as_whole
from ..base.arrays import Floats
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..metrics.base import Metric
from ..metrics.column_generation import GROUPS, HELD_BYTES
from ..metrics.linear import Linear
from ..metrics.procrustes import Procrustes
from ..metrics.soft_matching import HELD_BYTES as RESPONSES_HELD
from ..metrics.soft_matching import SoftMatching
from ..metrics.table import METRICS, named_metrics
from ..protocol.folds import Folds, check_folds
from .engine import TILE_TARGETS
from .inputs import as_populations
from .tasks import TILE_BYTES

__all__ = ["Forecast", "forecast", "forecast_sizes"]

_BASE_BYTES = 600 * 2**20  # Python, numpy, torch and what they import
_PROBE = 1024  # side of the matrices with which the machine is timed
_FEW_AXES = 8  # matrix products that linear regression needs for all penalties together
_ROUNDS = 7  # rounds in which soft matching computes the price of all pairs of units
_PASSES = 1  # passes over all pairs of units in a round
_SIMPLEX = 1.0e-6  # seconds per candidate pair and round of the transport solver
_READING_PASSES = 6  # passes over all responses: checked, hashed, made float64, centred


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a score, without ceilings, bootstrap and shuffles.

    Times are right within a factor of about two.

    Parameters
    ----------
    pairs : int
        Number of pairs of a source and a target.
    folds : int
        Number of folds.
    seconds : dict of str to float
        Time on this machine alone, in seconds, by name of the metric; ``geometry`` is the time of
        the computations that all metrics share. NaN for metrics that are not part of `convergent`.
    memory : float
        Most memory in use at any time, in bytes, besides arrays that are in memory already.
    reading : float
        Responses that are read from disk or memory, in bytes; those of targets are read once for
        each fold.

    Examples
    --------
    >>> import convergent as cv
    >>> cost = cv.Forecast(1, 5, {"geometry": 2.0, "linear": 118.0}, memory=8e8, reading=4e8)
    >>> print(cost)
    1 pairs in 5 folds: about 2 min here (geometry 2 s, linear 2 min), 0.8 GB of memory
    """

    pairs: int
    folds: int
    seconds: Mapping[str, float]
    memory: float
    reading: float

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_duration(each)}" for name, each in self.seconds.items())
        known = [each for each in self.seconds.values() if not math.isnan(each)]
        return (
            f"{self.pairs} pairs in {self.folds} folds: about "
            f"{_duration(sum(known))} here ({parts}), "
            f"{self.memory / 1e9:.1f} GB of memory"
        )


def forecast(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
) -> Forecast:
    """Forecast the cost of `score`, from the sizes of populations and the speed of this machine.

    No responses are read. The speed of this machine is measured once, in about a second.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Populations that are mapped, and populations that are predicted.
    metrics : str, metric, or a list or dict of them
        As for `score`.
    folds : Folds
        How the stimuli are split.

    Returns
    -------
    Forecast
        Time and memory, without ceilings, bootstrap and shuffles.

    Raises
    ------
    InputError
        If a side is no population, or a metric is unknown.
    """
    check_folds(folds)
    sources, targets = as_populations("source", source), as_populations("target", target)
    n = min(len(assembly.stimuli) for assembly in (*sources.values(), *targets.values()))
    return forecast_sizes(
        n,
        [len(assembly.units) for assembly in sources.values()],
        [len(assembly.units) for assembly in targets.values()],
        metrics,
        folds=folds.n,
    )


def forecast_sizes(
    n_stimuli: int,
    source_units: Iterable[int],
    target_units: Iterable[int],
    metrics: Any = tuple(METRICS),
    *,
    folds: int = 5,
) -> Forecast:
    """Forecast the cost of a score from sizes alone, before there are data.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli that all populations share.
    source_units, target_units : iterable of int
        Number of units of each source, and of each target.
    metrics : str, metric, or a list or dict of them
        As for `score`.
    folds : int
        Number of folds.

    Returns
    -------
    Forecast
        Time and memory, without ceilings, bootstrap and shuffles.

    Raises
    ------
    InputError
        If a number is below 1, or a metric is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> print(cv.forecast_sizes(1000, [25_088, 4096], [300, 200], "linear"))  # doctest: +SKIP
    4 pairs in 5 folds: about 9.5 s here (geometry 7 s, linear 2.5 s), 0.7 GB of memory
    """
    chosen = named_metrics(metrics)
    p, q = _sizes("source_units", source_units), _sizes("target_units", target_units)
    n_stimuli, folds = as_whole("n_stimuli", n_stimuli), as_whole("folds", folds)
    n, rates = float(n_stimuli), _rates()
    rotates = any(isinstance(metric, Procrustes) for metric in chosen.values())
    factors = not all(isinstance(metric, SoftMatching) for metric in chosen.values())
    held = float(_geometry_bytes(n, q, folds).sum())
    tiles = min(len(q), math.ceil(max(held / TILE_BYTES, len(q) / TILE_TARGETS)))
    shared = 0.0
    for units, times in ((p, tiles if factors else 0.0), (q, 1.0 if rotates else 0.0)):
        gram = np.where(2 * units > n, n**2 * units, 0.0).sum() / rates["product"]
        solve = (folds * np.minimum(n, units) ** 2 * n).sum() / rates["eigenvectors"]
        shared += times * float(gram + solve)
    shared += _READING_PASSES * n * float(p.sum() + q.sum()) / rates["pass"]
    seconds = {"geometry": shared}
    for name, metric in chosen.items():
        cost: Callable[..., Any] = _COSTS.get(type(metric), _unknown)
        seconds[name] = folds * float(cost(n, p[:, None], q[None], rates).sum())
    working = 8 * n**2 * (1 + 5 * ((folds - 1) / folds) ** 2) if factors else 0.0
    if any(isinstance(metric, SoftMatching) for metric in chosen.values()):
        few, many = sorted((p.max(), q.max()))  # the larger side is read in blocks if it is large
        working += 12 * n * few + min(12 * n * many, 1.5 * RESPONSES_HELD)
        working += min(4 * few * many, HELD_BYTES)
    # a tile has at least one target, however large it is
    held = max(min(held, TILE_BYTES), _geometry_bytes(n, q.max(), folds)) if rotates else 0.0
    reading = 4 * n * (float(p.sum()) * tiles + float(q.sum()) * len(p) * folds * len(chosen))
    return Forecast(len(p) * len(q), folds, seconds, _BASE_BYTES + working + held, reading)


_Sizes = Any  # float arrays of numbers of units
_Rates = Mapping[str, float]


def _sizes(name: str, given: Iterable[int]) -> Floats:
    """Numbers of units, one or more."""
    several = as_list(name, given, "a list of numbers of units")
    if not several:
        raise InputError(f"{name} is empty: give the number of units of one population or more.")
    return np.array([as_whole(name, one) for one in several], dtype=np.float64)


def _linear(n: float, p: _Sizes, q: _Sizes, rates: _Rates) -> Any:
    return 2 * n * np.minimum(n, p) * q * (_FEW_AXES / rates["single"] + 2 / rates["product"])


def _procrustes(n: float, p: _Sizes, q: _Sizes, rates: _Rates) -> Any:
    p, q_axes = np.minimum(n, p), np.minimum(n, q)
    small, large = np.minimum(p, q_axes), np.maximum(p, q_axes)
    return small**2 * large / rates["singular"] + 0.4 * n**2 * q / rates["product"]


def _soft_matching(n: float, p: _Sizes, q: _Sizes, rates: _Rates) -> Any:
    times = np.where(4 * p * q > HELD_BYTES, _ROUNDS, 1)  # large correlations are not kept
    return (
        2 * n * p * q * times / rates["single"]
        + _ROUNDS * _PASSES * p * q / rates["pass"]
        + _ROUNDS * _SIMPLEX * 2 * GROUPS * (p + q)
    )


def _unknown(_n: float, p: _Sizes, q: _Sizes, _rates: _Rates) -> Any:
    return np.full(np.broadcast_shapes(p.shape, q.shape), np.nan)


_COSTS: dict[type[Metric], Callable[..., Any]] = {
    Linear: _linear,
    Procrustes: _procrustes,
    SoftMatching: _soft_matching,
}


def _geometry_bytes(n: float, units: _Sizes, folds: int) -> Any:
    return 8 * n * np.minimum(n, units) * (1 + folds)


@cache
def _rates() -> dict[str, float]:
    """Measure the speed of this machine, in operations per second."""
    a = torch.rand(_PROBE, _PROBE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    single, symmetric, large = a.float(), a @ a.T, torch.zeros(16 * _PROBE**2)
    works: dict[str, tuple[float, Callable[[], Any]]] = {
        "product": (2 * _PROBE**3, lambda: a @ a),
        "single": (2 * _PROBE**3, lambda: single @ single),
        "eigenvectors": (_PROBE**3, lambda: torch.linalg.eigh(symmetric)),
        "singular": (_PROBE**3, lambda: torch.linalg.svd(a)),
        "pass": (16 * _PROBE**2, lambda: large + 1),
    }
    return {name: size / min(_time(work) for _ in range(3)) for name, (size, work) in works.items()}


def _time(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "not known"
    for limit, size, unit in ((90, 1, "s"), (5400, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < limit:
            return f"{max(seconds / size, 0.1):.2g} {unit}"
    return f"{seconds / 86400:.0f} days"
