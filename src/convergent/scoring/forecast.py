"""What a score will cost before it starts: pairs, memory, time on this machine."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch

from ..base.errors import InputError
from ..data.assembly import Assembly
from ..metrics.base import Metric
from ..metrics.column_generation import GROUPS, HELD_BYTES
from ..metrics.linear import Linear
from ..metrics.procrustes import Procrustes
from ..metrics.soft_matching import HELD_BYTES as RESPONSES_HELD
from ..metrics.soft_matching import SoftMatching
from ..metrics.table import METRICS, named_metrics
from ..protocol.folds import Folds
from .engine import TILE_TARGETS
from .inputs import as_populations
from .tasks import TILE_BYTES

__all__ = [
    "BASE_BYTES",
    "COSTS",
    "FEW_AXES",
    "PASSES",
    "PROBE",
    "READING_PASSES",
    "ROUNDS",
    "SIMPLEX",
    "Forecast",
    "Rates",
    "Sizes",
    "forecast",
    "forecast_sizes",
]

BASE_BYTES = 600 * 2**20  # Python, numpy, torch and what they import
PROBE = 1024  # side of the matrices that the machine is timed with
FEW_AXES = 8  # products that stand for all penalties
ROUNDS = 7  # in which soft matching prices all pairs
SIMPLEX = 1.0e-6  # seconds a candidate pair and round
PASSES = 1  # over all pairs of units, in a round
READING_PASSES = 6  # over all responses: looked at, hashed, made double, centred


@dataclass(frozen=True)
class Forecast:
    """What a score will cost, without ceilings, bootstrap and shuffles.

    Times are right within a factor of two or so.

    Parameters
    ----------
    pairs : int
        Of a source and a target.
    folds : int
        In each of which every metric is fitted.
    seconds : dict of str to float
        Time for each metric, and for what they share (``geometry``), on this machine alone; NaN
        for a metric of one's own.
    memory : float
        Bytes held at the most, besides the arrays that are in memory already.
    reading : float
        Bytes of sources and targets that are read, once for each fold where they are predicted.
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
    """Foretell the cost of `convergent.score`; nothing is read, and the machine is timed briefly.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        The populations that are mapped, and those that are predicted.
    metrics : str, metric, or a list or dict of them
        What is scored.
    folds : Folds
        How the stimuli are split.

    Returns
    -------
    Forecast
        Without ceilings, bootstrap and shuffles.
    """
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
    """Foretell the cost of a score from sizes alone.

    Parameters
    ----------
    n_stimuli : int
        Stimuli that all populations share.
    source_units, target_units : iterable of int
        Number of units of each source, and of each target.
    metrics : str, metric, or a list or dict of them
        What is scored.
    folds : int
        Number of folds.

    Returns
    -------
    Forecast
        Without ceilings, bootstrap and shuffles.

    Raises
    ------
    InputError
        Where a size is not positive.
    """
    chosen = named_metrics(metrics)
    p, q = (np.array(list(units), dtype=np.float64) for units in (source_units, target_units))
    if not len(p) or not len(q) or min(n_stimuli, folds, p.min(), q.min()) < 1:
        raise InputError(
            f"{n_stimuli} stimuli, {folds} folds, {p.tolist()} and {q.tolist()} units: each "
            "number is at least 1, and there is a source and a target."
        )
    n = float(n_stimuli)
    rates, shared = _rates(), 0.0
    turned = any(isinstance(metric, Procrustes) for metric in chosen.values())
    factored = not all(isinstance(metric, SoftMatching) for metric in chosen.values())
    held = float(_geometry_bytes(n, q, folds).sum())
    tiles = min(len(q), math.ceil(max(held / TILE_BYTES, len(q) / TILE_TARGETS)))
    for units, times in ((p, tiles if factored else 0.0), (q, 1.0 if turned else 0.0)):
        gram = np.where(2 * units > n, n**2 * units, 0.0).sum() / rates["product"]
        solve = (folds * np.minimum(n, units) ** 2 * n).sum() / rates["eigenvectors"]
        shared += times * float(gram + solve)
    shared += READING_PASSES * n * float(p.sum() + q.sum()) / rates["pass"]
    seconds = {"geometry": shared}
    for name, metric in chosen.items():
        cost: Callable[..., Any] = COSTS.get(type(metric), _unknown)
        seconds[name] = folds * float(cost(n, p[:, None], q[None], rates).sum())
    working = 8 * n**2 * (1 + 5 * ((folds - 1) / folds) ** 2) if factored else 0.0
    if any(isinstance(metric, SoftMatching) for metric in chosen.values()):
        few, many = sorted((p.max(), q.max()))  # the larger side is read in blocks if it is large
        working += 12 * n * few + min(12 * n * many, 1.5 * RESPONSES_HELD)
        working += min(4 * few * many, HELD_BYTES)
    # a tile holds one target at least
    held = max(min(held, TILE_BYTES), _geometry_bytes(n, q.max(), folds)) if turned else 0.0
    reading = 4 * n * (float(p.sum()) * tiles + float(q.sum()) * len(p) * folds * len(chosen))
    return Forecast(len(p) * len(q), folds, seconds, BASE_BYTES + working + held, reading)


Sizes = Any  # arrays of numbers of units
Rates = Mapping[str, float]


def _linear(n: float, p: Sizes, q: Sizes, rates: Rates) -> Any:
    return 2 * n * np.minimum(n, p) * q * (FEW_AXES / rates["single"] + 2 / rates["product"])


def _procrustes(n: float, p: Sizes, q: Sizes, rates: Rates) -> Any:
    p, q_axes = np.minimum(n, p), np.minimum(n, q)
    small, large = np.minimum(p, q_axes), np.maximum(p, q_axes)
    return small**2 * large / rates["singular"] + 0.4 * n**2 * q / rates["product"]


def _soft_matching(n: float, p: Sizes, q: Sizes, rates: Rates) -> Any:
    made = np.where(4 * p * q > HELD_BYTES, ROUNDS, 1)
    return (
        2 * n * p * q * made / rates["single"]
        + ROUNDS * PASSES * p * q / rates["pass"]
        + ROUNDS * SIMPLEX * 2 * GROUPS * (p + q)
    )


def _unknown(_n: float, p: Sizes, q: Sizes, _rates: Rates) -> Any:
    return np.full(np.broadcast_shapes(p.shape, q.shape), np.nan)


COSTS: dict[type[Metric], Callable[..., Any]] = {
    Linear: _linear,
    Procrustes: _procrustes,
    SoftMatching: _soft_matching,
}


def _geometry_bytes(n: float, units: Sizes, folds: int) -> Any:
    return 8 * n * np.minimum(n, units) * (1 + folds)


@cache
def _rates() -> dict[str, float]:
    """How fast this machine is: operations (cubes of the side) a second."""
    a = torch.rand(PROBE, PROBE, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    single, symmetric, large = a.float(), a @ a.T, torch.zeros(16 * PROBE**2)
    works: dict[str, tuple[float, Callable[[], Any]]] = {
        "product": (2 * PROBE**3, lambda: a @ a),
        "single": (2 * PROBE**3, lambda: single @ single),
        "eigenvectors": (PROBE**3, lambda: torch.linalg.eigh(symmetric)),
        "singular": (PROBE**3, lambda: torch.linalg.svd(a)),
        "pass": (16 * PROBE**2, lambda: large + 1),
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
