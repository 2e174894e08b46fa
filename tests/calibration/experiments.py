"""Intervals of the experiments: hierarchy, shift, trajectory and matched units."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from simulations import labelled

import convergent as cv

UNITS = 6
SETTINGS = {"metrics": "linear", "folds": cv.Folds(3)}  # the least that is to be done
# Layers of the simulated networks, from first to last, have in common a signal that changes from
# layer to layer; SHARED is its weight in each network at a step of training, or at a distortion
CARRIED = 0.8
STEPS = {0.0: 0.0, 1.0: 0.7, 2.0: 1.0}
LEVELS = {"none": 1.0, "blurred": 0.6}


def signals(rng, n, layers):
    """What two networks have in common: one signal (n, units) for each layer."""
    found = [rng.standard_normal((n, UNITS))]
    for _ in range(layers - 1):
        new = rng.standard_normal((n, UNITS))
        found.append(CARRIED * found[-1] + np.sqrt(1 - CARRIED**2) * new)
    return found


def network(rng, common, weight, noise, own=None):
    """Layers of a network: the common signal, and what is its own."""
    own = [rng.standard_normal(x.shape) for x in common] if own is None else own
    return {
        f"layer{k}": labelled(weight * x + noise * y, f"layer{k}")
        for k, (x, y) in enumerate(zip(common, own, strict=True))
    }


def hierarchies(rng, n_stimuli, noise, bootstrap):
    """Depths of partners, and the diagonal, of two networks of three layers."""
    common = signals(rng, n_stimuli, 3)
    sides = [network(rng, common, 1.0, noise) for _ in range(2)]
    found = cv.hierarchy(*sides, ceiling=None, bootstrap=bootstrap, **SETTINGS)
    return rows_of(found, ["depth_correlation", "diagonal"])


def shifts(rng, n_stimuli, noise, bootstrap):
    """Scores, drops and their slope at one level of distortion, of networks of two layers."""
    common = signals(rng, n_stimuli, 2)
    sides = []
    for _ in range(2):
        own = [rng.standard_normal(x.shape) for x in common]
        sides.append({k: network(rng, common, w, noise, own) for k, w in LEVELS.items()})
    found = cv.shift(*sides, bootstrap=bootstrap, **SETTINGS)
    shares = {"drop": (found["r_control"] - found["r"], found["r_control"])}
    return rows_of(found, ["r_control", "r", "drop", "slope"], shares)


def trajectories(rng, n_stimuli, noise, bootstrap):
    """Scores, and the share of their growth in the first epoch, of networks of one layer."""
    common = signals(rng, n_stimuli, 1)
    runs = {}
    for name in ("a", "b"):
        own = [rng.standard_normal(x.shape) for x in common]
        runs[name] = {k: network(rng, common, w, noise, own) for k, w in STEPS.items()}
    found = cv.trajectory(runs, ceiling=None, bootstrap=bootstrap, **SETTINGS)
    found = found.sel(against="same step", pair="a > b")
    first, early, last = (found["r"].sel(step=step, drop=True) for step in STEPS)
    return rows_of(found, ["r", "share"], {"share": (early - first, last - first)})


def matched_units(rng, n_stimuli, noise, bootstrap):
    """Correlations of units with their partner, and their mean over units."""
    common = signals(rng, n_stimuli, 1)
    one, other = (network(rng, common, 1.0, noise)["layer0"] for _ in range(2))
    other = cv.Assembly(other.data.assign_coords(unit=[f"other{j}" for j in range(UNITS)]))
    found = cv.features.match_units(one, other, shuffle=None, bootstrap=bootstrap)
    found = found.isel(matching=0)
    # the mean over the units of a side, and single units in their folds' mean
    return rows_of(found.assign(r=found["r"].mean("fold")), ["r", "mean"])


QUESTIONS = {
    "hierarchy": hierarchies,
    "shift": shifts,
    "trajectory": trajectories,
    "match_units": matched_units,
}


def intervals_of_experiments(rng, question, n_stimuli, noise, samples):
    """Estimates and 95% intervals of what the experiments report."""
    bootstrap = cv.Bootstrap(samples, seed=int(rng.integers(2**31)), refits=max(samples // 4, 2))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "'(share|share_overall|drop|depth_correlation)' is NaN")
        return QUESTIONS[question](rng, n_stimuli, noise, bootstrap)


def rows_of(found, names, shares=()):
    """One row for each number that has an interval; of shares, also the part and the whole."""
    rows = []
    for name in names:
        each = found[[name, f"{name}_low", f"{name}_high"]]
        each = each.rename({name: "estimate", f"{name}_low": "low", f"{name}_high": "high"})
        if name in shares:
            part, whole = shares[name]
            each = each.assign(part=part, whole=whole)
        dims = list(each["estimate"].dims)
        keep = [*dims, *each.data_vars]
        table = each.to_dataframe().reset_index()[keep] if dims else each.to_dataframe()
        for row in table.to_dict("records"):
            labels = [str(row.pop(dim)) for dim in dims]
            rows.append({"quantity": name, "of": ", ".join(labels)} | row)
    return rows


def summarize_experiments(rows, coverage, judged, binomial_error):
    """How often intervals hold the truth: the mean over all experiments; of shares, that of parts.

    Numbers that are NaN have no interval; their share is told.
    """
    table = []
    by = ["question", "n_stimuli", "noise", "quantity", "of"]
    for labels, group in rows.groupby(by, sort=False):
        known = group.dropna(subset=["estimate", "low", "high"])
        truth = known["estimate"].mean()
        if "part" in group and group["part"].notna().any():
            truth = group["part"].mean() / group["whole"].mean()
        held = ((known["low"] <= truth) & (truth <= known["high"])).mean()
        half = ((known["high"] - known["low"]) / 2).median()
        table.append(
            dict(zip(by, labels, strict=True))
            | {"experiments": len(group), "without": 1 - len(known) / len(group)}
            | {"truth": truth, "sd": known["estimate"].std(), "median_half_width": half}
            | {"coverage": held, "error": binomial_error(held, len(known))}
        )
    table = pd.DataFrame(table)
    outside = np.maximum(coverage[0] - table["coverage"], table["coverage"] - coverage[1])
    return judged(table, outside)
