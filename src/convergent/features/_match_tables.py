"""Tables of matched units: shared and unique units, and the agreement of two matchings."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import as_share
from ..base.errors import InputError
from ..scoring.kinds import check_kind
from ._assignment import LEAST_EFFECTIVE, MATCHINGS
from ._two_populations import SIDES

__all__ = ["SHARED", "agreement", "match_summary", "unit_table"]

SHARED = 0.5**0.5  # correlation of two units of which one explains half of the other's variance
_CLASSES = ("shared", "partly shared", "unique", "few responses", "unreliable", "silent")


def unit_table(matches: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED) -> pd.DataFrame:
    """Classify units as shared or unique: one row per unit of either population.

    Parameters
    ----------
    matches : xarray.Dataset
        From `match_units`, with shuffles and a bootstrap.
    alpha : float
        Significance level, between 0 and 1: the share of units without a counterpart that are not
        called unique.
    shared : float
        Correlation with the best partner, divided by its ceiling, above which a unit is shared. By
        default 0.71: the partner explains half of the unit's variance.

    Returns
    -------
    pandas.DataFrame
        ``side``, ``unit``; ``partner``, the best partner (semi-matching); ``r`` with it on test
        stimuli, ``r_low``, ``r_high``, its interval; ``ceiling``, the highest r that noise allows;
        ``normalized``, r / ceiling; ``n_effective``, effective number of test stimuli that r rests
        on (see `match_units`); ``p``; ``same_partner``, share of folds with this partner;
        ``rivals``, number of other units of this side with the same best partner; ``one_to_one``,
        partner in the bipartite matching; ``r_one_to_one``, r with it; ``gap``, r less
        r_one_to_one; ``agree``, whether both partners are the same. ``class``: "shared" if the
        interval, divided by the ceiling, lies above `shared`; "unique" if p is above `alpha`;
        "partly shared" in between; "few responses" if r rests on fewer than 5 effective test
        stimuli, as of units that respond to 2 of 100, so that there is no interval and no p;
        "unreliable" if the reliability is too low to decide; "silent" if the unit responds alike to
        all stimuli. `match_summary` counts the classes.

    Raises
    ------
    InputError
        If the matches lack shuffles or a bootstrap, or a threshold is out of its range.
    """
    check_kind(matches, "match_units", "features.unit_table")
    alpha, shared = as_share("alpha", alpha, 0.05), as_share("shared", shared, 0.7)
    missing = [name for name in ("p", "r_low") if name not in matches]
    if missing:
        raise InputError(
            "classes of units need chance and intervals: match_units(..., shuffle=Shuffle(20), "
            f"bootstrap=Bootstrap(200)); these matches lack {' and '.join(missing)}."
        )
    semi, bipartite = (matches.sel(matching=name) for name in ("semi", "bipartite"))
    table = pd.DataFrame({"side": matches["side"].values, "unit": matches["unit"].values})
    table["partner"], table["r"] = semi["partner"].values, semi["r"].mean("fold").values
    for name in ("r_low", "r_high", "ceiling"):
        table[name] = semi[name].values
    table["normalized"] = table["r"] / table["ceiling"]
    table["n_effective"] = semi["n_effective"].values
    table["p"], table["same_partner"] = semi["p"].values, semi["same_partner"].values
    known = table["partner"] != ""
    rivals = table.groupby(["side", "partner"])["unit"].transform("size") - 1
    table["rivals"] = np.where(known, rivals, 0)
    table["one_to_one"] = bipartite["partner"].values
    table["r_one_to_one"] = bipartite["r"].mean("fold").values
    table["gap"] = table["r"] - table["r_one_to_one"]
    table["agree"] = (table["partner"] == table["one_to_one"]) & known
    table["class"] = _classes(table, alpha, shared)
    return table


def _classes(table: pd.DataFrame, alpha: float, shared: float) -> NDArray[np.str_]:
    """Class of each unit; the first condition that holds decides."""
    conditions = {
        "silent": table["partner"] == "",
        "few responses": table["n_effective"] < LEAST_EFFECTIVE,
        "unreliable": table["ceiling"].isna(),
        "unique": ~(table["p"] <= alpha),
        "shared": table["r_low"] / table["ceiling"] > shared,
    }
    return np.select(list(conditions.values()), list(conditions), "partly shared")


def match_summary(
    matches: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED
) -> pd.DataFrame:
    """Summarize how far two populations share units: one row per population.

    Parameters
    ----------
    matches : xarray.Dataset
        From `match_units`, with shuffles and a bootstrap.
    alpha, shared : float
        As for `unit_table`.

    Returns
    -------
    pandas.DataFrame
        ``side``, ``population``, ``n_units``. For ``semi`` and ``bipartite``: mean r on test
        stimuli over folds and units, with its interval over stimuli (``_low``, ``_high``); the same
        on training stimuli (``_train``), and with stimuli exchanged (``_chance``,
        ``_train_chance``). ``agreement``: share of responsive units with the same partner in both
        matchings; ``gap``: mean r of their best partner less that of their one-to-one partner.
        ``shared``, ``partly_shared``, ``unique``, ``few_responses``, ``unreliable``, ``silent``:
        share of units of each class.
    """
    table = unit_table(matches, alpha=alpha, shared=shared)
    rows = []
    for side in SIDES:
        here = matches["side"].values == side
        part, units = matches.isel(unit=here), table[table["side"] == side]
        row = {"side": side, "population": matches.attrs[side], "n_units": int(here.sum())}
        for name in reversed(MATCHINGS):
            row |= _means(part.sel(matching=name, population=side), name)
        responsive = units[units["class"] != "silent"]
        row["agreement"] = float(responsive["agree"].mean())
        row["gap"] = float(responsive["gap"].mean())
        for kind in _CLASSES:
            row[kind.replace(" ", "_")] = float((units["class"] == kind).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def _means(part: xr.Dataset, name: str) -> dict[str, float]:
    """Means over the units of one side, for one matching."""
    return {
        name: float(part["mean"]),
        f"{name}_low": float(part["mean_low"]),
        f"{name}_high": float(part["mean_high"]),
        f"{name}_train": float(part["r_train"].mean()),
        f"{name}_chance": float(part["r_shuffled"].mean()),
        f"{name}_train_chance": float(part["r_train_shuffled"].mean()),
    }


def agreement(one: xr.Dataset, other: xr.Dataset) -> pd.DataFrame:
    """Compare two matchings of the same units, such as by correlation and by mutual information.

    Parameters
    ----------
    one, other : xarray.Dataset
        From `match_units`, for the same populations.

    Returns
    -------
    pandas.DataFrame
        One row per ``side`` and ``matching``: ``n_units``, number of units that have a partner in
        both; of these, ``same_partner``, share with the same partner in both, and ``r_one`` and
        ``r_other``, mean r on test stimuli in each.

    Raises
    ------
    InputError
        If the units are not the same.
    """
    for matches in (one, other):
        check_kind(matches, "match_units", "features.agreement")
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


def _known_mean(values: NDArray[np.float64]) -> float:
    """Mean, NaN left out; NaN if nothing is left."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
