"""Forecast of the cost of a score before it starts: fits, time on this machine, memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any, NamedTuple, TypedDict, Unpack

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
from ..metrics.soft_matching import REFITTED_PAIRS, SoftMatching
from ..protocol.resampling import Bootstrap, Shuffle
from ..protocol.settings import Protocol, Settings, settle
from ..statistics.ceilings import SIMULATIONS
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
# what was measured beside the rates: work that is not matrix products, for each fit
_PENALTIES = 8 * 21  # passes over the responses, to choose among penalties
_STARTING = {Linear: 0.004, Procrustes: 0.008, SoftMatching: 0.002}  # seconds of a fit of any size
_REFITTING = {Linear: 0.001, Procrustes: 0.003, SoftMatching: 0.001}  # the same of a refit
_DRAWING = 2e-5  # seconds for one pair, fold and resample of held-out stimuli
_DRAWING_PASSES = 60  # passes over the scores of all units in a resample
_SPLITS = 100  # random halves for a reliability
_READING_PASSES = 6  # passes over all responses: checked, hashed, made float64, centred


@dataclass(frozen=True)
class Forecast:
    """Expected cost of a score: its ceiling, bootstrap, shuffles and controls are counted.

    Times are right within a factor of about three.

    Parameters
    ----------
    pairs : int
        Number of pairs of a source and a target.
    folds : int
        Number of folds.
    seconds : dict of str to float
        Time on this machine alone, in seconds. By name of the metric, the time of its fits to the
        data; ``geometry`` is the time of the computations that all metrics share. Where they are
        asked for, ``ceiling``, ``bootstrap`` (resamples of held-out stimuli), ``refits``,
        ``shuffles`` and ``controls`` of all metrics together. NaN for metrics that are not part of
        `convergent`.
    memory : float
        Most memory in use at any time, in bytes, besides arrays that are in memory already.
    reading : float
        Responses that are read from disk or memory, in bytes; those of targets are read once for
        each fold.
    fits : dict of str to int
        How many maps are fitted: to the data (``scores``), and in ceilings, refits, shuffles and
        controls.

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
    fits: Mapping[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {_duration(each)}" for name, each in self.seconds.items())
        known = [each for each in self.seconds.values() if not math.isnan(each)]
        return (
            f"{self.pairs} pairs in {self.folds} folds: about "
            f"{_duration(sum(known))} here ({parts}), "
            f"{self.memory / 1e9:.1f} GB of memory"
        )


class _Resampling(TypedDict, total=False):
    ceiling: str | None
    bootstrap: Bootstrap | None
    shuffle: Shuffle | None


def forecast(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = None,
    *,
    controls: int = 0,
    **settings: Unpack[Settings],
) -> Forecast:
    """Forecast the cost of `score`, from the sizes of populations and the speed of this machine.

    No responses are read. The speed of this machine is measured once, in about a second.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Populations that are mapped, and populations that are predicted.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; all by default.
    controls : int
        Number of other sets of sources of the same sizes, such as the layers of untrained networks,
        that are scored for `against`: without bootstrap and shuffles.
    **settings
        Settings of `score`: ``folds``, ``ceiling``, ``bootstrap`` and ``shuffle`` decide the cost.

    Returns
    -------
    Forecast
        Number of fits, time and memory.

    Raises
    ------
    InputError
        If a side is no population, or a metric or setting is unknown.
    """
    protocol, _ = settle(settings, Protocol(), metrics=metrics)
    sources, targets = as_populations("source", source), as_populations("target", target)
    n = min(len(assembly.stimuli) for assembly in (*sources.values(), *targets.values()))
    sizes = _checked(
        n,
        [len(assembly.units) for assembly in sources.values()],
        [len(assembly.units) for assembly in targets.values()],
        max(assembly.repeats for assembly in targets.values()),
    )
    return _forecast(sizes, protocol, as_whole("controls", controls, 0))


def forecast_sizes(
    n_stimuli: int,
    source_units: Iterable[int],
    target_units: Iterable[int],
    metrics: Any = None,
    *,
    folds: int = 5,
    repeats: int = 1,
    controls: int = 0,
    **settings: Unpack[_Resampling],
) -> Forecast:
    """Forecast the cost of a score from sizes alone, before there are data.

    Parameters
    ----------
    n_stimuli : int
        Number of stimuli that all populations share.
    source_units, target_units : iterable of int
        Number of units of each source, and of each target.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; all by default.
    folds : int
        Number of folds.
    repeats : int
        Number of repeats of each stimulus in the targets. Without repeats, ceilings that need them
        cost nothing.
    controls : int
        As for `forecast`.
    **settings
        ``ceiling``, ``bootstrap`` and ``shuffle``, as for `score`.

    Returns
    -------
    Forecast
        Number of fits, time and memory.

    Raises
    ------
    InputError
        If a number is below 1, or a metric or setting is unknown.

    Examples
    --------
    >>> import convergent as cv
    >>> print(cv.forecast_sizes(1000, [25_088, 4096], [300, 200], "linear"))  # doctest: +SKIP
    4 pairs in 5 folds: about 9.5 s here (geometry 7 s, linear 2.5 s), 0.7 GB of memory
    >>> cost = cv.forecast_sizes(640, [100] * 6, [90] * 4, "linear", shuffle=cv.Shuffle(20))
    >>> dict(cost.fits)
    {'scores': 120, 'shuffles': 2400}
    """
    given: Any = settings
    protocol, _ = settle(given, Protocol(), ("folds",), metrics)
    folds = as_whole("folds", folds)
    sizes = _checked(n_stimuli, source_units, target_units, repeats)
    return _forecast(sizes, protocol, as_whole("controls", controls, 0), folds)


_Units = Any  # float arrays of numbers of units
_Rates = Mapping[str, float]


class _Sizes(NamedTuple):
    """What decides the cost, of the populations."""

    n: float  # stimuli
    p: Floats  # units of each source
    q: Floats  # units of each target
    repeats: int


class _Cost(NamedTuple):
    """Parts of the cost of one metric, each for all pairs and folds once."""

    fit: float
    draw: float  # of a resample of held-out stimuli
    refit: float
    own: float  # a fit of each target to itself, as in ceilings


def _checked(n: Any, p: Iterable[int], q: Iterable[int], repeats: Any) -> _Sizes:
    return _Sizes(
        float(as_whole("n_stimuli", n)),
        _sizes("source_units", p),
        _sizes("target_units", q),
        as_whole("repeats", repeats),
    )


def _forecast(sizes: _Sizes, protocol: Protocol, controls: int, folds: int = 0) -> Forecast:
    """Forecast from sizes, once all arguments are checked."""
    n, p, q, _ = sizes
    folds, rates, metrics = folds or protocol.folds.n, _rates(), protocol.metrics
    rotates = any(isinstance(metric, Procrustes) for metric in metrics.values())
    factors = not all(isinstance(metric, SoftMatching) for metric in metrics.values())
    held = float(_geometry_bytes(n, q, folds).sum())
    tiles = min(len(q), math.ceil(max(held / TILE_BYTES, len(q) / TILE_TARGETS)))
    of_sources = _geometry(n, p, folds, rates) * (tiles if factors else 0.0)
    of_targets = _geometry(n, q, folds, rates) * (1.0 if rotates else 0.0)
    reading = _READING_PASSES * n * float(p.sum() + q.sum()) / rates["pass"]
    costs = {name: _cost(metric, sizes, folds, rates) for name, metric in metrics.items()}
    seconds = {"geometry": of_sources + of_targets + reading}
    seconds |= {name: cost.fit for name, cost in costs.items()}
    seconds |= _further(sizes, protocol, controls, list(costs.values()), of_sources, of_targets)
    few, many = sorted((p.max(), q.max()))  # the larger side is read in blocks if it is large
    working = 8 * n**2 * (1 + 5 * ((folds - 1) / folds) ** 2) if factors else 0.0
    if any(isinstance(metric, SoftMatching) for metric in metrics.values()):
        working += 12 * n * few + min(12 * n * many, 1.5 * RESPONSES_HELD)
        working += min(4 * few * many, HELD_BYTES)
    # a tile has at least one target, however large it is
    held = max(min(held, TILE_BYTES), _geometry_bytes(n, q.max(), folds)) if rotates else 0.0
    read = 4 * n * (float(p.sum()) * tiles + float(q.sum()) * len(p) * folds * len(metrics))
    fits = _fits(sizes, protocol, controls, folds)
    memory = _BASE_BYTES + working + held
    return Forecast(len(p) * len(q), folds, seconds, memory, read, fits)


def _fits(sizes: _Sizes, protocol: Protocol, controls: int, folds: int) -> dict[str, int]:
    """How many maps are fitted, by what for."""
    pairs, of_metrics = len(sizes.p) * len(sizes.q), folds * len(protocol.metrics)
    scores = pairs * of_metrics
    fits = {"scores": scores}
    if of_ceiling := _fits_of_ceiling(protocol.ceiling, sizes.repeats):
        fits["ceiling"] = of_ceiling * len(sizes.q) * of_metrics
    if protocol.bootstrap:
        fits["refits"] = _refits(protocol) * scores
    if protocol.shuffle:
        fits["shuffles"] = protocol.shuffle.samples * scores
    if controls:
        fits["controls"] = controls * scores
    return fits


def _refits(protocol: Protocol) -> int:
    """Number of resamples in which maps are fitted again: none where only units are drawn."""
    drawn = protocol.bootstrap
    if drawn is None or "stimuli" not in drawn.over:
        return 0
    return min(drawn.refits, drawn.samples)


def _fits_of_ceiling(ceiling: str | None, repeats: int) -> int:
    """How often a ceiling fits a population to another, for each target, metric and fold."""
    if ceiling == "attainable" and repeats > 1:
        return 2 * SIMULATIONS + SIMULATIONS // 2
    return {"self": 1, "inter-subject": 2}.get(ceiling or "", 0)


def _further(
    sizes: _Sizes,
    protocol: Protocol,
    controls: int,
    costs: Sequence[_Cost],
    of_sources: float,
    of_targets: float,
) -> dict[str, float]:
    """Seconds of what is asked for besides the scores: ceiling, resamples, shuffles, controls."""
    found: dict[str, float] = {}
    drawn = protocol.bootstrap
    samples = drawn.samples if drawn and "stimuli" in drawn.over else 0
    times = _fits_of_ceiling(protocol.ceiling, sizes.repeats)
    ceiling = times * (sum(cost.own for cost in costs) + of_targets)
    if sizes.repeats > 1:
        ceiling += _reliability(sizes, protocol.ceiling, samples)
    if ceiling and protocol.ceiling:
        found["ceiling"] = ceiling
    if drawn:
        found["bootstrap"] = samples * sum(cost.draw for cost in costs)
        found["refits"] = _refits(protocol) * sum(cost.refit for cost in costs)
    if protocol.shuffle:
        again = of_targets if protocol.shuffle.kind == "circular" else 0.0
        found["shuffles"] = protocol.shuffle.samples * (sum(cost.fit for cost in costs) + again)
    if controls:
        found["controls"] = controls * (sum(cost.fit for cost in costs) + of_sources + of_targets)
    return found


def _reliability(sizes: _Sizes, ceiling: str | None, samples: int) -> float:
    """Seconds for the reliability of the units of all targets, and in resamples."""
    rates, units = _rates(), float(sizes.q.sum())
    splits = _SPLITS if ceiling == "split-half" else 1
    once = 3 * splits * sizes.n * units * sizes.repeats / rates["pass"]
    draw = splits * units * (25 * sizes.n / rates["product"] + _DRAWING_PASSES / rates["pass"])
    return once + samples * draw


def _geometry(n: float, units: Floats, folds: int, rates: _Rates) -> float:
    """Seconds for the Gram matrix of each population, and its factors in all folds."""
    gram = np.where(2 * units > n, n**2 * units, 0.0).sum() / rates["product"]
    return float(gram + (folds * np.minimum(n, units) ** 2 * n).sum() / rates["eigenvectors"])


def _cost(metric: Any, sizes: _Sizes, folds: int, rates: _Rates) -> _Cost:
    """Seconds of a metric."""
    n, p, q = sizes.n, sizes.p[:, None], sizes.q[None]
    kind = type(metric)
    if kind not in _COSTS:
        return _Cost(*[float("nan")] * 4)
    fit, refit = (partial(of[kind], n, rates=rates) for of in (_COSTS, _REFIT_COSTS))
    starting = _STARTING[kind]
    width = p + q if kind is SoftMatching else q
    drawn = width * (10 * n / folds / rates["product"] + _DRAWING_PASSES / rates["pass"])
    draw = (drawn + _DRAWING) * (1 if kind is Linear else 2)
    again = refit(p, q) + _REFITTING[kind] + draw
    if kind is SoftMatching:  # large plans are not made again
        again = np.where(p * q > REFITTED_PAIRS, draw, again)
    parts = (fit(p, q) + starting, draw, again, fit(sizes.q, sizes.q) + starting)
    return _Cost(*(folds * float(np.sum(part)) for part in parts))


def _sizes(name: str, given: Iterable[int]) -> Floats:
    """Numbers of units, one or more."""
    several = as_list(name, given, "a list of numbers of units")
    if not several:
        raise InputError(f"{name} is empty: give the number of units of one population or more.")
    return np.array([as_whole(name, one) for one in several], dtype=np.float64)


def _linear(n: float, p: _Units, q: _Units, rates: _Rates) -> Any:
    products = np.minimum(n, p) * (_FEW_AXES / rates["single"] + 2 / rates["product"])
    return 2 * n * q * products + _PENALTIES * n * q / rates["pass"]


def _linear_again(n: float, p: _Units, q: _Units, rates: _Rates) -> Any:
    """A refit keeps the penalties, and moves the weights."""
    return 4 * n * np.minimum(n, p) * q / rates["product"] + 6 * n * q / rates["pass"]


def _procrustes(n: float, p: _Units, q: _Units, rates: _Rates) -> Any:
    p, q_axes = np.minimum(n, p), np.minimum(n, q)
    small, large = np.minimum(p, q_axes), np.maximum(p, q_axes)
    return small**2 * large / rates["singular"] + 0.4 * n**2 * q / rates["product"]


def _procrustes_again(n: float, p: _Units, q: _Units, rates: _Rates) -> Any:
    axes = np.minimum(n, p) + np.minimum(n, q)
    inner = 2 * n * np.minimum(n, p) * np.minimum(n, q) / rates["product"]
    return _procrustes(n, p, q, rates) + 6 * n * axes / rates["pass"] + inner


def _soft_matching(n: float, p: _Units, q: _Units, rates: _Rates) -> Any:
    times = np.where(4 * p * q > HELD_BYTES, _ROUNDS, 1)  # large correlations are not kept
    return (
        2 * n * p * q * times / rates["single"]
        + _ROUNDS * _PASSES * p * q / rates["pass"]
        + _ROUNDS * _SIMPLEX * 2 * GROUPS * (p + q)
    )


_COSTS: dict[type[Metric], Callable[..., Any]] = {
    Linear: _linear,
    Procrustes: _procrustes,
    SoftMatching: _soft_matching,
}
_REFIT_COSTS: dict[type[Metric], Callable[..., Any]] = {
    Linear: _linear_again,
    Procrustes: _procrustes_again,
    SoftMatching: _soft_matching,
}


def _geometry_bytes(n: float, units: _Units, folds: int) -> Any:
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
