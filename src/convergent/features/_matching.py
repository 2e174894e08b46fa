"""One-to-one: which units of two populations are the same, found on some stimuli, seen on others.

Partners are chosen on the training stimuli of each fold, one-to-one (bipartite) or each unit's best
(semi-matching), and their correlation is that on the fold's test stimuli. The best of many partners
looks alike by chance: so does the best of shuffled stimuli, but not on test stimuli.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arrays import Floats, Integers, correlate_resampled
from ..base.errors import InputError, unknown
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle, check_draws, draw_resamples
from ..statistics.aggregation import FoldMean
from ..statistics.inference import Spread, spread
from ._assignment import MATCHINGS, NO_PARTNER, partners
from ._cross_moments import correlation, covariance
from ._mutual_information import binned_information
from ._two_populations import SIDES, Pair, pair_of

__all__ = ["MEASURES", "Measure", "Weigh", "match_units"]

MEASURES = ("correlation", "absolute", "mutual-information")
Weigh = Callable[[Floats, Floats], Floats]
Measure = Literal["correlation", "absolute", "mutual-information"]


def match_units(
    source: Assembly,
    target: Assembly,
    *,
    measure: Measure = "correlation",
    folds: Folds = Folds(),
    shuffle: Shuffle | None = Shuffle(20),
    bootstrap: Bootstrap | None = Bootstrap(200),
    level: float = 0.95,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""Match units one-to-one and each with its best, and correlate partners on held-out stimuli.

    Parameters
    ----------
    source, target : Assembly
        Two networks' layers, a layer and a recording, or two subjects; as many units as there are.
        Repeats are averaged, stimuli matched by name. Positions of an image stay together.
    measure : {"correlation", "absolute", "mutual-information"}
        What makes two units alike on the training stimuli: their correlation, its size whatever its
        sign, or their mutual information, which also finds relations that are not linear.
    folds : Folds
        How the stimuli are split.
    shuffle : Shuffle, optional
        Chance: stimuli of the target exchanged, and units matched anew, so many times. None for no
        chance; p takes two or more.
    bootstrap : Bootstrap, optional
        Resamples of the test stimuli, for intervals; partners stay. None for none.
    level : float
        Of the intervals.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        Along ``unit`` stand the source's units, then the target's, told apart by ``side``; along
        ``matching`` "bipartite" and "semi". ``r`` (matching, fold, unit): correlation with the
        partner on test stimuli (times the sign it had in training, where absolute); NaN for units
        that are left over. ``r_train``: the same on the training stimuli. ``partner`` (matching,
        unit): who is matched on all stimuli, '' for nobody; ``same_partner``: in what share of
        folds it is the same one. ``r_low``, ``r_high``: interval of the mean over folds. ``p``:
        one-sided, that a unit without counterpart would do as well; ``r_shuffled`` (shuffle,
        matching, unit): mean over folds in each shuffle; ``r_train_shuffled``. ``mean``,
        ``mean_low``, ``mean_high`` (matching, population): mean of r over folds and units.
        ``ceiling`` (matching, unit): the r that noise leaves possible with this partner, from
        the reliability of both where there are repeats, 1 where there are none. With mutual
        information, ``information`` (matching, fold, unit), in bits, on test stimuli.

    Raises
    ------
    InputError
        Where the populations share no stimuli, or too few; where values are missing, or all units
        of a side are silent.

    Notes
    -----
    Each unit's r is divided by its own deviation over shuffles; p is the share of all units of all
    shuffles, likewise divided (each by its deviation over the other shuffles), that are as high.
    So a few shuffles are enough for small p, units need not have the same spread, and p holds what
    matching adds to chance.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.
    """
    check_draws(bootstrap, shuffle)
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(
            f"bootstrap is over {', '.join(bootstrap.over)}: each unit has an interval of its own, "
            "so resample stimuli alone, Bootstrap(200)."
        )
    pair = pair_of(source, target, folds)
    rule = _rule(measure)
    resamples = draw_resamples(bootstrap, shuffle, pair.splits, pair.groups)
    n_shuffles = 0 if resamples.orders is None else len(resamples.orders)
    found = _matched(pair, rule)
    result = _labelled(pair, found)
    if n_shuffles and resamples.orders is not None:
        each = [
            _matched(pair, rule, order, whole=False)
            for order in track(resamples.orders, "matching by chance", n_shuffles, progress)
        ]
        dims = ("shuffle", "matching", "unit")
        result["r_shuffled"] = dims, np.stack([FoldMean.of(one.test) for one in each])
        result["r_train_shuffled"] = dims, np.stack([FoldMean.of(one.train) for one in each])
        if n_shuffles > 1:
            r = result["r"].mean("fold").values
            result["p"] = ("matching", "unit"), _p(r, result["r_shuffled"].values)
    if resamples.counts is not None:
        draws = _resampled(pair, found, resamples.counts)
        _add_intervals(result, draws, resamples.n_drawn, folds.n, level)
    return result.assign_attrs(pair.attrs, measure=measure, level=level)


@dataclass(frozen=True)
class _Rule:
    """What makes units alike, from correlations or from responses."""

    weigh: Callable[[Floats], Floats] | None  # of correlations
    signed: bool = True


def _rule(measure: str) -> _Rule:
    if measure not in MEASURES:
        raise unknown("measure of alikeness", measure, MEASURES)
    if measure == "mutual-information":
        return _Rule(None, signed=False)
    return _Rule(np.abs, signed=False) if measure == "absolute" else _Rule(lambda r: r)


@dataclass(frozen=True, eq=False)
class _Matched:
    """Partners in each fold (and on all stimuli), their correlations, and which way they go."""

    partner: Integers  # (fold, matching, unit)
    train: Floats
    test: Floats
    sign: Floats
    whole: Integers | None = None  # (matching, unit)
    information: Floats | None = None


def _matched(
    pair: Pair, rule: _Rule, order: Integers | None = None, whole: bool = True
) -> _Matched:
    """Match on the training stimuli of each fold; with an order, of exchanged target stimuli."""
    x, y = pair.source.values, pair.target.values
    y = y if order is None else y[order]
    of_folds = list(_correlations(pair, y, order is not None))
    found: list[tuple[Integers, Floats, Floats, Floats]] = []
    information = []
    for (train, test), (r_train, r_test) in zip(pair.splits, of_folds, strict=True):
        if rule.weigh is None:
            weights = binned_information(x[train], y[train])
            if whole:  # a shuffle asks for partners alone
                information.append(binned_information(x[train], y[train], x[test], y[test]))
        else:
            weights = rule.weigh(r_train)
        partner = _responsive_partners(pair, weights)
        sign = np.where(_of_pairs(r_train, partner) < 0, -1.0, 1.0)
        if rule.signed:
            sign = np.ones_like(sign)
        found.append(
            (partner, sign * _of_pairs(r_train, partner), sign * _of_pairs(r_test, partner), sign)
        )
    partner, r_train, r_test, sign = (np.stack(part) for part in zip(*found, strict=True))
    on_all = None
    if whole:
        weights = (
            binned_information(x, y) if rule.weigh is None else rule.weigh(pair.moments.correlation)
        )
        on_all = _responsive_partners(pair, weights)
    told = (
        np.stack([_of_pairs(one, two) for one, two in zip(information, partner, strict=True)])
        if information
        else None
    )
    return _Matched(partner, r_train, r_test, sign, on_all, told)


def _correlations(pair: Pair, y: Floats, shuffled: bool) -> Iterator[tuple[Floats, Floats]]:
    """Correlations (p, q) on training and test stimuli of each fold.

    A unit that is silent on test stimuli has none there: NaN.
    """
    products = [m.xy for m in pair.fold_moments]
    if shuffled:  # stimuli change places within folds: all but these sums are as they were
        products = [pair.source.values[test].T @ y[test] for _, test in pair.splits]
    total = sum(products[1:], products[0])
    for (train, test), product in zip(pair.folds(), products, strict=True):
        of_each = []
        for moments, xy in ((train, total - product), (test, product)):
            cov = covariance(moments.n, moments.x, moments.y, xy)
            of_each.append(correlation(cov, moments.source_variance, moments.target_variance))
        of_each[1][test.source_variance == 0] = np.nan
        of_each[1][:, test.target_variance == 0] = np.nan
        yield of_each[0], of_each[1]


def _responsive_partners(pair: Pair, weights: Floats) -> Integers:
    """Partners (matching, unit) without silent units, which have none and are nobody's."""
    responsive = [np.flatnonzero(~side.silent) for side in pair.sides]
    found = partners(weights[np.ix_(*responsive)])
    p = len(pair.source.units)
    result = np.full((len(MATCHINGS), p + len(pair.target.units)), NO_PARTNER, dtype=np.intp)
    ends = len(responsive[0])
    for mine, others, offset, part in (
        (responsive[0], responsive[1], 0, found[:, :ends]),
        (responsive[1], responsive[0], p, found[:, ends:]),
    ):
        result[:, offset + mine] = np.where(part == NO_PARTNER, NO_PARTNER, others[part])
    return result


def _of_pairs(values: Floats, partner: Integers) -> Floats:
    """Values (p, q) of each unit with its partner, (matching, p + q); NaN where it has none."""
    p, q = values.shape
    each = np.concatenate(
        [values[np.arange(p), partner[:, :p]], values[partner[:, p:], np.arange(q)]], axis=1
    )
    return np.where(partner == NO_PARTNER, np.nan, each)


def _labelled(pair: Pair, found: _Matched) -> xr.Dataset:
    assert found.whole is not None
    names = [np.append(side.units, "").astype(str) for side in pair.sides]  # '' is nobody
    p = len(pair.source.units)
    whole = found.whole
    partner = np.concatenate([names[1][whole[:, :p]], names[0][whole[:, p:]]], axis=1)
    ceilings = [np.append(side.ceiling, np.nan) for side in pair.sides]
    own = np.concatenate([ceilings[0][:-1], ceilings[1][:-1]])
    others = np.concatenate([ceilings[1][whole[:, :p]], ceilings[0][whole[:, p:]]], axis=1)
    coords = pair.unit_coords
    mean, same = FoldMean.of(found.test), (found.partner == whole).mean(0)
    dims = ("matching", "fold", "unit")
    result = xr.Dataset(
        {
            "r": (dims, found.test.swapaxes(0, 1)),
            "r_train": (dims, found.train.swapaxes(0, 1)),
            "partner": (("matching", "unit"), partner),
            "same_partner": (("matching", "unit"), np.where(whole == NO_PARTNER, np.nan, same)),
            "ceiling": (("matching", "unit"), own * others),
            "mean": (("matching", "population"), _means(mean, coords["side"][1])),
        },
        {"matching": list(MATCHINGS), "population": list(SIDES)} | coords,
    )
    if found.information is not None:
        result["information"] = dims, found.information.swapaxes(0, 1)
    return result


def _means(values: Floats, sides: NDArray[np.str_]) -> Floats:
    """Mean over the units of each side (..., side), of those that have a value."""
    return np.stack([np.nanmean(values[..., sides == side], axis=-1) for side in SIDES], axis=-1)


def _p(r: Floats, shuffled: Floats) -> Floats:
    """P of each unit (matching, unit), against all units of all shuffles in their deviations."""
    squares = shuffled**2  # the mean over shuffles is 0
    n, total = np.isfinite(squares).sum(0), np.nansum(squares, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = r / np.sqrt(total / n)
        null = shuffled / np.sqrt((total - squares) / (n - 1))
    p = np.full(r.shape, np.nan)
    for row, (mine, theirs) in enumerate(zip(observed, null.swapaxes(0, 1), strict=True)):
        known = np.sort(theirs[np.isfinite(theirs)])
        above = len(known) - np.searchsorted(known, mine, side="left")
        p[row] = np.where(np.isnan(mine), np.nan, (1 + above) / (1 + len(known)))
    return p


def _resampled(pair: Pair, found: _Matched, counts: Floats) -> Floats:
    """Mean over folds of r with the partner (B, matching, unit), in resamples of test stimuli."""
    p = len(pair.source.units)
    own = np.concatenate([pair.source.values, pair.target.values], axis=1)
    total = FoldMean()
    parts = zip(pair.splits, found.partner, found.sign, found.test, strict=True)
    for (_, test), partner, sign, told in parts:
        r = np.empty((len(counts), *partner.shape))
        for row, who in enumerate(partner):
            others = np.concatenate(
                [pair.target.values[:, who[:p]], pair.source.values[:, who[p:]]], 1
            )
            r[:, row] = sign[row] * correlate_resampled(others[test], own[test], counts[:, test])
        total.add(np.where(np.isnan(told), np.nan, r))
    return total.mean()


def _add_intervals(
    result: xr.Dataset, draws: Floats, n_drawn: int, n_folds: int, level: float
) -> None:
    """Intervals of each unit's r, and of the mean over units."""
    sides = result["side"].values
    for name, dims, estimate, values in (
        ("r", ("matching", "unit"), FoldMean.of(result["r"].values.swapaxes(0, 1)), draws),
        ("mean", ("matching", "population"), result["mean"].values, _means(draws, sides)),
    ):
        # partners stay, so nothing is fitted anew
        error: Spread = spread(
            {("stimuli",): values, ("refit",): values}, {"stimuli": n_drawn}, n_folds
        )
        for end, found in zip(("low", "high"), error.interval(estimate, level), strict=True):
            result[f"{name}_{end}"] = dims, found
