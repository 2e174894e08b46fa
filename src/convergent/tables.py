"""Tidy tables of scores: a row a score, a difference, or a source that may be the best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from .errors import InputError, unknown
from .inference import Spread, holm, p_best, p_permutation, spread
from .results import aggregate

__all__ = ["against", "best", "differences", "summary"]

CELL = ("metric", "source", "target")
Value = Literal["r", "normalized"]


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
    scores = aggregate(scores)
    rows = []
    for labels, cell in _cells(scores):
        numbers = {
            name: float(cell[name])
            for name in ("r", "ceiling", "normalized", "explained_variance", "reliability")
        }
        row = labels | numbers | {"n_stimuli": int(scores.attrs["n_stimuli"])}
        row |= {name: int(cell[name]) for name in ("n_units", "n_units_excluded")}
        if "r_draws" in cell:
            for name in ("r", "normalized"):
                found = _spread(cell, _draws(cell, name), scores.sizes["fold"])
                low, high = found.interval(np.asarray(numbers[name]), level)
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

    Resamples are the same for all, so that what two scores have in common cancels.

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
    scores = _bootstrapped(scores)
    _check("between", between, CELL)
    _check("value", value, ("r", "normalized"))
    names = [str(name) for name in scores[between].values]
    pairs = list(combinations(names, 2))
    if reference is not None:
        _check(between, reference, names)
        pairs = [(name, reference) for name in names if name != reference]
    others = [dim for dim in CELL if dim != between]
    rows: list[dict[str, Any]] = []
    for labels in product(*(scores[dim].values for dim in others)):
        fixed = {dim: str(label) for dim, label in zip(others, labels, strict=True)}
        cell = scores.sel(fixed)
        together = []
        for first, second in pairs:
            one, other = (cell.sel({between: name}) for name in (first, second))
            difference = np.asarray(float(one[value]) - float(other[value]))
            found = _spread(
                one,
                {
                    factor: draws - _draws(other, value)[factor]
                    for factor, draws in _draws(one, value).items()
                },
                scores.sizes["fold"],
                other,
            )
            low, high = found.interval(difference, level)
            together.append(
                fixed
                | {"first": first, "second": second, "difference": float(difference)}
                | {"low": float(low), "high": float(high), "p": float(found.p(difference))}
            )
        corrected = holm(np.array([row["p"] for row in together]))
        rows += [
            row | {"p_corrected": float(p)} for row, p in zip(together, corrected, strict=True)
        ]
    return pd.DataFrame(rows)


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
        One row a (metric, target, source): the score, its interval ``low`` to ``high``,
        ``behind`` (the greatest score less this one), ``p`` (corrected for the number of sources)
        and ``among_best``.

    Raises
    ------
    InputError
        Where the scores were not bootstrapped.

    References
    ----------
    Hsu 1981, Annals of Statistics 9.
    """
    scores = _bootstrapped(scores)
    _check("value", value, ("r", "normalized"))
    rows: list[dict[str, Any]] = []
    n_folds = scores.sizes["fold"]
    for metric, target in product(scores["metric"].values, scores["target"].values):
        cell = scores.sel(metric=metric, target=target)
        estimates = cell[value].values
        draws = _draws(cell, value)
        alone = _spread(cell, draws, n_folds)
        pairs = {k: v[:, :, None] - v[:, None, :] for k, v in draws.items()}
        low, high = alone.interval(estimates, level)
        p = p_best(estimates, draws, _spread(cell, pairs, n_folds))
        for i, source in enumerate(cell["source"].values):
            rows.append(
                {"metric": str(metric), "target": str(target), "source": str(source)}
                | {value: float(estimates[i]), "low": float(low[i]), "high": float(high[i])}
                | {"behind": float(np.nanmax(estimates) - estimates[i])}
                | {"p": float(p[i]), "among_best": bool(p[i] > 1 - level)}
            )
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


def _bootstrapped(scores: xr.Dataset) -> xr.Dataset:
    if "r_draws" not in scores:
        raise InputError(
            "the scores hold no resamples: score again with bootstrap=Bootstrap(1000)."
        )
    return aggregate(scores)


def _check(what: str, name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise unknown(what, name, known)


def _cells(scores: xr.Dataset) -> Iterator[tuple[dict[str, Any], xr.Dataset]]:
    for labels in product(*(scores[dim].values for dim in CELL)):
        named = {dim: str(label) for dim, label in zip(CELL, labels, strict=True)}
        yield named, scores.sel(named)


def _draws(cell: xr.Dataset, value: str) -> dict[str, NDArray[np.float64]]:
    """Resamples by factor, (draw, ...)."""
    draws = cell[f"{value}_draws"].transpose("factor", "draw", ...)
    return {str(name): draws.sel(factor=name).values for name in draws["factor"].values}


def _spread(
    cell: xr.Dataset,
    draws: Mapping[str, NDArray[np.float64]],
    n_folds: int,
    other: xr.Dataset | None = None,
) -> Spread:
    """Spread of an estimate, or of the difference of two cells."""
    drawn: dict[str, float] = {}
    for one in (cell, cell if other is None else other):
        for name in map(str, one["factor"].values):
            found = float(one["n_drawn"].sel(factor=name))
            drawn[name] = min(found, drawn.get(name, np.inf))
    return spread(draws, drawn, n_folds)
