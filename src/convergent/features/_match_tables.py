"""Tables of matched units: which are shared and which are unique, and how far matchings agree."""

from __future__ import annotations

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from ..base.errors import InputError
from ._assignment import MATCHINGS
from ._two_populations import SIDES

__all__ = ["CLASSES", "SHARED", "agreement", "match_summary", "unit_table"]

SHARED = 0.5**0.5  # the correlation with a unit that tells half of another's variance
CLASSES = ("shared", "partly shared", "unique", "unreliable", "silent")


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


def _known_mean(values: NDArray[np.float64]) -> float:
    """Mean of what is known; NaN of nothing."""
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")
