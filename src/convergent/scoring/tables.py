"""Tables of scores: aggregates with intervals, paired differences, best sources, controls."""

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

__all__ = ["against", "best", "differences", "summary"]

_LABELS = ("metric", "source", "target")
_VALUES = ("r", "normalized")
_Value = Literal["r", "normalized"]
# scores of units (B, q) or (1, q), and how often each unit is drawn (B, q), if units are drawn
_Draws = tuple[NDArray[np.floating], NDArray[np.float64] | None]


def summary(scores: xr.Dataset, level: float = 0.95) -> pd.DataFrame:
    """Summarize scores in a table: mean over folds, then median over units.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with or without the scores of single units.
    level : float
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, source, target), with these columns:

        - ``metric``, ``source``, ``target``: names;
        - ``r``, ``ceiling``, ``normalized``, ``explained_variance``, ``reliability``: aggregates;
        - ``n_stimuli``: number of stimuli;
        - ``n_units``: number of units in the aggregate;
        - ``n_units_excluded``: number of units that are left out of it;
        - ``r_low``, ``r_high``, ``normalized_low``, ``normalized_high``: ends of the confidence
          intervals, if the scores were bootstrapped;
        - ``p_shuffle``: (1 + number of shuffles that score at least as high) / (1 + number of
          shuffles), if the scores were shuffled.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> layer = cv.Assembly.from_array(x, stimuli=names, name="layer")
    >>> responses = x[:, :3] + rng.standard_normal((30, 3))
    >>> area = cv.Assembly.from_array(responses, stimuli=names, name="V4")
    >>> scores = cv.score(layer, area, ["linear"], folds=cv.Folds(3), ceiling=None)
    >>> cv.summary(scores)[["metric", "source", "target", "r", "n_units"]].round(2)
       metric source target     r  n_units
    0  linear  layer     V4  0.45        3
    """
    resampled = None if "n_drawn" not in scores else _Resampled(scores)
    scores = aggregate(scores)
    rows = []
    for labels in _all_labels(scores):
        part = scores.sel(labels)
        numbers = {
            name: float(part[name])
            for name in ("r", "ceiling", "normalized", "explained_variance", "reliability")
        }
        row = labels | numbers | {"n_stimuli": int(scores.attrs["n_stimuli"])}
        row |= {name: int(part[name]) for name in ("n_units", "n_units_excluded")}
        if resampled is not None:
            for name in _VALUES:
                estimate = np.asarray(numbers[name])
                low, high = resampled.spread(name, labels).interval(estimate, level)
                row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
        if "r_shuffled" in part:
            row["p_shuffle"] = p_permutation(numbers["r"], part["r_shuffled"].values)
        rows.append(row)
    return pd.DataFrame(rows)


def differences(
    scores: xr.Dataset,
    between: Literal["source", "metric", "target"] = "source",
    *,
    value: _Value = "r",
    reference: str | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare sources (or metrics, or targets) in pairs, with intervals and p-values.

    Two sources, or two metrics, are compared on the same units: the difference is taken for each
    unit, and then the median over units. Units differ much more from each other than two sources
    differ on the same unit, so this is far more precise than the difference of the two medians; the
    two need not be equal. Two targets have different units, so for targets it is the difference of
    the two medians. Both members of a pair are scored in the same resamples.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with a bootstrap.
    between : {"source", "metric", "target"}
        What is compared, separately for each combination of the other two.
    value : {"r", "normalized"}
        Score that is compared.
    reference : str, optional
        Name of the source (metric, target) with which all others are compared; by default, every
        pair is compared.
    level : float
        Confidence level of the intervals, between 0 and 1.

    Returns
    -------
    pandas.DataFrame
        One row per pair and combination of the other two labels, with these columns:

        - the other two of ``metric``, ``source`` and ``target``;
        - ``first``, ``second``: names of the pair;
        - ``difference``: score of the first minus score of the second;
        - ``low``, ``high``: ends of its confidence interval;
        - ``p``: two-sided p-value of a difference of 0;
        - ``p_corrected``: the same after Holm's correction for the number of pairs that have the
          same other two labels.

    Raises
    ------
    InputError
        If the scores were not bootstrapped, or a name is unknown.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> early, late = (
    ...     cv.Assembly.from_array(x + noise * rng.standard_normal((30, 5)), stimuli=names)
    ...     for noise in (2.0, 0.5)
    ... )
    >>> area = cv.Assembly.from_array(x + rng.standard_normal((30, 5)), stimuli=names, name="V4")
    >>> settings = {"folds": cv.Folds(3), "ceiling": None, "bootstrap": cv.Bootstrap(50, refits=5)}
    >>> scores = cv.score({"early": early, "late": late}, area, ["linear"], **settings)
    >>> cv.differences(scores)[["metric", "target", "first", "second", "difference"]].round(2)
       metric target  first second  difference
    0  linear     V4  early   late       -0.52
    """
    resampled = _Resampled(scores)
    _check("between", between, _LABELS)
    _check("value", value, _VALUES)
    labels = resampled.labels
    pairs = list(combinations(labels[between], 2))
    if reference is not None:
        _check(between, reference, labels[between])
        pairs = [(name, reference) for name in labels[between] if name != reference]
    others = [dim for dim in _LABELS if dim != between]
    rows: list[dict[str, Any]] = []
    for fixed in product(*(labels[dim] for dim in others)):
        shared = dict(zip(others, fixed, strict=True))
        family = []  # pairs that are corrected together
        for first, second in pairs:
            one, other = (shared | {between: name} for name in (first, second))
            difference, found = resampled.difference(value, one, other)
            low, high = found.interval(np.asarray(difference), level)
            family.append(
                shared
                | {"first": first, "second": second, "difference": difference}
                | {"low": float(low), "high": float(high)}
                | {"p": float(found.p(np.asarray(difference)))}
            )
        corrected = holm(np.array([row["p"] for row in family]))
        rows += [row | {"p_corrected": float(p)} for row, p in zip(family, corrected, strict=True)]
    columns = ("first", "second", "difference", "low", "high", "p", "p_corrected")
    return pd.DataFrame(rows, columns=[*others, *columns])


def best(scores: xr.Dataset, *, value: _Value = "r", level: float = 0.95) -> pd.DataFrame:
    """Find the sources that are not significantly worse than the best one.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`, with a bootstrap.
    value : {"r", "normalized"}
        Score that is compared.
    level : float
        Confidence level: in this share of repeated experiments, the source that is truly the best
        is among those marked ``among_best``.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, target, source), with these columns:

        - ``metric``, ``source``, ``target``: names;
        - ``r`` or ``normalized``: the score;
        - ``behind``: how much higher the source with the highest score is: the difference of the
          two for each unit, then the median over units (0 for that source itself);
        - ``p``: p-value of the hypothesis that no other source is better, corrected for the number
          of sources;
        - ``among_best``: whether ``p`` is above 1 - `level`, so that the source is not
          significantly worse than the best.

    Raises
    ------
    InputError
        If the scores were not bootstrapped.

    References
    ----------
    Hsu 1981, Annals of Statistics 9.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> layers = {
    ...     name: cv.Assembly.from_array(x + noise * rng.standard_normal((30, 5)), stimuli=names)
    ...     for name, noise in (("early", 2.0), ("late", 0.5))
    ... }
    >>> area = cv.Assembly.from_array(x + rng.standard_normal((30, 5)), stimuli=names, name="V4")
    >>> settings = {"folds": cv.Folds(3), "ceiling": None, "bootstrap": cv.Bootstrap(50, refits=5)}
    >>> scores = cv.score(layers, area, ["linear"], **settings)
    >>> cv.best(scores)[["source", "r", "behind", "among_best"]].round(2)
      source     r  behind  among_best
    0  early  0.16    0.52       False
    1   late  0.68    0.00        True
    """
    resampled = _Resampled(scores)
    _check("value", value, _VALUES)
    sources = resampled.labels["source"]
    rows: list[dict[str, Any]] = []
    for metric, target in product(*(resampled.labels[dim] for dim in ("metric", "target"))):
        pairs = [{"metric": metric, "source": name, "target": target} for name in sources]
        estimates = np.array([resampled.estimate(value, pair) for pair in pairs])
        ahead, draws, spread_of = resampled.all_differences(value, pairs)
        p = p_best(ahead, draws, spread_of)
        top = int(np.nanargmax(estimates)) if np.isfinite(estimates).any() else 0
        rows += [
            pairs[i]
            | {value: float(estimates[i]), "behind": float(ahead[top, i])}
            | {"p": float(p[i]), "among_best": bool(p[i] > 1 - level)}
            for i in range(len(sources))
        ]
    return pd.DataFrame(rows)


def against(scores: xr.Dataset, controls: Sequence[xr.Dataset]) -> pd.DataFrame:
    """Compare scores with those of controls, such as the same layers of untrained networks.

    Parameters
    ----------
    scores : xarray.Dataset
        From `score`.
    controls : sequence of xarray.Dataset
        From `score`, one for each control (for example, one for each seed of an untrained network),
        with the same metrics, folds, and names of sources and targets.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, source, target), with these columns:

        - ``metric``, ``source``, ``target``: names;
        - ``r``: the score;
        - ``control_mean``, ``control_sd``: mean and standard deviation of the controls' scores;
        - ``z``: (``r`` - ``control_mean``) / ``control_sd``;
        - ``p``: one-sided p-value, (1 + number of controls that score at least as high) / (1 +
          number of controls);
        - ``n_controls``: number of controls.

    Raises
    ------
    InputError
        If there is no control, or a control lacks a score.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> layer = cv.Assembly.from_array(x, stimuli=names, name="layer")
    >>> area = cv.Assembly.from_array(x + rng.standard_normal((30, 5)), stimuli=names, name="V4")
    >>> scores, *controls = (
    ...     cv.score(source, area, ["linear"], folds=cv.Folds(3), ceiling=None)
    ...     for source in (layer, *(cv.shuffled(layer, seed) for seed in range(4)))
    ... )
    >>> cv.against(scores, controls)[["source", "r", "control_mean", "p", "n_controls"]].round(2)
      source     r  control_mean    p  n_controls
    0  layer  0.49         -0.05  0.2           4
    """
    if not controls:
        raise InputError("there is no control: give the scores of one or more, in a list.")
    tables = [summary(control).set_index(list(_LABELS))["r"] for control in controls]
    rows = []
    for row in summary(scores)[[*_LABELS, "r"]].to_dict("records"):
        key = tuple(row[dim] for dim in _LABELS)
        lacking = next((i for i, table in enumerate(tables) if key not in table.index), None)
        if lacking is not None:
            raise InputError(
                f"control {lacking} has no score of {dict(zip(_LABELS, key, strict=True))}: score "
                "it with the same metrics, and name its sources and targets alike."
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


def _all_labels(scores: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Labels of every (metric, source, target)."""
    for labels in product(*(scores[dim].values for dim in _LABELS)):
        yield {dim: str(label) for dim, label in zip(_LABELS, labels, strict=True)}


@dataclass(frozen=True, eq=False)
class _UnitScores:
    """Scores of the units that count in the aggregate, of one (metric, source, target).

    Attributes
    ----------
    found : tuple
        Scores from the data.
    draws : dict of tuple
        Scores in resamples, by what was drawn.
    """

    found: _Draws
    draws: Mapping[Factors, _Draws]


class _Resampled:
    """Scores in resamples, and the spread of aggregates and differences that follows from them."""

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
        """Median over units of a score."""
        return float(over_units(self._units(value, pair).found[0])[0])

    def spread(self, value: str, pair: Mapping[str, str]) -> Spread:
        """Spread of the median over units."""
        draws = {
            factors: over_units(*drawn) for factors, drawn in self._units(value, pair).draws.items()
        }
        return spread(draws, self._n_drawn(pair["target"]), self._n_folds)

    def difference(
        self, value: str, one: Mapping[str, str], other: Mapping[str, str]
    ) -> tuple[float, Spread]:
        """Median over units of the difference; of two targets, difference of the medians."""
        first, second = (self._units(value, pair) for pair in (one, other))
        paired = one["target"] == other["target"]

        def subtract(a: _Draws, b: _Draws) -> NDArray[np.float64]:
            return over_units(a[0] - b[0], a[1]) if paired else over_units(*a) - over_units(*b)

        draws = {
            factors: subtract(drawn, second.draws[factors])
            for factors, drawn in first.draws.items()
        }
        n_drawn = self._n_drawn(one["target"])
        for name, number in self._n_drawn(other["target"]).items():
            n_drawn[name] = min(number, n_drawn[name])
        kind: Kind = "difference" if paired else "score"
        found = spread(draws, n_drawn, self._n_folds, kind)
        return float(subtract(first.found, second.found)[0]), found

    def all_differences(
        self, value: str, pairs: Sequence[Mapping[str, str]]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], Spread]:
        """Differences (k, k) of k sources, the same in joint resamples (B, k, k), their spread."""
        units = [self._units(value, pair) for pair in pairs]

        def ahead(select: Callable[[_UnitScores], _Draws]) -> NDArray[np.float64]:
            several = [select(one) for one in units]
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
        known = [factors for factors in draws if not {"refit", "rest"} & set(factors)]
        joint = max(known, key=len)
        return ahead(lambda one: one.found)[0], draws[joint], found

    def _n_drawn(self, target: str) -> dict[str, float]:
        """How many stimuli, units or subjects the resamples draw from, as `spread` takes them."""
        drawn = self._scores["n_drawn"].sel(target_population=target)
        found = {str(name): float(drawn.sel(factor=name)) for name in drawn["factor"].values}
        if "n_effective" in self._scores:
            effective = self._scores["n_effective"].sel(target_population=target)
            found["effective"] = float(effective)
        return found

    def _units(self, value: str, pair: Mapping[str, str]) -> _UnitScores:
        key = (value, pair["metric"], pair["source"], pair["target"])
        if key not in self._known:
            self._known[key] = self._read(value, pair)
        return self._known[key]

    def _read(self, value: str, pair: Mapping[str, str]) -> _UnitScores:
        part = self._scores.isel(unit=self._included[pair["target"]])
        part = part.sel(metric=pair["metric"])
        ceiling = part["ceiling"].values if value == "normalized" else np.ones(1)
        ceilings = ceiling  # in resamples
        if value == "normalized" and "ceiling_draws" in part:
            ceilings = part["ceiling_draws"].transpose("draw", "unit").values
        part = part.sel(source=pair["source"])
        found = FoldMean.of(part["r"].transpose("fold", "unit").values)[None] / ceiling
        draws: dict[Factors, _Draws] = {}
        if "r_draws" in part:
            held_out = part["r_draws"].transpose("draw", "unit").values
            refits = part["r_refits"].transpose("refit", "unit").values
            first = ceilings[: len(refits)] if ceilings.ndim == 2 else ceilings
            draws["stimuli",] = held_out / ceilings, None
            draws["refit",] = refits / first, None
        if "unit_draws" in part:
            counts = part["unit_draws"].transpose("draw", "unit").values.astype(np.float64)
            name = str(part["factor"].values[-1])
            of_stimuli = {factor: values for (factor,), (values, _) in draws.items()}
            for chosen, times in ((name, counts), ("rest", (counts == 0).astype(np.float64))):
                for factor, values in of_stimuli.items():
                    draws[factor, chosen] = values, times[: len(values)]
                draws[chosen,] = found, times
        return _UnitScores((found, None), draws)
