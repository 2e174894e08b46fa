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
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..assembly import Assembly
from ..errors import InputError, unknown
from ..folds import FoldMean, Folds
from ..inference import Spread, spread
from ..population import correlate_resampled
from ..progress import track
from ..resampling import Bootstrap, Shuffle, check_draws, draw_resamples
from .assignment import MATCHINGS, NOBODY, partners
from .moments import correlation, covariance
from .mutual_information import binned_information
from .pair import SIDES, Pair, pair_of

__all__ = ["MEASURES", "SHARED", "agreement", "match_summary", "match_units", "unit_table"]

MEASURES = ("correlation", "absolute", "mutual-information")
SHARED = 0.5**0.5  # the correlation with a unit that tells half of another's variance
CLASSES = ("shared", "partly shared", "unique", "unreliable", "silent")

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
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
    return result.assign_attrs(
        n_stimuli=len(pair.stimuli),
        measure=measure,
        source=pair.source.name,
        target=pair.target.name,
        level=level,
    )


def unit_table(matches: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED) -> pd.DataFrame:
    """Which units are shared and which are unique: a row a unit of either population.

    Parameters
    ----------
    matches : xarray.Dataset
        From `match_units`, with shuffles and a bootstrap.
    alpha : float
        The share of units without counterpart that are not called unique.
    shared : float
        The correlation above which a unit is shared; as it is, where its best partner tells half of
        its variance.

    Returns
    -------
    pandas.DataFrame
        ``side``, ``unit``, its best ``partner``, held-out ``r`` with its interval, ``ceiling``
        (what noise leaves possible), ``normalized`` (r over that), ``p``, ``same_partner`` (share
        of folds), ``rivals`` (other units that have the same best partner), ``one_to_one``
        (partner in the bipartite matching), ``r_one_to_one``, ``gap`` (what is lost by it),
        ``agree``, and ``class``: "shared" where the interval lies above `shared`, "unique" where p
        is above `alpha`, "partly shared" between; "unreliable" where the recording repeats too
        little to tell; "silent".

    Raises
    ------
    InputError
        Where there are no shuffles or no bootstrap, or a threshold is out of its range.
    """
    for name, value in (("alpha", alpha), ("shared", shared)):
        if not 0 < value < 1:
            raise InputError(f"{name}={value!r}: give a number between 0 and 1.")
    missing = [name for name in ("p", "r_low") if name not in matches]
    if missing:
        raise InputError(
            "classes of units need chance and intervals: match_units(..., shuffle=Shuffle(20), "
            f"bootstrap=Bootstrap(200)); these matches lack {' and '.join(missing)}."
        )
    mean = matches["r"].mean("fold")
    best, only = (mean.sel(matching=name).values for name in ("semi", "bipartite"))
    part = matches.sel(matching="semi")
    partner, mate = (matches["partner"].sel(matching=name).values for name in ("semi", "bipartite"))
    ceiling = part["ceiling"].values
    table = pd.DataFrame(
        {
            "side": matches["side"].values,
            "unit": matches["unit"].values,
            "partner": partner,
            "r": best,
            "r_low": part["r_low"].values,
            "r_high": part["r_high"].values,
            "ceiling": ceiling,
            "normalized": best / ceiling,
            "p": part["p"].values,
            "same_partner": part["same_partner"].values,
        }
    )
    rivals = table.groupby(["side", "partner"])["unit"].transform("size") - 1
    table["rivals"] = np.where(partner == "", 0, rivals)
    table["one_to_one"], table["r_one_to_one"] = mate, only
    table["gap"] = best - only
    table["agree"] = (partner == mate) & (partner != "")
    surely, chance = table["r_low"] / ceiling > shared, ~(table["p"] <= alpha)
    table["class"] = np.select(
        [partner == "", np.isnan(ceiling), chance, surely],
        ["silent", "unreliable", "unique", "shared"],
        "partly shared",
    )
    return table


def match_summary(
    matches: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED
) -> pd.DataFrame:
    """How far two populations share units: a row a side.

    Parameters
    ----------
    matches : xarray.Dataset
        From `match_units`, with shuffles and a bootstrap.
    alpha, shared : float
        As for `unit_table`.

    Returns
    -------
    pandas.DataFrame
        ``side``, ``population``, ``n_units``; mean held-out r of the ``semi`` and ``bipartite``
        matching with intervals over stimuli, ``semi_train`` and ``bipartite_train`` on training
        stimuli and ``_chance`` of shuffled ones; ``agreement``, the share of units to which both
        give the same partner; ``gap``, the mean that competition for partners costs; and the share
        of units of each class.
    """
    table = unit_table(matches, alpha=alpha, shared=shared)
    rows = []
    for side in SIDES:
        here = matches["side"].values == side
        part, units = matches.isel(unit=here), table[table["side"] == side]
        counted = units[units["class"] != "silent"]
        row = {
            "side": side,
            "population": matches.attrs[side],
            "n_units": int(here.sum()),
        }
        for name in reversed(MATCHINGS):
            row[name] = float(matches["mean"].sel(matching=name, population=side))
            for end in ("low", "high"):
                row[f"{name}_{end}"] = float(
                    matches[f"mean_{end}"].sel(matching=name, population=side)
                )
            one = part.sel(matching=name)
            row[f"{name}_train"] = float(one["r_train"].mean())
            row[f"{name}_chance"] = float(one["r_shuffled"].mean())
            row[f"{name}_train_chance"] = float(one["r_train_shuffled"].mean())
        row["agreement"] = float(counted["agree"].mean())
        row["gap"] = float(counted["gap"].mean())
        for kind in CLASSES:
            row[kind.replace(" ", "_")] = float((units["class"] == kind).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def agreement(one: xr.Dataset, other: xr.Dataset) -> pd.DataFrame:
    """How far two ways of matching the same units agree, such as by correlation and information.

    Parameters
    ----------
    one, other : xarray.Dataset
        From `match_units`, of the same populations.

    Returns
    -------
    pandas.DataFrame
        A row a side and matching: ``same_partner``, the share of units that have the same partner
        in both, of those that have one in both; ``n_units``, their number; ``r_one`` and
        ``r_other``, their mean held-out correlation in either.

    Raises
    ------
    InputError
        Where the units are not the same.
    """
    if one["unit"].values.tolist() != other["unit"].values.tolist():
        raise InputError(
            f"the first matches {one.attrs['source']!r} with {one.attrs['target']!r}, the second "
            f"{other.attrs['source']!r} with {other.attrs['target']!r}: give matches of the same "
            "populations."
        )
    rows = []
    for side in SIDES:
        here = one["side"].values == side
        for name in MATCHINGS:
            first, second = (each.isel(unit=here).sel(matching=name) for each in (one, other))
            both = (first["partner"].values != "") & (second["partner"].values != "")
            same = first["partner"].values[both] == second["partner"].values[both]
            rows.append(
                {
                    "side": side,
                    "matching": name,
                    "same_partner": _known_mean(same.astype(float)),
                    "n_units": int(both.sum()),
                    "r_one": _known_mean(first["r"].mean("fold").values[both]),
                    "r_other": _known_mean(second["r"].mean("fold").values[both]),
                }
            )
    return pd.DataFrame(rows)


def _known_mean(values: Floats) -> float:
    """Mean of what is known; NaN of nothing."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


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
            information.append(binned_information(x[train], y[train], x[test], y[test]))
        else:
            weights = rule.weigh(r_train)
        partner = _heard_partners(pair, weights)
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
        on_all = _heard_partners(pair, weights)
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


def _heard_partners(pair: Pair, weights: Floats) -> Integers:
    """Partners (matching, unit) without silent units, which have none and are nobody's."""
    heard = [np.flatnonzero(~side.silent) for side in pair.sides]
    found = partners(weights[np.ix_(*heard)])
    p = len(pair.source.units)
    result = np.full((len(MATCHINGS), p + len(pair.target.units)), NOBODY, dtype=np.intp)
    ends = len(heard[0])
    for mine, others, offset, part in (
        (heard[0], heard[1], 0, found[:, :ends]),
        (heard[1], heard[0], p, found[:, ends:]),
    ):
        result[:, offset + mine] = np.where(part == NOBODY, NOBODY, others[part])
    return result


def _of_pairs(values: Floats, partner: Integers) -> Floats:
    """Values (p, q) of each unit with its partner, (matching, p + q); NaN where it has none."""
    p, q = values.shape
    each = np.concatenate(
        [values[np.arange(p), partner[:, :p]], values[partner[:, p:], np.arange(q)]], axis=1
    )
    return np.where(partner == NOBODY, np.nan, each)


def _labelled(pair: Pair, found: _Matched) -> xr.Dataset:
    assert found.whole is not None
    names = [np.append(side.units, "").astype(str) for side in pair.sides]  # '' is nobody
    p = len(pair.source.units)
    whole = found.whole
    partner = np.concatenate([names[1][whole[:, :p]], names[0][whole[:, p:]]], axis=1)
    ceilings = [np.append(side.ceiling, np.nan) for side in pair.sides]
    own = np.concatenate([ceilings[0][:-1], ceilings[1][:-1]])
    others = np.concatenate([ceilings[1][whole[:, :p]], ceilings[0][whole[:, p:]]], axis=1)
    sides = np.repeat(SIDES, [len(side.units) for side in pair.sides])
    mean, same = FoldMean.of(found.test), (found.partner == whole).mean(0)
    dims = ("matching", "fold", "unit")
    result = xr.Dataset(
        {
            "r": (dims, found.test.swapaxes(0, 1)),
            "r_train": (dims, found.train.swapaxes(0, 1)),
            "partner": (("matching", "unit"), partner),
            "same_partner": (("matching", "unit"), np.where(whole == NOBODY, np.nan, same)),
            "ceiling": (("matching", "unit"), own * others),
            "mean": (("matching", "population"), _means(mean, sides)),
        },
        {
            "matching": list(MATCHINGS),
            "unit": np.concatenate([side.units for side in pair.sides]).astype(str),
            "side": ("unit", sides),
            "population": list(SIDES),
        },
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
        error: Spread = spread({"stimuli": values, "refit": values}, {"stimuli": n_drawn}, n_folds)
        for end, found in zip(("low", "high"), error.interval(estimate, level), strict=True):
            result[f"{name}_{end}"] = dims, found
