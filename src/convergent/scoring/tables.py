"""Tidy tables of scores: a row a score, a difference, or a source that may be the best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError, unknown
from ..statistics.aggregation import FoldMean, over_units
from ..statistics.inference import (
    Factors,
    Kind,
    Spread,
    holm,
    p_best,
    p_permutation,
    spread,
)
from .results import aggregate, included_units

__all__ = ["CELL", "VALUES", "Drawn", "Value", "against", "best", "differences", "summary"]

CELL = ("metric", "source", "target")
Value = Literal["r", "normalized"]
VALUES = ("r", "normalized")
Drawn = tuple[NDArray[np.floating], NDArray[np.float64] | None]  # scores, how often units count


def summary(scores: xr.Dataset, level: float = 0.95) -> pd.DataFrame:
    """Tidy table of scores: mean over folds, then median over units.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.
    level : float
        Of the confidence intervals.

    Returns
    -------
    pandas.DataFrame
        One row a (metric, source, target): ``r``, ``ceiling``, ``normalized``,
        ``explained_variance``, ``reliability``, ``n_stimuli``, ``n_units`` (in the aggregate) and
        ``n_units_excluded`` (left out of it). Where the scores were bootstrapped, ``r_low``,
        ``r_high``, ``normalized_low`` and ``normalized_high``; where they were shuffled,
        ``p_shuffle``, the share of shuffles that score as high.
    """
    resampled = None if "n_drawn" not in scores else _Resampled(scores)
    scores = aggregate(scores)
    rows = []
    for labels, cell in _cells(scores):
        numbers = {
            name: float(cell[name])
            for name in ("r", "ceiling", "normalized", "explained_variance", "reliability")
        }
        row = labels | numbers | {"n_stimuli": int(scores.attrs["n_stimuli"])}
        row |= {name: int(cell[name]) for name in ("n_units", "n_units_excluded")}
        if resampled is not None:
            for name in VALUES:
                low, high = resampled.spread(name, labels).interval(
                    np.asarray(numbers[name]), level
                )
                row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
        if "r_shuffled" in cell:
            row["p_shuffle"] = p_permutation(numbers["r"], cell["r_shuffled"].values)
        rows.append(row)
    return pd.DataFrame(rows)


def differences(
    scores: xr.Dataset,
    between: Literal["source", "metric", "target"] = "source",
    *,
    value: Value = "r",
    reference: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Paired differences of sources (or metrics, or targets), with intervals and p-values.

    Two sources, or metrics, are compared unit by unit, and the median over units of the difference
    is told: units differ much more from each other than sources do on the same unit, so this is
    far more precise than the difference of two medians, and need not be the same. Two targets have
    different units: for these it is the difference of the medians. In each case the resamples
    are the same for both.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, bootstrapped.
    between : {"source", "metric", "target"}
        What is compared, for each of the other two.
    value : {"r", "normalized"}
        Which score.
    reference : str, optional
        Compare all others with this one; each pair where left out.
    level : float
        Of the confidence intervals.

    Returns
    -------
    pandas.DataFrame
        One row a pair: ``first``, ``second``, ``difference`` (first less second), ``low``,
        ``high``, two-sided ``p``, and ``p_corrected`` (Holm) for the number of pairs that stand
        with the same two other labels.

    Raises
    ------
    InputError
        Where the scores were not bootstrapped, or a label is not known.
    """
    resampled = _Resampled(scores)
    _check("between", between, CELL)
    _check("value", value, VALUES)
    labels = resampled.labels
    pairs = list(combinations(labels[between], 2))
    if reference is not None:
        _check(between, reference, labels[between])
        pairs = [(name, reference) for name in labels[between] if name != reference]
    others = [dim for dim in CELL if dim != between]
    rows: list[dict[str, Any]] = []
    for fixed in product(*(labels[dim] for dim in others)):
        shared = dict(zip(others, fixed, strict=True))
        together = []
        for first, second in pairs:
            one, other = (shared | {between: name} for name in (first, second))
            difference, found = resampled.difference(value, one, other)
            low, high = found.interval(np.asarray(difference), level)
            together.append(
                shared
                | {"first": first, "second": second, "difference": difference}
                | {"low": float(low), "high": float(high)}
                | {"p": float(found.p(np.asarray(difference)))}
            )
        corrected = holm(np.array([row["p"] for row in together]))
        rows += [
            row | {"p_corrected": float(p)} for row, p in zip(together, corrected, strict=True)
        ]
    told = ("first", "second", "difference", "low", "high", "p", "p_corrected")
    return pd.DataFrame(rows, columns=[*others, *told])


def best(scores: xr.Dataset, *, value: Value = "r", level: float = 0.95) -> pd.DataFrame:
    """Which sources cannot be told from the best one, for each metric and target.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, bootstrapped.
    value : {"r", "normalized"}
        Which score.
    level : float
        How often, in repeated experiments, the truly best source is to be among those kept.

    Returns
    -------
    pandas.DataFrame
        One row a (metric, target, source): the score; ``behind``, the median over units of how far
        the source with the greatest score is ahead; ``p`` (corrected for the number of sources)
        that it is as good as the best; and ``among_best``.

    Raises
    ------
    InputError
        Where the scores were not bootstrapped.

    References
    ----------
    Hsu 1981, Annals of Statistics 9.
    """
    resampled = _Resampled(scores)
    _check("value", value, VALUES)
    sources = resampled.labels["source"]
    rows: list[dict[str, Any]] = []
    for metric, target in product(*(resampled.labels[dim] for dim in ("metric", "target"))):
        cells = [{"metric": metric, "source": name, "target": target} for name in sources]
        estimates = np.array([resampled.estimate(value, cell) for cell in cells])
        ahead, draws, pairs = resampled.all_pairs(value, cells)
        p = p_best(ahead, draws, pairs)
        top = int(np.nanargmax(estimates)) if np.isfinite(estimates).any() else 0
        rows += [
            cells[i]
            | {value: float(estimates[i]), "behind": float(ahead[top, i])}
            | {"p": float(p[i]), "among_best": bool(p[i] > 1 - level)}
            for i in range(len(sources))
        ]
    return pd.DataFrame(rows)


def against(scores: xr.Dataset, controls: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Hold scores against those of controls, such as the same layers of untrained networks.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.
    controls : list of xarray.Dataset
        From `score`, with the same metrics, sources (by name), targets and folds: one for each
        control, such as one for each seed of an untrained network.

    Returns
    -------
    pandas.DataFrame
        One row a (metric, source, target): ``r``, ``control_mean``, ``control_sd``, ``z``,
        one-sided ``p`` = (1 + controls that score as high) / (1 + controls), and ``n_controls``.

    Raises
    ------
    InputError
        Where there is no control, or one lacks a score.
    """
    if not controls:
        raise InputError("there is no control: give the scores of one or more, in a list.")
    tables = [summary(control).set_index(list(CELL))["r"] for control in controls]
    rows = []
    for row in summary(scores)[[*CELL, "r"]].to_dict("records"):
        key = tuple(row[dim] for dim in CELL)
        lacking = next((i for i, table in enumerate(tables) if key not in table.index), None)
        if lacking is not None:
            raise InputError(
                f"control {lacking} has no score of {dict(zip(CELL, key, strict=True))}: score it "
                "with the same metrics, and name its sources and targets alike."
            )
        null = np.array([float(table.loc[key]) for table in tables])
        sd = float(null.std(ddof=1)) if len(null) > 1 else float("nan")
        rows.append(
            {str(k): v for k, v in row.items()}
            | {"control_mean": float(null.mean()), "control_sd": sd}
            | {"z": float((row["r"] - null.mean()) / sd) if sd > 0 else float("nan")}
            | {"p": p_permutation(row["r"], null), "n_controls": len(null)}
        )
    return pd.DataFrame(rows)


def _check(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise unknown(what, name, known)


def _cells(scores: xr.Dataset) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
    for labels in product(*(scores[dim].values for dim in CELL)):
        named = {dim: str(label) for dim, label in zip(CELL, labels, strict=True)}
        yield named, scores.sel(named)


@dataclass(frozen=True, eq=False)
class _UnitScores:
    """Scores of the units that count, and these in the resamples of each factor."""

    found: Drawn
    draws: Mapping[Factors, Drawn]


class _Resampled:
    """Resampled scores of single units, and what follows for aggregates and differences."""

    def __init__(self, scores: xr.Dataset) -> None:
        if "n_drawn" not in scores:
            raise InputError(
                "the scores hold no resamples: score again with bootstrap=Bootstrap(1000)."
            )
        self._scores = scores
        self._n_folds = scores.sizes["fold"]
        self._included = included_units(scores)
        self.labels = {
            "metric": [str(name) for name in scores["metric"].values],
            "source": [str(name) for name in scores["source"].values],
            "target": list(self._included),
        }
        self._known: dict[tuple[str, str, str, str], _UnitScores] = {}

    def estimate(self, value: str, pair: Mapping[str, str]) -> float:
        """The aggregate over units."""
        return float(over_units(self._units(value, pair).found[0])[0])

    def spread(self, value: str, pair: Mapping[str, str]) -> Spread:
        """Of the aggregate."""
        draws = {
            factors: over_units(*drawn) for factors, drawn in self._units(value, pair).draws.items()
        }
        return spread(draws, self._n_drawn(pair["target"]), self._n_folds)

    def difference(
        self, value: str, one: Mapping[str, str], other: Mapping[str, str]
    ) -> tuple[float, Spread]:
        """Median over units of the difference, or the difference of the medians of two targets."""
        first, second = (self._units(value, pair) for pair in (one, other))
        paired = one["target"] == other["target"]

        def less(a: Drawn, b: Drawn) -> NDArray[np.float64]:
            return over_units(a[0] - b[0], a[1]) if paired else over_units(*a) - over_units(*b)

        draws = {
            factors: less(drawn, second.draws[factors]) for factors, drawn in first.draws.items()
        }
        n_drawn = self._n_drawn(one["target"])
        for name, number in self._n_drawn(other["target"]).items():
            n_drawn[name] = min(number, n_drawn[name])
        kind: Kind = "difference" if paired else "score"
        found = spread(draws, n_drawn, self._n_folds, kind)
        return float(less(first.found, second.found)[0]), found

    def all_pairs(
        self, value: str, pairs: Sequence[Mapping[str, str]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Spread]:
        """How far each of several sources is ahead of each other one, and in joint resamples."""
        units = [self._units(value, pair) for pair in pairs]

        def ahead(of: Callable[[_UnitScores], Drawn]) -> NDArray[np.float64]:
            several = [of(one) for one in units]
            values, counts = several[0]
            length = len(values) if counts is None else len(counts)
            found = np.zeros((length, len(pairs), len(pairs)))
            for i, j in combinations(range(len(pairs)), 2):
                found[:, i, j] = over_units(several[i][0] - several[j][0], counts)
                found[:, j, i] = -found[:, i, j]
            return found

        draws = {
            factors: ahead(lambda one, factors=factors: one.draws[factors])  # type: ignore[misc]
            for factors in units[0].draws
        }
        found = spread(draws, self._n_drawn(pairs[0]["target"]), self._n_folds, "difference")
        joint = max((factors for factors in draws if "refit" not in factors), key=len)
        return ahead(lambda one: one.found)[0], draws[joint], found

    def _n_drawn(self, target: str) -> dict[str, float]:
        drawn = self._scores["n_drawn"].sel(target_population=target)
        return {str(name): float(drawn.sel(factor=name)) for name in drawn["factor"].values}

    def _units(self, value: str, pair: Mapping[str, str]) -> _UnitScores:
        key = (value, pair["metric"], pair["source"], pair["target"])
        if key not in self._known:
            self._known[key] = self._read(value, pair)
        return self._known[key]

    def _read(self, value: str, pair: Mapping[str, str]) -> _UnitScores:
        part = self._scores.isel(unit=self._included[pair["target"]])
        part = part.sel(metric=pair["metric"])
        ceiling = part["ceiling"].values if value == "normalized" else np.ones(1)
        moved = ceiling
        if value == "normalized" and "ceiling_draws" in part:
            moved = part["ceiling_draws"].transpose("draw", "unit").values
        part = part.sel(source=pair["source"])
        found = FoldMean.of(part["r"].transpose("fold", "unit").values)[None] / ceiling
        draws: dict[Factors, Drawn] = {}
        if "r_draws" in part:
            refits = part["r_refits"].transpose("refit", "unit").values
            draws["stimuli",] = part["r_draws"].transpose("draw", "unit").values / moved, None
            draws["refit",] = refits / (moved[: len(refits)] if moved.ndim == 2 else moved), None
        if "unit_draws" in part:
            counts = part["unit_draws"].transpose("draw", "unit").values.astype(np.float64)
            name = str(part["factor"].values[-1])
            for (factor,), (values, _) in list(draws.items()):
                draws[factor, name] = values, counts[: len(values)]
            draws[name,] = found, counts
        return _UnitScores((found, None), draws)
