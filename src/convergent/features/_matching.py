"""One-to-one: units of two populations are matched on training stimuli, scored on test stimuli.

On the training stimuli of each fold, units are matched one-to-one (bipartite matching), or each
with its best partner (semi-matching); partners are then correlated on the fold's test stimuli. On
training stimuli the best of many partners correlates highly by chance alone; on test stimuli it
does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Unpack

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import as_share, check_known
from ..base.arrays import Floats, Integers, correlate_resampled
from ..base.compute import Compute
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.resampling import Bootstrap, Shuffle, draw_resamples, effective_number
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.order import warn_of_order
from ..statistics.aggregation import FoldMean
from ..statistics.inference import Spread, spread
from ._assignment import LEAST_EFFECTIVE, MATCHINGS, NO_PARTNER, partners
from ._cross_moments import correlation, covariance
from ._mutual_information import binned_information
from ._results import OF_SCORES, result, used
from ._two_populations import SIDES, TwoPopulations, prepare

__all__ = ["match_units", "matches_of"]


def match_units(
    source: Assembly,
    target: Assembly,
    *,
    measure: Literal["correlation", "absolute", "mutual-information"] = "correlation",
    level: float = 0.95,
    **settings: Unpack[Settings],
) -> xr.Dataset:
    r"""Match units on training stimuli, and correlate partners on test stimuli.

    Parameters
    ----------
    source, target : Assembly
        (stimulus, unit): two networks' layers, a layer and a recording, or two subjects. Repeats
        are averaged, stimuli matched by name. Positions of an image stay in one fold.
    measure : {"correlation", "absolute", "mutual-information"}
        Similarity of two units on the training stimuli: their correlation, its absolute value, or
        their mutual information, which also finds relations that are not linear.
    level : float
        Confidence level of the intervals, between 0 and 1.
    **settings : Settings
        ``folds``; ``shuffle`` (default ``Shuffle(20)``), in which stimuli of the target are
        exchanged and units are matched again, to find scores by chance (p needs two shuffles or
        more; None for no chance and no p); ``bootstrap`` (default ``Bootstrap(200)``), resamples of
        the test stimuli for intervals, in which partners stay as they are (None for no intervals);
        or ``protocol`` with these. ``study`` and ``progress``, or ``compute`` with these.

    Returns
    -------
    xarray.Dataset
        Along ``unit``: the units of the source, then those of the target (coordinate ``side``);
        along ``matching``: "bipartite" and "semi"; along ``population``: "source" and "target".

        - ``r`` (matching, fold, unit): correlation with the partner on test stimuli, times the sign
          of their correlation on training stimuli unless ``measure="correlation"``; NaN for units
          without a partner.
        - ``r_train`` (matching, fold, unit): the same on training stimuli.
        - ``partner`` (matching, unit): name of the partner when units are matched on all stimuli,
          '' if there is none.
        - ``same_partner`` (matching, unit): share of folds with this partner.
        - ``ceiling`` (matching, unit): highest r that noise allows with this partner, from the
          reliability of both units; 1 without repeats, NaN if a reliability is below 0.1.
        - ``n_effective`` (matching, unit): effective number of test stimuli that r rests on,
          :math:`(\sum z^2)^2 / \sum z^4` of the responses z less their mean, the smaller one of
          the unit and its partner, summed over the folds in which both respond. It is about a
          third of the stimuli for Gaussian responses, and 2 for two that respond to 2 stimuli.
        - ``mean`` (matching, population): mean of r over folds and units.
        - ``r_low``, ``r_high``, ``mean_low``, ``mean_high``: intervals of the mean of r over folds,
          and of ``mean``; NaN for units with ``n_effective`` below 5.
        - ``r_shuffled``, ``r_train_shuffled`` (shuffle, matching, unit): means over folds of r and
          r_train in each shuffle.
        - ``p`` (matching, unit): one-sided p of r, if the unit had no counterpart; NaN for units
          with ``n_effective`` below 5.
        - ``information`` (matching, fold, unit): mutual information with the partner on test
          stimuli, in bits, for ``measure="mutual-information"``.

        Attrs: ``measure``, ``level``, ``n_stimuli``, ``source``, ``target``, ``provenance``.

    Raises
    ------
    InputError
        If the populations share no stimuli, or too few; if values are missing, or all units of a
        side are silent; if a setting is unknown, or the bootstrap is not over stimuli alone.

    Notes
    -----
    Each unit's r is divided by the standard deviation of its own r over shuffles. p is the share of
    such ratios, of all units in all shuffles (there each r is divided by the deviation over the
    other shuffles), that are at least as high. So few shuffles are enough for a small p, and units
    may have null distributions of different widths.

    Two units that each respond to one stimulus of a fold correlate by 1 there if it is the same
    one, and no resample of the stimuli shows how easily they might not have. So where a correlation
    rests on fewer than 5 effective stimuli, it has no interval and no p. Other units are compared
    with each other's chance alone.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543.

    Examples
    --------
    >>> import convergent as cv
    >>> a, b = cv.simulate.convergent_pair(90, 10, shares=(0.6, 0.4, 0), block=4, private=2)
    >>> matches = cv.features.match_units(a, b, shuffle=cv.Shuffle(5), bootstrap=cv.Bootstrap(50))
    >>> cv.features.unit_table(matches)[["unit", "partner", "r", "class"]].head(3).round(1)
        unit partner    r          class
    0  A0000   B0010  0.9         shared
    1  A0001   B0008  0.9         shared
    2  A0002   B0006  0.7  partly shared
    """
    protocol, compute = settle(
        settings,
        usual=Protocol(shuffle=Shuffle(20), bootstrap=Bootstrap(200)),
        without=OF_SCORES,
    )
    check_known("measure of similarity", measure, _RULES)
    level = as_share("level", level)
    pair = prepare(source, target, protocol.folds)
    one, other = ({side.name: side.shared} for side in pair.sides)
    warn_of_order(one, other, protocol, pair.groups)
    return matches_of(pair, protocol, compute, measure, level)


def matches_of(
    pair: TwoPopulations,
    protocol: Protocol,
    compute: Compute,
    measure: str = "correlation",
    level: float = 0.95,
) -> xr.Dataset:
    """Match units, as `match_units` does, of prepared populations."""
    bootstrap = protocol.bootstrap
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(
            f"bootstrap is over {', '.join(bootstrap.over)}: each unit has an interval of its own, "
            "so resample stimuli alone, Bootstrap(200)."
        )
    own = {"measure": measure, "level": level}
    return result(
        "match_units",
        pair,
        lambda: _matches(pair, protocol, compute.progress, measure, level).assign_attrs(own),
        compute,
        used(protocol, "folds", "shuffle", "bootstrap") | own,
    )


def _matches(
    pair: TwoPopulations, protocol: Protocol, progress: bool | None, measure: str, level: float
) -> xr.Dataset:
    rule = _RULES[measure]
    resamples = draw_resamples(protocol.bootstrap, protocol.shuffle, pair.splits, pair.groups)
    found = _matched(pair, rule)
    labelled = _labelled(pair, found)
    labelled["n_effective"] = ("matching", "unit"), _effective(pair, found)
    if resamples.orders is not None:
        steps = track(resamples.orders, "matching by chance", len(resamples.orders), progress)
        _add_chance(labelled, [_matched(pair, rule, order) for order in steps])
    if resamples.counts is not None:
        draws = _resampled(pair, found, resamples.counts)
        responses = np.concatenate([pair.source.values, pair.target.values], axis=1)
        drawn = {
            "stimuli": resamples.n_drawn,
            "effective": effective_number(responses, resamples.members),
        }
        _add_intervals(labelled, draws, drawn, protocol.folds.n, level)
    return labelled


@dataclass(frozen=True)
class _Rule:
    """How similar two units are.

    Attributes
    ----------
    of_r : function or None
        Similarity from correlation; None for mutual information, which needs the responses.
    signed : bool
        Whether r of partners keeps its sign; otherwise it is scored with the sign of training.
    """

    of_r: Callable[[Floats], Floats] | None
    signed: bool = False


_RULES = {
    "correlation": _Rule(lambda r: r, signed=True),
    "absolute": _Rule(np.abs),
    "mutual-information": _Rule(None),
}


@dataclass(frozen=True, eq=False)
class _Matched:
    """Partners in each fold, (fold, matching, unit), and how they correlate.

    Attributes
    ----------
    partner : int array
        Position of each unit's partner on the other side.
    train, test : float array
        Correlations on training and test stimuli.
    sign : float array
        1, or -1 where the score of partners is their correlation times -1.
    on_all : int array (matching, unit), optional
        Partners on all stimuli.
    information : float array, optional
        Mutual information on test stimuli.
    """

    partner: Integers
    train: Floats
    test: Floats
    sign: Floats
    on_all: Integers | None = None
    information: Floats | None = None


def _matched(pair: TwoPopulations, rule: _Rule, order: Integers | None = None) -> _Matched:
    """Match on the training stimuli of each fold.

    With an order, target stimuli are exchanged, and only partners and correlations are found.
    """
    x, y = pair.source.values, pair.target.values
    y = y if order is None else y[order]
    folds: list[tuple[Integers, Floats, Floats, Floats]] = []
    of_folds = _correlations(pair, y, order is not None)
    for (train, _), (r_train, r_test) in zip(pair.splits, of_folds, strict=True):
        weights = rule.of_r(r_train) if rule.of_r else binned_information(x[train], y[train])
        partner = _responsive_partners(pair, weights)
        in_training = _of_pairs(r_train, partner)
        sign = np.where((in_training < 0) & (not rule.signed), -1.0, 1.0)
        folds.append((partner, sign * in_training, sign * _of_pairs(r_test, partner), sign))
    matched = _Matched(*(np.stack(part) for part in zip(*folds, strict=True)))
    if order is not None:
        return matched
    if rule.of_r:
        on_all = _responsive_partners(pair, rule.of_r(pair.moments.correlation))
        return replace(matched, on_all=on_all)
    on_all = _responsive_partners(pair, binned_information(x, y))
    return replace(matched, on_all=on_all, information=_information(pair, matched.partner))


def _information(pair: TwoPopulations, partner: Integers) -> Floats:
    """Mutual information with the partner (fold, matching, unit), on test stimuli."""
    x, y = (side.values for side in pair.sides)
    found = []
    for (train, test), of_fold in zip(pair.splits, partner, strict=True):
        values = binned_information(x[train], y[train], x[test], y[test])
        found.append(_of_pairs(values, of_fold))
    return np.stack(found)


def _correlations(
    pair: TwoPopulations, y: Floats, shuffled: bool
) -> Iterator[tuple[Floats, Floats]]:
    """Correlations (p, q) on training and test stimuli of each fold.

    NaN on the test stimuli for units that are silent there.
    """
    products = [m.xy for m in pair.fold_moments]
    if shuffled:  # stimuli change places within folds: all but these sums are as they were
        products = [pair.source.values[test].T @ y[test] for _, test in pair.splits]
    total = sum(products[1:], products[0])
    for (train, test), product in zip(pair.train_and_test(), products, strict=True):
        of_each = []
        for moments, xy in ((train, total - product), (test, product)):
            cov = covariance(moments.n, moments.x, moments.y, xy)
            of_each.append(correlation(cov, moments.source_variance, moments.target_variance))
        of_each[1][test.source_variance == 0] = np.nan
        of_each[1][:, test.target_variance == 0] = np.nan
        yield of_each[0], of_each[1]


def _responsive_partners(pair: TwoPopulations, weights: Floats) -> Integers:
    """Partners (matching, unit) of responsive units; silent units have none, and are none."""
    responsive = [np.flatnonzero(~side.silent) for side in pair.sides]
    found = partners(weights[np.ix_(*responsive)])
    p = len(pair.source.units)
    positions = np.full((len(MATCHINGS), p + len(pair.target.units)), NO_PARTNER, dtype=np.intp)
    ends = len(responsive[0])
    for mine, others, offset, part in (
        (responsive[0], responsive[1], 0, found[:, :ends]),
        (responsive[1], responsive[0], p, found[:, ends:]),
    ):
        positions[:, offset + mine] = np.where(part == NO_PARTNER, NO_PARTNER, others[part])
    return positions


def _of_pairs(values: Floats, partner: Integers) -> Floats:
    """Values (p, q) of each unit with its partner, (matching, p + q); NaN if it has none."""
    p, q = values.shape
    each = np.concatenate(
        [values[np.arange(p), partner[:, :p]], values[partner[:, p:], np.arange(q)]], axis=1
    )
    return np.where(partner == NO_PARTNER, np.nan, each)


def _labelled(pair: TwoPopulations, found: _Matched) -> xr.Dataset:
    assert found.on_all is not None
    names = [np.append(side.units, "").astype(str) for side in pair.sides]  # '' for no partner
    p = len(pair.source.units)
    whole = found.on_all
    partner = np.concatenate([names[1][whole[:, :p]], names[0][whole[:, p:]]], axis=1)
    ceilings = [np.append(side.ceiling, np.nan) for side in pair.sides]
    own = np.concatenate([ceilings[0][:-1], ceilings[1][:-1]])
    others = np.concatenate([ceilings[1][whole[:, :p]], ceilings[0][whole[:, p:]]], axis=1)
    coords = pair.unit_coords
    mean, same = FoldMean.of(found.test), (found.partner == whole).mean(0)
    dims = ("matching", "fold", "unit")
    labelled = xr.Dataset(
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
        labelled["information"] = dims, found.information.swapaxes(0, 1)
    return labelled


def _effective(pair: TwoPopulations, found: _Matched) -> Floats:
    """Effective number of test stimuli (matching, unit) that r with the partner rests on."""
    p = len(pair.source.units)
    total = np.zeros(found.partner.shape[1:])
    for (_, test), partner, r in zip(pair.splits, found.partner, found.test, strict=True):
        own, others = (_participation(side.values[test]) for side in pair.sides)
        of_partner = np.concatenate([others[partner[:, :p]], own[partner[:, p:]]], axis=1)
        each = np.minimum(np.concatenate([own, others]), of_partner)
        total += np.where(np.isnan(r), 0.0, each)
    return total


def _participation(values: Floats) -> Floats:
    """Effective number of stimuli of each unit: (sum z^2)^2 / sum z^4, z less its mean."""
    squares = (values - values.mean(0)) ** 2
    fourth = np.sum(squares**2, axis=0)
    whole = np.sum(squares, axis=0) ** 2
    return np.asarray(np.divide(whole, fourth, out=np.zeros(len(whole)), where=fourth > 0))


def _means(values: Floats, sides: NDArray[np.str_]) -> Floats:
    """Mean over the units of each side (..., side), NaN left out."""
    return np.stack([np.nanmean(values[..., sides == side], axis=-1) for side in SIDES], axis=-1)


def _add_chance(labelled: xr.Dataset, shuffles: list[_Matched]) -> None:
    """Scores in each shuffle, and p of each unit."""
    dims = ("shuffle", "matching", "unit")
    labelled["r_shuffled"] = dims, np.stack([FoldMean.of(one.test) for one in shuffles])
    labelled["r_train_shuffled"] = dims, np.stack([FoldMean.of(one.train) for one in shuffles])
    if len(shuffles) > 1:
        enough = labelled["n_effective"].values >= LEAST_EFFECTIVE
        r = np.where(enough, labelled["r"].mean("fold").values, np.nan)
        shuffled = np.where(enough, labelled["r_shuffled"].values, np.nan)
        labelled["p"] = ("matching", "unit"), _p(r, shuffled)


def _p(r: Floats, shuffled: Floats) -> Floats:
    """P of each unit (matching, unit), from r over its deviation in shuffles.

    The null distribution holds such ratios of all units in all shuffles.
    """
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


def _resampled(pair: TwoPopulations, found: _Matched, counts: Floats) -> Floats:
    """Mean over folds of r with the partner (B, matching, unit), in resamples of test stimuli."""
    p = len(pair.source.units)
    own = np.concatenate([pair.source.values, pair.target.values], axis=1)
    total = FoldMean()
    parts = zip(pair.splits, found.partner, found.sign, found.test, strict=True)
    for (_, test), partner, sign, score in parts:
        r = np.empty((len(counts), *partner.shape))
        for row, positions in enumerate(partner):
            others = np.concatenate(
                [pair.target.values[:, positions[:p]], pair.source.values[:, positions[p:]]], 1
            )
            r[:, row] = sign[row] * correlate_resampled(others[test], own[test], counts[:, test])
        total.add(np.where(np.isnan(score), np.nan, r))
    return total.mean()


def _add_intervals(
    labelled: xr.Dataset, draws: Floats, drawn: Mapping[str, float], n_folds: int, level: float
) -> None:
    """Intervals of each unit's r, and of the mean over units."""
    sides = labelled["side"].values
    for name, dims, estimate, values in (
        ("r", ("matching", "unit"), FoldMean.of(labelled["r"].values.swapaxes(0, 1)), draws),
        ("mean", ("matching", "population"), labelled["mean"].values, _means(draws, sides)),
    ):
        # partners stay as they are, so no fit adds to the variance
        error: Spread = spread({("stimuli",): values, ("refit",): values}, drawn, n_folds)
        for end, found in zip(("low", "high"), error.interval(estimate, level), strict=True):
            labelled[f"{name}_{end}"] = dims, found
    enough = labelled["n_effective"] >= LEAST_EFFECTIVE
    for end in ("low", "high"):
        labelled[f"r_{end}"] = labelled[f"r_{end}"].where(enough)
