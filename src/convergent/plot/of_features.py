"""Figures of units: who matches whom, how many it takes, and in which groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from ..features.matched_units import SHARED, unit_table
from ..features.overview import Overview
from ..features.pair import SIDES
from .picture import COLOURS, Picture

__all__ = [
    "activation_spectra",
    "clusters",
    "correlation_matrices",
    "locality",
    "matches",
    "overview",
    "partial_matching",
    "sparse_prediction",
]

KINDS = {"shared": COLOURS[0], "partly shared": COLOURS[5], "unique": COLOURS[1]}
UNKNOWN = {"unreliable": "0.7", "silent": "0.85"}
MODELS = {
    "single": ("one unit", COLOURS[1]),
    "lasso": ("few units (Lasso)", COLOURS[0]),
    "ridge": ("all units (ridge)", COLOURS[2]),
}


def activation_spectra(correlations: xr.Dataset) -> Picture:
    """Mean activity of each unit of two populations, sorted, and its spread over stimuli.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: lines are means over stimuli, bands a standard deviation to
        either side.
    """
    figure = Picture(figsize=(6.4, 3.6), layout="constrained")
    panel = figure.subplots()
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mean = correlations[f"{side}_mean"].values
        order = np.argsort(-mean)
        mean, sd = mean[order], correlations[f"{side}_sd"].values[order]
        place = (np.arange(len(mean)) + 0.5) / len(mean)
        panel.plot(
            place, mean, color=colour, label=f"{side}: {_name(correlations, side)} ({len(mean)})"
        )
        panel.fill_between(place, mean - sd, mean + sd, color=colour, alpha=0.2, linewidth=0)
    panel.set_xlabel("units, from most to least active")
    panel.set_ylabel("activity: mean and SD over stimuli")
    panel.xaxis.set_major_formatter(PercentFormatter(1))
    panel.set_xlim(0, 1)
    _open(panel)
    _legend(panel)
    return figure


def correlation_matrices(correlations: xr.Dataset) -> Picture:
    """Correlations of units within and between two populations, before and after matching.

    Parameters
    ----------
    correlations : xarray.Dataset
        From `convergent.features.correlations`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: within the source, between, within the target; above in the
        order of the units, below in that of their bipartite matching, the most alike pair first, so
        that partners stand on the diagonal.
    """
    figure = Picture(figsize=(9.6, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    source, target = (_name(correlations, side) for side in SIDES)
    own, places = {}, {}
    for side in SIDES:
        own[side] = correlations[f"within_{side}"].values
        places[side] = np.argsort(correlations[f"{side}_place"].values)
    between = correlations["between"].values
    image = None
    for row, ordered in zip(panels, (False, True), strict=True):
        orders = {side: places[side] if ordered else np.arange(len(places[side])) for side in SIDES}
        for panel, values, sides, title in zip(
            row,
            (own["source"], between, own["target"]),
            (("source", "source"), ("source", "target"), ("target", "target")),
            (f"within source: {source}", "source (down) and target", f"within target: {target}"),
            strict=True,
        ):
            shown = values[np.ix_(*(orders[side] for side in sides))]
            image = panel.imshow(shown, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            panel.set_xticks([])
            panel.set_yticks([])
            if not ordered:
                panel.set_title(title, fontsize="medium", parse_math=False)
        row[0].set_ylabel("matched, best pair first" if ordered else "in their own order")
    assert image is not None
    figure.colorbar(image, ax=panels, label="correlation over stimuli", shrink=0.6)
    _headline(figure, correlations, "correlations of units")
    return figure


def matches(found: xr.Dataset, *, alpha: float = 0.05, shared: float = SHARED) -> Picture:
    """How well each unit's partner does on held-out stimuli, one-to-one and at best.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.match_units`, with shuffles and a bootstrap.
    alpha, shared : float
        As for `convergent.features.unit_table`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: a column a population. Above, units sorted by the correlation
        with their best partner, with its interval, and their one-to-one partner's; the gap
        between is what competition for partners costs. Dashed, what makes a unit shared; dotted,
        the mean by chance. Below, shares of units.
    """
    table, level = unit_table(found, alpha=alpha, shared=shared), found.attrs["level"]
    figure = Picture(figsize=(9.6, 5), layout="constrained")
    panels = figure.subplots(2, 2, sharey="row", height_ratios=(5, 1))
    for (panel, below), side in zip(panels.T, SIDES, strict=True):
        part = table[table["side"] == side].sort_values("r", ascending=False, kind="stable")
        place = np.arange(len(part))
        panel.fill_between(
            place, part["r_low"], part["r_high"], color=COLOURS[0], alpha=0.2, linewidth=0
        )
        panel.plot(
            place, part["r_one_to_one"], ".", color=COLOURS[1], markersize=4, label="one-to-one"
        )
        panel.plot(place, part["r"], color=COLOURS[0], label=f"best partner, {level:.0%} interval")
        panel.axhline(shared, linestyle="--", color="0.6", linewidth=0.8, label="shared above")
        chance = float(found["r_shuffled"].isel(unit=found["side"].values == side).mean())
        panel.axhline(chance, linestyle=":", color="0.4", linewidth=1, label="chance")
        panel.set_title(
            f"{side}: {_name(found, side)} ({len(part)} units)", fontsize="medium", parse_math=False
        )
        panel.set_xlabel("units, best first")
        _open(panel)
        left = 0.0
        for kind, colour in (KINDS | UNKNOWN).items():
            share = float((part["class"] == kind).mean())
            if share:
                below.barh(0, share, left=left, color=colour)
                if share > 0.08:
                    dark = "white" if kind == "shared" else "black"
                    text = f"{kind}\n{share:.0%}"
                    below.text(
                        left + share / 2, 0, text, ha="center", va="center", fontsize=7, color=dark
                    )
                left += share
        below.axis("off")
    panels[0, 0].set_ylabel("r with the partner,\nheld-out stimuli")
    _legend(panels[0, 0])
    _headline(figure, found, "matched on training stimuli, scored on those held out")
    return figure


def sparse_prediction(prediction: xr.Dataset) -> Picture:
    """How well few units predict one, and how many it takes.

    Parameters
    ----------
    prediction : xarray.Dataset
        From `convergent.features.sparse_prediction`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: held-out error against the number of weights as the penalty
        falls (a thin line a target unit, thick their median), with the medians of one unit and of
        all; how many units the smallest set within one standard error has; and the correlation of
        one, few and all units, sorted by that of all.
    """
    figure = Picture(figsize=(12, 3.8), layout="constrained")
    path, count, curves = figure.subplots(1, 3)
    mean = prediction.mean("fold")
    error, weights = mean["error"].values, mean["n_weights"].values
    some = np.linspace(0, error.shape[1] - 1, min(error.shape[1], 100)).astype(int)
    path.plot(np.maximum(weights[:, some], 0.5), error[:, some], color=COLOURS[0], alpha=0.12)
    path.plot(
        np.maximum(np.nanmedian(weights, 1), 0.5),
        np.nanmedian(error, 1),
        color=COLOURS[0],
        linewidth=2,
        label="Lasso, median unit",
    )
    for model, style in (("single", ":"), ("ridge", "--")):
        name, colour = MODELS[model]
        level = float(mean["error_of"].sel(model=model).median())
        path.axhline(level, linestyle=style, color=colour, label=name)
    path.set_xscale("log")
    path.set_xlabel("source units with a weight (0 at the left end)")
    path.set_ylabel("held-out error / variance")
    path.set_ylim(0, max(1.1, float(np.nanmedian(error, 1).max())))
    _legend_above(path)
    chosen = mean["n_chosen"].sel(rule="one-se").values
    chosen = chosen[~np.isnan(chosen)]
    top = max(float(chosen.max(initial=1)), 1.0)
    count.hist(chosen, bins=np.linspace(0, top, 31), color=COLOURS[0])
    middle = float(np.median(chosen)) if len(chosen) else 0.0
    count.axvline(middle, color="black", linewidth=1, label=f"median {middle:.1f}")
    count.set_xlabel("source units in the smallest set")
    count.set_ylabel("target units")
    _legend(count)
    r = mean["r"].sel(model=list(MODELS)).values
    order = np.argsort(-np.nan_to_num(r[-1], nan=-2.0))
    for (name, colour), values in zip(MODELS.values(), r, strict=True):
        curves.plot(values[order], ".-", color=colour, label=name, markersize=3, linewidth=0.8)
    curves.set_xlabel("target units, sorted by the r of all units")
    curves.set_ylabel("r, held-out stimuli")
    _legend(curves)
    for panel in (path, count, curves):
        _open(panel)
    source, target = (_name(prediction, side) for side in SIDES)
    _headline(
        figure, prediction, f"units of the target, {target}, from few of the source, {source}"
    )
    return figure


def clusters(found: xr.Dataset) -> Picture:
    """Clusters of two populations: where they lie, how many there are, and what they share.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.clusters`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: sizes of the correlations between the populations, units
        sorted by cluster (lines part them); singular values, with the number of clusters; and for
        each cluster (a dot as large as its units are many) the mean canonical correlation of its
        parts against the correlation of its units paired one-to-one, with a line to what pairing
        gives when the axes are rotated. Left of the diagonal, parts share a subspace, but not axes.
    """
    figure = Picture(figsize=(12.4, 4), layout="constrained")
    matrix, gap, parts = figure.subplots(1, 3, width_ratios=(1.2, 0.9, 1))
    label, place = found["label"].values, found["place"].values
    key = np.where(label < 0, label.max() + 1, label)
    orders, edges = [], []
    for side in SIDES:
        here = np.flatnonzero(found["side"].values == side)
        order = np.lexsort((place[here], key[here]))
        orders.append(order)
        edges.append(np.flatnonzero(np.diff(key[here][order])) + 0.5)
    values = np.abs(found["between"].values)[np.ix_(*orders)]
    image = matrix.imshow(values, cmap="magma", vmin=0, aspect="auto")
    if len(edges[0]) <= 30:
        for at in edges[0]:
            matrix.axhline(at, color="white", linewidth=0.4)
        for at in edges[1]:
            matrix.axvline(at, color="white", linewidth=0.4)
    matrix.set_ylabel(f"source: {_name(found, 'source')}, by cluster", parse_math=False)
    matrix.set_xlabel(f"target: {_name(found, 'target')}, by cluster", parse_math=False)
    figure.colorbar(image, ax=matrix, label="|correlation|")
    spectrum, k = found["singular_values"].values, int(found.attrs["k"])
    gap.plot(np.arange(1, len(spectrum) + 1), spectrum, ".-", color="0.4", markersize=4)
    gap.axvline(k + 0.5, color=COLOURS[1], linewidth=1, label=f"{k} clusters")
    gap.set_xlabel("singular vector")
    gap.set_ylabel("singular value (1: a part of its own)")
    gap.set_ylim(0, 1.05)
    _legend(gap)
    size = found["n_units"].sum("population").values
    single, span = found["matched"].values, found["canonical_mean"].values
    parts.plot([0, 1], [0, 1], color="0.8", linewidth=1)
    turned = found["matched_rotated"].values
    parts.hlines(span, single, turned, color=COLOURS[1], linewidth=0.8, label="to rotated axes")
    parts.scatter(single, span, s=6 * size, color=COLOURS[0], alpha=0.6, edgecolor="white")
    parts.set_xlabel("r of units paired one-to-one")
    parts.set_ylabel("mean canonical correlation of the parts")
    parts.set_xlim(right=1)
    parts.set_ylim(top=1)
    _legend(parts)
    for panel in (gap, parts):
        _open(panel)
    stable = float(found["stability"].mean())
    _headline(
        figure, found, f"clusters of halves of the stimuli agree by {stable:.2f} (adjusted Rand)"
    )
    return figure


def partial_matching(found: xr.Dataset) -> Picture:
    """How well the best share of two populations matches, for all shares.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.partial_matching`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: the score against the share that is matched, with its corner,
        and how much of each unit is matched, mean over shares, sorted.
    """
    figure = Picture(figsize=(8.6, 3.6), layout="constrained")
    curve, units = figure.subplots(1, 2)
    share, corner = found["share"].values, float(found["corner"])
    for name, style, told in (("r", "-", "held-out stimuli"), ("r_train", ":", "training stimuli")):
        curve.plot(share, found[name].mean("fold"), style, color=COLOURS[0], label=told)
    curve.axvline(corner, color=COLOURS[1], linewidth=1, label=f"corner {corner:.2f}")
    curve.set_xlabel("share that is matched")
    curve.set_ylabel("mean correlation of what is matched")
    curve.set_xlim(0, 1)
    curve.set_ylim(bottom=min(0.0, float(found["r"].mean("fold").min())))
    for side, colour in zip(SIDES, COLOURS, strict=False):
        mass = np.sort(found["matched"].values[found["side"].values == side])[::-1]
        place = (np.arange(len(mass)) + 0.5) / len(mass)
        units.plot(place, mass, color=colour, label=f"{side}: {_name(found, side)} ({len(mass)})")
    units.set_xlabel("units, first matched first")
    units.xaxis.set_major_formatter(PercentFormatter(1))
    units.set_ylabel("matched mass, mean over shares")
    units.set_ylim(0, 1.05)
    for panel in (curve, units):
        _open(panel)
        _legend(panel)
    _headline(figure, found, "partial soft matching")
    return figure


def locality(found: xr.Dataset) -> Picture:
    """How local the shared code is, from layer to layer.

    Parameters
    ----------
    found : xarray.Dataset
        From `convergent.features.local_or_distributed`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: soft matching of units as they are and of rotations; and the
        effective number of source units for one target unit, on a scale from one (0) to all (1).
    """
    figure = Picture(figsize=(9.6, 3.8), layout="constrained")
    axes, scale = figure.subplots(1, 2)
    layers = found["layer"].values
    _by_layer(axes, layers, {"units as they are": found["native"], "rotated": found["rotated"]})
    axes.set_ylabel("r, soft matching")
    _by_layer(
        scale,
        layers,
        {
            "soft matching": found["scale_soft"],
            "sparse prediction": found["scale_sparse"],
            "share of units that carry the match": found["participation"],
        },
    )
    scale.set_ylabel("0: one unit is enough\n1: all are needed")
    scale.set_ylim(-0.03, 1.03)
    return figure


def overview(found: Overview) -> Picture:
    """What the units of two populations share, from layer to layer: a row of panels a claim.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.

    Returns
    -------
    Picture
        A `matplotlib.figure.Figure`: shares of units that are shared and unique; clusters' parts
        and their units; one, few and all units; and the scale from local to distributed.
    """
    numbers = found.layers
    layers = numbers["layer"].values
    figure = Picture(figsize=(max(8.0, 1.0 * len(layers) + 6), 7), layout="constrained")
    (kinds, spans), (models, scale) = figure.subplots(2, 2)
    base = np.zeros(len(layers))
    for kind, colour in KINDS.items():
        share = numbers[kind.replace(" ", "_")].values
        kinds.bar(np.arange(len(layers)), share, 0.7, bottom=base, color=colour, label=kind)
        base += share
    _label_layers(kinds, layers)
    kinds.set_ylabel("share of the units that are heard")
    kinds.set_ylim(0, 1)
    _legend_above(kinds)
    _by_layer(
        spans,
        layers,
        {
            "canonical: what they span": numbers["canonical"],
            "units paired one-to-one": numbers["matched"],
            "the same, rotated axes": numbers["matched_rotated"],
        },
    )
    spans.set_ylabel("r of clusters' parts")
    _by_layer(models, layers, {told: numbers[f"r_{model}"] for model, (told, _) in MODELS.items()})
    models.set_ylabel("r of prediction, median unit")
    _by_layer(
        scale,
        layers,
        {"soft matching": numbers["scale_soft"], "sparse prediction": numbers["scale_sparse"]},
    )
    scale.set_ylabel("0: one unit is enough\n1: all are needed")
    scale.set_ylim(-0.03, 1.03)
    _headline(figure, numbers, "all on held-out stimuli")
    return figure


def _by_layer(panel: Axes, layers: NDArray[Any], curves: dict[str, xr.DataArray]) -> None:
    for (told, values), colour in zip(curves.items(), COLOURS, strict=False):
        panel.plot(np.arange(len(layers)), values, "o-", color=colour, label=told, markersize=4)
    _label_layers(panel, layers)
    _legend_above(panel)


def _label_layers(panel: Axes, layers: NDArray[Any]) -> None:
    panel.set_xticks(range(len(layers)), layers, rotation=45, ha="right", parse_math=False)
    _open(panel)


def _name(found: xr.Dataset, side: str) -> str:
    return str(found.attrs[side])


def _open(panel: Axes) -> None:
    panel.spines[["top", "right"]].set_visible(False)


def _legend(panel: Axes) -> None:
    panel.legend(frameon=False, fontsize="small")


def _legend_above(panel: Axes) -> None:
    panel.legend(frameon=False, fontsize="small", loc="lower left", bbox_to_anchor=(0, 1), ncols=2)


def _headline(figure: Picture, found: xr.Dataset, text: str) -> None:
    told = f"{found.attrs['n_stimuli']} stimuli; {text}"
    figure.suptitle(told, fontsize="medium", x=0.01, ha="left", parse_math=False)
