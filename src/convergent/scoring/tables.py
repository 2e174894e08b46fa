"""Tables of scores: aggregates with intervals, paired differences, best sources, controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arguments import as_list, as_share, check_known
from ..base.arrays import Floats
from ..base.errors import InputError, warn
from ..statistics.aggregation import FoldMean, over_units, ratio_of_sums, weighted_sum
from ..statistics.inference import (
    Factors,
    Kind,
    Spread,
    holm,
    p_best,
    p_permutation,
    spread,
)
from .kinds import check_kind
from .results import aggregate, included_units

__all__ = ["against", "best", "differences", "shared_resamples", "summary"]

_LABELS = ("metric", "source", "target")
_VALUES = ("r", "normalized")
_Value = Literal["r", "normalized"]
_READ = (  # variables that decide aggregates in resamples
    *("r", "r_draws", "r_refits", "ceiling", "ceiling_draws", "expected_ceiling"),
    *("expected_ceiling_draws", "weight", "unit_draws", "n_drawn", "n_effective"),
)
_OF_CEILINGS = ("ceiling", "ceiling_draws", "unit_draws", "n_drawn")
_SAME = 1e-12  # between scores that differ by rounding alone
_COUNTS = ("n_units", "n_units_excluded", "n_units_normalized")


def summary(scores: xr.Dataset, level: float = 0.95) -> pd.DataFrame:
    r"""Summarize scores in a table: aggregates over folds and units.

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
        - ``r``, ``ceiling``, ``reliability``: mean over folds, then median over units;
        - ``normalized``: ratio of aggregates over all units that are scored,
          :math:`\sum_u w_u r_u / \sum_u w_u k_u` (see Notes); NaN where the mean reliability is
          not above its standard error;
        - ``explained_variance``: sign(normalized) normalized^2; with a ceiling from repeats, the
          share of the explainable variance that is explained;
        - ``n_stimuli``: number of stimuli of the target;
        - ``n_units``: number of units in the medians;
        - ``n_units_excluded``: number of units that are left out of them;
        - ``n_units_normalized``: number of units in the ratio;
        - ``r_low``, ``r_high``, ``normalized_low``, ``normalized_high``, ``ceiling_low``,
          ``ceiling_high``: ends of the confidence intervals, if the scores were bootstrapped;
        - ``p_shuffle``: (1 + number of shuffles that score at least as high) / (1 + number of
          shuffles), if the scores were shuffled.

    Raises
    ------
    InputError
        If the result is of another question, or the level is no share.

    Notes
    -----
    A unit's own r / ceiling is wrong in one direction where its reliability is low: the estimate
    that chooses the unit also divides it. The ratio of aggregates leaves out no unit for its
    reliability. With ceilings from repeats, the weight :math:`w_u` is the :math:`\sqrt{c_u}` that
    is expected of unit u given the repeats of all units, and :math:`k_u` the same, times
    :math:`1 - (1 - c_u) / (2 (m - 1))` for test folds of m stimuli; with ``"attainable"``,
    :math:`k_u` is the simulated score of a perfect model. The ratio is then the slope of the
    scores of units against their ceilings. With other ceilings, all units weigh the same. A
    perfect model gives 1 at any reliability.

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
    check_kind(scores, "score", "summary")
    level = as_share("level", level)
    resampled = None if "n_drawn" not in scores else _resampled(scores)
    scores = aggregate(scores)
    rows, n_stimuli = [], scores.attrs["n_stimuli"]  # of each target, where they differ
    for labels in _all_labels(scores):
        part = scores.sel(labels)
        numbers = {
            name: float(part[name])
            for name in ("r", "ceiling", "normalized", "explained_variance", "reliability")
        }
        row = labels | numbers | {"n_stimuli": int(part.coords.get("n_stimuli", n_stimuli))}
        row |= {name: int(part[name]) for name in _COUNTS}
        if resampled is not None:
            for name in _VALUES:
                estimate = np.asarray(numbers[name])
                low, high = resampled.spread(name, labels).interval(estimate, level)
                row |= {f"{name}_low": float(low), f"{name}_high": float(high)}
            low, high = resampled.of_ceiling(labels).interval(np.asarray(row["ceiling"]), level)
            row |= {"ceiling_low": float(low), "ceiling_high": float(high)}
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

    The difference is that of the aggregates that `summary` gives. Both members of a pair are
    scored in the same resamples.

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
        If the result is of another question or was not bootstrapped, a name is unknown, or the
        level is no share.

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
    check_kind(scores, "score", "differences")
    level = as_share("level", level)
    resampled = _resampled(scores)
    check_known("label to compare between", between, _LABELS)
    check_known("value", value, _VALUES)
    labels = resampled.labels
    pairs = list(combinations(labels[between], 2))
    if reference is not None:
        check_known(between, reference, labels[between])
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
        Confidence level, between 0 and 1: in this share of repeated experiments, all sources that
        are truly the best are among those marked ``among_best``.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, target, source), with these columns:

        - ``metric``, ``source``, ``target``: names;
        - ``r`` or ``normalized``: the score;
        - ``behind``: how much higher the highest score is (0 for that source itself);
        - ``p``: p-value of the hypothesis that no other source is better, corrected for the number
          of sources;
        - ``among_best``: whether ``p`` is above 1 - `level`, so that the source is not
          significantly worse than the best.

    Raises
    ------
    InputError
        If the result is of another question or was not bootstrapped, or the level is no share.

    References
    ----------
    Westfall and Young 1993, Resampling-Based Multiple Testing.

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
    check_kind(scores, "score", "best")
    level = as_share("level", level)
    resampled = _resampled(scores)
    check_known("value", value, _VALUES)
    sources = resampled.labels["source"]
    rows: list[dict[str, Any]] = []
    for metric, target in product(*(resampled.labels[dim] for dim in ("metric", "target"))):
        pairs = [{"metric": metric, "source": name, "target": target} for name in sources]
        estimates = np.array([resampled.estimate(value, pair) for pair in pairs])
        p = p_best(*resampled.all_differences(value, pairs))
        highest = np.nanmax(estimates) if np.isfinite(estimates).any() else np.nan
        rows += [
            pairs[i]
            | {value: float(estimates[i]), "behind": float(highest - estimates[i])}
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
        If there is no control, a control lacks a score, or a result is of another question.

    Warns
    -----
    UserWarning
        If controls have the same scores.

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
    controls = as_list("controls", controls, "a list of results of score")
    for result in (scores, *controls):
        check_kind(result, "score", "against")
    if not controls:
        raise InputError("there is no control: give the scores of one or more, in a list.")
    tables = [summary(control).set_index(list(_LABELS))["r"] for control in controls]
    _warn_of_copies(tables)
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
        sd = 0.0 if np.ptp(null) < _SAME and len(null) > 1 else sd
        rows.append(
            {str(k): v for k, v in row.items()}
            | {"control_mean": float(null.mean()), "control_sd": sd}
            | {"z": float((row["r"] - null.mean()) / sd) if sd > 0 else float("nan")}
            | {"p": p_permutation(row["r"], null), "n_controls": len(null)}
        )
    return pd.DataFrame(rows)


def _warn_of_copies(tables: Sequence[pd.Series[float]]) -> None:
    """Warn where controls have the same scores: they are one control, and p counts several."""
    different: list[pd.Series[float]] = []
    for table in tables:
        if not any(
            table.index.equals(one.index) and np.allclose(table, one, rtol=0, atol=_SAME)
            for one in different
        ):
            different.append(table)
    if len(different) < len(tables):
        warn(
            f"of {len(tables)} controls only {len(different)} differ in their scores, and the "
            "others are copies: p counts each as an independent one. Give each control other "
            "random weights (another seed)."
        )


def _all_labels(scores: xr.Dataset) -> Iterator[dict[str, Any]]:
    """Labels of every (metric, source, target)."""
    for labels in product(*(scores[dim].values for dim in _LABELS)):
        yield {dim: str(label) for dim, label in zip(_LABELS, labels, strict=True)}


_SHARED: ContextVar[dict[int, tuple[xr.Dataset, _Resampled]] | None] = ContextVar(
    "shared", default=None
)


@contextmanager
def shared_resamples() -> Iterator[None]:
    """Aggregate the resamples of a result once for all tables that are made in a with.

    Results must not be changed in it.
    """
    before = _SHARED.set({})
    try:
        yield
    finally:
        _SHARED.reset(before)


def _resampled(scores: xr.Dataset) -> _Resampled:
    shared = _SHARED.get()
    if shared is None:
        return _Resampled(scores)
    if id(scores) not in shared:  # the result is kept too, so that no other gets its id
        shared[id(scores)] = scores, _Resampled(scores)
    return shared[id(scores)][1]


class _Resampled:
    """Aggregate scores in resamples, and the spread of these and of differences between them."""

    def __init__(self, scores: xr.Dataset) -> None:
        if "n_drawn" not in scores:
            raise InputError(
                "the scores hold no resamples: score again with bootstrap=Bootstrap(1000)."
            )
        self._scores = scores[[name for name in _READ if name in scores]]
        self._n_folds = scores.sizes["fold"]
        self._included = included_units(scores)
        self.labels = {
            "metric": [str(name) for name in scores["metric"].values],
            "source": [str(name) for name in scores["source"].values],
            "target": list(self._included),
        }
        self._known: dict[tuple[str, ...], _Aggregates] = {}
        self._ceilings: dict[tuple[str, str], Spread] = {}

    def estimate(self, value: str, pair: Mapping[str, str]) -> float:
        """Aggregate score."""
        return self._aggregates(value, pair).found

    def spread(self, value: str, pair: Mapping[str, str]) -> Spread:
        """Spread of an aggregate score."""
        aggregates = self._aggregates(value, pair)
        n_drawn = self._n_drawn(pair["target"])
        return spread(aggregates.draws, n_drawn, self._n_folds, _kind(value, paired=False))

    def of_ceiling(self, pair: Mapping[str, str]) -> Spread:
        """Spread of the median ceiling; NaN where it was not resampled with the stimuli."""
        key = (pair["metric"], pair["target"])  # it does not depend on the source
        if key not in self._ceilings:
            self._ceilings[key] = self._spread_of_ceiling(*key)
        return self._ceilings[key]

    def _spread_of_ceiling(self, metric: str, target: str) -> Spread:
        names = [name for name in _OF_CEILINGS if name in self._scores]
        part = self._scores[names].sel(metric=metric).isel(unit=self._included[target])
        if "r_draws" in self._scores and "ceiling_draws" not in part:
            return Spread(np.asarray(np.nan), np.asarray(np.nan))
        part = part.assign(r=part["ceiling"].expand_dims("fold"))
        if "ceiling_draws" in part:
            drawn = part["ceiling_draws"]  # maps are not part of it: a refit changes nothing
            part = part.assign(r_draws=drawn, r_refits=drawn.rename(draw="refit"))
        draws = {factors: over_units(each, counts) for factors, each, counts in _resamples(part)}
        return spread(draws, self._n_drawn(target), self._n_folds)

    def difference(
        self, value: str, one: Mapping[str, str], other: Mapping[str, str]
    ) -> tuple[float, Spread]:
        """Difference of two aggregate scores, and its spread."""
        first, second = (self._aggregates(value, pair) for pair in (one, other))
        draws = {factors: drawn - second.draws[factors] for factors, drawn in first.draws.items()}
        n_drawn = self._n_drawn(one["target"])
        for name, number in self._n_drawn(other["target"]).items():
            n_drawn[name] = min(number, n_drawn[name])
        kind = _kind(value, paired=one["target"] == other["target"])
        return first.found - second.found, spread(draws, n_drawn, self._n_folds, kind)

    def all_differences(
        self, value: str, pairs: Sequence[Mapping[str, str]]
    ) -> tuple[Floats, Floats, Spread]:
        """Differences (k, k) of k sources, the same in joint resamples (B, k, k), their spread."""
        several = [self._aggregates(value, pair) for pair in pairs]
        found = np.array([one.found for one in several])
        draws = {}
        for factors in several[0].draws:
            drawn = np.stack([one.draws[factors] for one in several], axis=1)
            draws[factors] = drawn[:, :, None] - drawn[:, None, :]
        n_drawn = self._n_drawn(pairs[0]["target"])
        known = [factors for factors in draws if not {"refit", "rest"} & set(factors)]
        joint = max(known, key=len)
        return (
            found[:, None] - found,
            draws[joint],
            spread(draws, n_drawn, self._n_folds, _kind(value, paired=True)),
        )

    def _n_drawn(self, target: str) -> dict[str, float]:
        """How many stimuli, units or subjects the resamples draw from, as `spread` takes them."""
        drawn = self._scores["n_drawn"].sel(target_population=target)
        found = {str(name): float(drawn.sel(factor=name)) for name in drawn["factor"].values}
        if "n_effective" in self._scores:
            effective = self._scores["n_effective"].sel(target_population=target)
            found["effective"] = float(effective)
        return found

    def _aggregates(self, value: str, pair: Mapping[str, str]) -> _Aggregates:
        key = (value, pair["metric"], pair["source"], pair["target"])
        if key not in self._known:
            self._known[key] = (self._of_r if value == "r" else self._of_normalized)(pair)
        return self._known[key]

    def _of_r(self, pair: Mapping[str, str]) -> _Aggregates:
        """Median over units."""
        part = self._part(pair).isel(unit=self._included[pair["target"]])
        return _Aggregates(
            float(over_units(_r_of_units(part))[0]),
            {factors: over_units(values, counts) for factors, values, counts in _resamples(part)},
        )

    def _of_normalized(self, pair: Mapping[str, str]) -> _Aggregates:
        """Ratio of sums over units; in resamples, what it would be to first order."""
        whole = self._part(pair)
        part = whole.isel(unit=np.flatnonzero(whole["target"].values == pair["target"]))
        weight, ceiling = part["weight"].values, part["expected_ceiling"].values
        r = _r_of_units(part)
        found = float(ratio_of_sums(r, ceiling, weight)[0])
        weight = np.where(np.isfinite(r[0] * ceiling), weight, np.nan)
        ceilings = ceiling[None]  # in resamples
        if "expected_ceiling_draws" in part:
            ceilings = part["expected_ceiling_draws"].transpose("draw", "unit").values
        draws = {}
        for factors, values, counts in _resamples(part):
            of_stimuli = {"stimuli", "refit"} & set(factors)
            away = values - found * (ceilings[: len(values)] if of_stimuli else ceiling)
            drawn = weight[None] if counts is None else counts * weight
            known = ~np.isnan(away * drawn).all(axis=1) & np.isfinite(found)
            below = np.where(known, weighted_sum(ceiling, drawn), 0.0)
            moved = np.full(len(known), np.nan)
            np.divide(weighted_sum(away, drawn), below, out=moved, where=below > 0)
            draws[factors] = found + moved
        return _Aggregates(found, draws)

    def _part(self, pair: Mapping[str, str]) -> xr.Dataset:
        return self._scores.sel(metric=pair["metric"], source=pair["source"])


def _kind(value: str, paired: bool) -> Kind:
    """Kind of an estimate for `spread`: what chance in the fits adds to it."""
    if value == "normalized":
        return "score" if paired else "ratio"
    return "difference" if paired else "score"


@dataclass(frozen=True, eq=False)
class _Aggregates:
    """Aggregate score of one (metric, source, target): of the data, and in resamples."""

    found: float
    draws: Mapping[Factors, Floats]


def _r_of_units(part: xr.Dataset) -> Floats:
    """Scores (1, q) of units, mean over folds."""
    return FoldMean.of(part["r"].transpose("fold", "unit").values)[None]


def _resamples(part: xr.Dataset) -> Iterator[tuple[Factors, Floats, Floats | None]]:
    """What was drawn, scores of units (B, q) or (1, q), and how often each unit counts (B, q)."""
    drawn: dict[Factors, Floats] = {}
    if "r_draws" in part:
        drawn["stimuli",] = part["r_draws"].transpose("draw", "unit").values
        drawn["refit",] = part["r_refits"].transpose("refit", "unit").values
    for factors, values in drawn.items():
        yield factors, values, None
    if "unit_draws" in part:
        counts = part["unit_draws"].transpose("draw", "unit").values.astype(np.float64)
        name = str(part["factor"].values[-1])
        for chosen, times in ((name, counts), ("rest", (counts == 0).astype(np.float64))):
            for (factor,), values in drawn.items():
                yield (factor, chosen), values, times[: len(values)]
            yield (chosen,), _r_of_units(part), times
