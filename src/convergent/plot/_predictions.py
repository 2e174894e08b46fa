"""Figures of sparse prediction and of partial matching."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import PercentFormatter

from ..scoring.kinds import check_kind
from ._figure import COLOURS, MODELS, Labels, make_panels
from ._panels import arranged, both_sides, entitle, headline, set_r_axis, write_small

__all__ = ["partial_matching", "sparse_prediction"]

_MOST_DOTS = 200  # of single units


def sparse_prediction(
    prediction: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    figure: Figure | SubFigure | None = None,
) -> Figure | SubFigure:
    """Draw how well few source units predict a target unit, and how many are needed.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `convergent.features.sparse_prediction`.
    labels : dict of str, optional
        Texts for the names of the two populations.
    figure : Figure or SubFigure, optional
        Where to draw; by default a new figure.

    Returns
    -------
    Figure or SubFigure
        Two panels. First, r of predictions from one, few and all source units: a dot per target
        unit (200 of them at most), and the median. Second, how many source units are in the
        smallest set that suffices for a target unit: its error is within one standard error of the
        least.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(prediction, "sparse_prediction", "plot.sparse_prediction")
    panels = arranged(2, 2, (7.5, 3.4), figure)
    how_well, how_many = panels.flat
    mean = prediction.mean("fold")
    _draw_correlations(how_well, mean)
    _draw_numbers_of_units(how_many, mean)
    write_small(*panels.flat)
    n_units, n_stimuli = mean.sizes["target_unit"], prediction.attrs["n_stimuli"]
    what = f"{n_units} target units predicted from {mean.sizes['source_unit']} source units"
    sides = both_sides(prediction, Labels.of(labels))
    headline(panels, f"{what}; {sides}; {n_stimuli} stimuli")
    return panels.figure


def _draw_correlations(panel: Axes, mean: xr.Dataset) -> None:
    """Draw r of predictions from one, few and all source units: units, and their median."""
    r = mean["r"].sel(model=list(MODELS)).values
    rng = np.random.default_rng(0)
    for place, ((_, colour), values) in enumerate(zip(MODELS.values(), r, strict=True)):
        known = np.sort(values[~np.isnan(values)])
        if not len(known):
            continue
        some = known[np.linspace(0, len(known) - 1, min(len(known), _MOST_DOTS)).astype(int)]
        x = place + rng.uniform(-0.25, 0.25, len(some))
        panel.plot(x, some, ".", color=colour, markersize=3, alpha=0.6)
        median = float(np.median(known))
        panel.hlines(median, place - 0.35, place + 0.35, color="black", linewidth=1.5)
        at, text = (place + 0.35, median), f"{round(median, 2) + 0:.2f}"
        panel.annotate(text, at, (1, 2), textcoords="offset points", fontsize=7)
    names = [label.replace(" (", "\n(") for label, _ in MODELS.values()]
    panel.set_xticks(range(len(names)), names)
    panel.set_xlim(-0.5, len(names) - 0.3)
    panel.set_ylabel("r, held-out stimuli")
    panel.set_xlabel("predicted from (line: median)")
    set_r_axis(panel, r)
    entitle(panel, "How well is a unit predicted?")


def _draw_numbers_of_units(panel: Axes, mean: xr.Dataset) -> None:
    """Draw how many target units need how many source units, in bins of doubling width."""
    needed = mean["n_chosen"].sel(rule="one-se").values
    needed = np.rint(needed[~np.isnan(needed)])
    lowest, top = [0, 1, 2], max(2.0, needed.max(initial=0))
    while 2 * lowest[-1] - 1 < top if len(lowest) > 3 else lowest[-1] < top:
        lowest.append(3 if lowest[-1] == 2 else 2 * lowest[-1] - 1)
    counts = np.histogram(needed, [*(one - 0.5 for one in lowest), np.inf])[0]
    names = [
        str(low) if high - low <= 1 else f"{low}-{high - 1}"
        for low, high in zip(lowest, [*lowest[1:], 2 * lowest[-1] - 1], strict=True)
    ]
    names[0] = "none"
    places = np.arange(len(names))
    panel.bar(places, counts / max(len(needed), 1), 0.8, color=COLOURS[0])
    many = len(names) > 5
    panel.set_xticks(places, names, rotation=45 if many else 0, ha="right" if many else "center")
    panel.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    panel.set_ylabel("share of target units")
    panel.set_xlabel("source units that suffice")
    entitle(panel, "How many units does it take?")


def partial_matching(
    found: xr.Dataset,
    *,
    labels: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how well two populations match if only a share of their units is matched.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.partial_matching`.
    labels : dict of str, optional
        Texts for the names of the two populations.
    ax : Axes, optional
        Where to draw; by default in a new figure.

    Returns
    -------
    Axes
        Over the share of the units that is matched: the mean r of all that are matched, and the r
        of those that the last step added. Where these fall below the r of a whole match (dashed),
        the best share is reached: further units match worse than the mean.

    Raises
    ------
    InputError
        If the result is of another kind.
    """
    check_kind(found, "partial_matching", "plot.partial_matching")
    panels = make_panels(1, 1, (5, 3.4), ax=ax)
    (panel,) = panels.flat
    share, r = found["share"].values, found["r"].mean("fold").values
    added = np.diff(share * r, prepend=0) / np.diff(share, prepend=0)
    edges = np.concatenate([[0], share])
    panel.stairs(
        added, edges, baseline=None, color=COLOURS[1], linewidth=1.5, label="units added last"
    )
    panel.plot(share, r, ".-", color=COLOURS[0], label="all matched units")
    whole = f"all of them ({share[-1]:.0%}): {round(r[-1], 2) + 0:.2f}"
    panel.axhline(r[-1], linestyle="--", color="0.6", linewidth=0.8, label=whole)
    best = float(found["best_share"])
    panel.axvline(best, color="black", linewidth=1, label=f"best share: {best:.0%}")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlim(0, 1)
    panel.set_xlabel("matched share of the units")
    panel.set_ylabel("mean r, held-out stimuli")
    set_r_axis(panel, r, added)
    entitle(panel, "" if panels.given else "Match of the best part of two populations", 2)
    write_small(panel)
    sides = both_sides(found, Labels.of(labels))
    headline(panels, f"{sides}; {found.attrs['n_stimuli']} stimuli")
    return panel
