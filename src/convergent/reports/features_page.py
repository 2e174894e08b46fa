"""The page of what the units of two populations share: claims, and tables and figures by layer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from matplotlib.figure import Figure

from .. import plot
from ..base.errors import shown
from ..features._overview_tables import Overview
from ..plot._figure import closed
from .numbers import count, interval, number
from .origin import Origin, today
from .page import write_page
from .parts import Cell, Code, Column, Drawing, Part, Section, Table, Terms, Text

__all__ = ["features_page"]


def features_page(
    found: Overview,
    path: str | os.PathLike[str],
    title: str = "Features",
    figures: Mapping[str, Mapping[str, plot.Picture]] | None = None,
) -> Path:
    """Write a self-contained HTML page of features.

    Parameters
    ----------
    found : Overview
        From `convergent.features.overview`.
    path : path
        Where to write; an existing file is replaced.
    title : str
        Title of the page.
    figures : dict of dict of Picture, optional
        Figures of `plot.layer_figures` by layer; drawn if omitted.

    Returns
    -------
    Path
        The page.
    """
    origin = Origin.of(found.layers)
    n_stimuli = found.layers.attrs["n_stimuli"]
    sections = [
        Section("compared", "What was compared", [Terms(_compared(found, origin))]),
        Section("claims", "Claims", _claims(found)),
        Section("layers", "All layers", _overview(found, n_stimuli)),
        Section("table", "Units of each layer", [_matches(found)]),
        *(
            Section(
                f"layer-{k}", f"{found.layers['layer'].values[k]}", _layer(found, layer, figures)
            )
            for k, layer in enumerate(found.steps)
        ),
        Section("methods", "Methods", [Text(_methods(origin, n_stimuli), copied=True)]),
        Section("again", "To compute this again", _again(origin)),
    ]
    lead = (
        "Whether single units, or groups of units, of one population have counterparts in the "
        "other, layer by layer, on stimuli that were not used to find them."
    )
    return write_page(path, title, lead, sections)


def _compared(found: Overview, origin: Origin) -> dict[str, str]:
    known = {
        "First population": _side(origin, "sources"),
        "Second population": _side(origin, "targets"),
        "Layers": f"{len(found.steps)}",
        "Citation": "\n".join(
            dict.fromkeys(origin.known("sources", "citation") + origin.known("targets", "citation"))
        ),
        "Stimuli": str(found.layers.attrs["n_stimuli"]),
        "Date of the page": today(),
        "Version": f"convergent {origin.version}",
        "Command": origin.shell(),
    }
    return {term: about for term, about in known.items() if about}


def _side(origin: Origin, side: str) -> str:
    """Network or data set, and the populations of a side."""
    of = [*origin.known(side, "network"), *origin.known(side, "data_set")]
    return "\n".join(
        [
            *(", ".join(of).splitlines()),
            *(
                f"{shown(name)}: {count(int(one.get('n_units', 0)), 'unit')}"
                for name, one in origin.inputs(side).items()
            ),
        ]
    )


def _claims(found: Overview) -> list[Part]:
    rows = [
        [Cell(str(row[name])) for name in ("claim", "verdict", "numbers")]
        for row in found.claims.to_dict("records")
    ]
    columns = (
        Column("Claim", "Claims of Li et al. 2015, arXiv 1511.07543.", is_text=True),
        Column(
            "Verdict",
            "Whether it holds here: a claim holds if all of its parts are beyond their thresholds, "
            "and holds partly if some are.",
            is_text=True,
        ),
        Column("Numbers", "Means over layers; intervals where there are several networks.", True),
    )
    return [Table("The claims of Li et al. 2015, and what these units say of them.", columns, rows)]


def _overview(found: Overview, n_stimuli: int) -> list[Part]:
    figure = closed(cast(plot.Picture, plot.overview(found)))
    return [
        Drawing(
            figure,
            "overview of all layers: shares of shared and unique units, correlations of the parts "
            "of clusters, correlations of predictions from one, few and all units, and the "
            "effective number of units.",
            f"All numbers are of test stimuli of {n_stimuli} stimuli.",
        )
    ]


_SIDES = {"source": "first", "target": "second"}
_NUMBERS: dict[str, tuple[str, str]] = {
    "semi": (
        "r, best partner",
        "Correlation of a unit with its best partner on test stimuli, mean over units and folds.",
    ),
    "bipartite": (
        "r, one-to-one",
        "The same with partners one-to-one: no unit is the partner of two.",
    ),
    "agreement": ("Same partner", "Share of responsive units with the same partner in both."),
    "gap": ("Gap", "r of the best partner less r of the one-to-one partner."),
    "shared": (
        "Shared",
        "Share of units that surely have a partner which explains half of their variance.",
    ),
    "partly_shared": ("Partly shared", "Share of units between shared and unique."),
    "unique": ("Unique", "Share of units whose best partner is no better than by chance."),
    "few_responses": ("Few responses", "Share of units that respond to too few test stimuli."),
    "unreliable": ("Unreliable", "Share of units whose responses do not repeat well enough."),
    "silent": ("Silent", "Share of units that respond alike to all stimuli."),
}
_CHANCE = "The same with stimuli exchanged."
_OF = "95% interval over stimuli."


def _matches(found: Overview) -> Table:
    """The classes of the units of each layer and side."""
    columns = [
        Column("Layer", is_text=True),
        Column("Side", "The first or the second population.", is_text=True),
        Column("Population", "Its name.", is_text=True),
        Column("Units", "Number of units."),
    ]
    for key, (head, about) in _NUMBERS.items():
        columns.append(Column(head, about))
        if key in {"semi", "bipartite"}:
            columns += [Column(f"{head}: interval", _OF), Column(f"{head}: chance", _CHANCE)]
    rows = []
    for row in found.table("matches").to_dict("records"):
        cells = [str(row["layer"]), _SIDES[row["side"]], str(row["population"])]
        cells.append(str(int(row["n_units"])))
        for key in _NUMBERS:
            cells.append(number(row[key]))
            if key in {"semi", "bipartite"}:
                cells.append(interval(row[f"{key}_low"], row[f"{key}_high"]))
                cells.append(number(row[f"{key}_chance"]))
        rows.append([Cell(text) for text in cells])
    return Table(
        "How far the units of both sides have partners. The head of a column sorts the rows.",
        tuple(columns),
        rows,
        is_sortable=True,
    )


def _layer(
    found: Overview, layer: str, figures: Mapping[str, Mapping[str, plot.Picture]] | None
) -> list[Part]:
    """The figures of one layer."""
    drawn: Mapping[str, Figure]
    if figures is not None:
        drawn = figures[layer]
    else:
        drawn = {name: closed(one) for name, one in plot.layer_figures(found, layer).items()}
    return [
        Drawing(figure, f"{name.replace('-', ' ')} of {shown(layer)}", _READ.get(name, ""))
        for name, figure in drawn.items()
    ]


_READ = {
    "activation-spectra": "How strongly the units of both sides respond.",
    "correlation-matrices": "Correlations between the units of both sides, over stimuli.",
    "matches": "Correlation of each unit with its partner, on test stimuli.",
    "sparse-prediction": "How well one, few and all units of a side predict a unit of the other.",
    "clusters": "Clusters of units of both sides. They are found on all stimuli.",
    "partial-matching": "Matching of the best part of the units alone.",
}


def _methods(origin: Origin, n_stimuli: Any) -> tuple[str, ...]:
    folds = origin.setting("folds") or {}
    said = (
        f"Units of two populations were compared by their responses to {n_stimuli} stimuli, after "
        "Li et al. 2015 (arXiv 1511.07543). "
    )
    if folds:
        how = f"at random (seed {folds.get('seed')})" if folds.get("order") is None else "in order"
        said += f"Stimuli were split {how} in {folds.get('n')} folds. "
    said += (
        "Units were matched and predicted on the training stimuli of a fold, and scored on its "
        "test stimuli. In the figure of all layers, clusters were found and scored alike; in the "
        "figures of single layers, they were found on all stimuli."
    )
    bootstrap, shuffle = origin.setting("bootstrap"), origin.setting("shuffle")
    if bootstrap:
        said += (
            f" Intervals are from {count(int(bootstrap['samples']), 'resample')} of the stimuli."
        )
    if shuffle:
        said += f" Chance is from {count(int(shuffle['samples']), 'exchange')} of the stimuli."
    return (said, f"Computed with convergent {origin.version}.")


def _again(origin: Origin) -> list[Part]:
    parts: list[Part] = [Code(origin.shell(), "Command")] if origin.shell() else []
    if origin.content:
        parts.append(
            Code(origin.json(), "All settings, versions and hashes (JSON)", is_folded=True)
        )
    return parts
