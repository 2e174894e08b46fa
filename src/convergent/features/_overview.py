"""All questions about units at once, layer by layer: tables, and what the claims come to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from ..base.errors import InputError
from ..base.progress import track
from ..base.study import Study, as_study
from ..data.assembly import Assembly, images_of
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..scoring.inputs import named
from ._claims import claims
from ._clusters import cluster_table, clusters
from ._correlations import correlations
from ._locality import local_or_distributed
from ._match_tables import SHARED, match_summary, unit_table
from ._matching import match_units
from ._partial_matching import partial_matching
from ._sparse_prediction import LEAST_FOLDS, sparse_prediction, sparse_table

__all__ = ["STEPS", "Overview", "overview"]

STEPS = ("correlations", "matches", "sparse", "clusters", "partial", "locality")


@dataclass(frozen=True, eq=False)
class Overview:
    """What units of two populations share, layer by layer.

    Attributes
    ----------
    layers : xarray.Dataset
        Numbers along ``layer``: means of what the steps give, on test stimuli. ``shared``,
        ``partly_shared``, ``unique`` and ``not_shared`` are shares of the units of both sides that
        are neither silent nor unreliable, and ``told`` that of these.
        ``target_layer`` says with which layer of the target each is compared.
    steps : dict of dict of xarray.Dataset
        By layer, then by step: "correlations", "matches", "sparse", "clusters", "partial",
        "locality", as the functions of these names give them.
    claims : pandas.DataFrame
        From `claims`.
    """

    layers: xr.Dataset
    steps: Mapping[str, Mapping[str, xr.Dataset]]
    claims: pd.DataFrame

    def table(self, kind: str) -> pd.DataFrame:
        """One table of all layers.

        Parameters
        ----------
        kind : {"units", "matches", "sparse", "clusters"}
            Units shared and unique; their means; sparse predictions; clusters.
        """
        tables = {
            "units": lambda of: unit_table(of["matches"]),
            "matches": lambda of: match_summary(of["matches"]),
            "sparse": lambda of: sparse_table(of["sparse"]),
            "clusters": lambda of: cluster_table(of["clusters"]),
        }
        if kind not in tables:
            raise InputError(f"there is no table {kind!r}: take one of {', '.join(tables)}.")
        parts = []
        for layer, of in self.steps.items():
            part = tables[kind](of)
            part.insert(0, "layer", layer)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def overview(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    *,
    folds: Folds = Folds(),
    shuffle: Shuffle = Shuffle(20),
    bootstrap: Bootstrap = Bootstrap(200),
    k: int | None = None,
    rotations: int = 20,
    seed: int = 0,
    study: Study | str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Overview:
    """Ask all questions about the units of two networks, or of a network and a recording.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Layers at the same place of both are compared; a single population is compared with each
        layer of the other side.
    folds : Folds
        How the stimuli are split.
    shuffle, bootstrap : Shuffle, Bootstrap
        For chance and intervals of matched units.
    k : int, optional
        Number of clusters; by eigengap where left out.
    rotations : int
        Of axes, for comparison.
    seed : int
        Draws them, and clusters.
    study : Study or path, optional
        Keep what is finished there: interrupted and called again, it does what is missing.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    Overview
        Numbers by layer, all results, and the claims.

    Raises
    ------
    InputError
        Where both sides have several layers, and not as many; where populations do not fit.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543.
    """
    if folds.n < LEAST_FOLDS or shuffle.samples < 2:
        raise InputError(
            f"{folds.n} folds and {shuffle.samples} shuffle(s): sparse prediction needs "
            f"{LEAST_FOLDS} folds or more, and p of single units two shuffles or more."
        )
    pairs = _pairs(named("source", source), named("target", target))
    settings = _Settings(folds, shuffle, bootstrap, k, rotations, seed)
    kept = as_study(study)
    work = [(layer, step) for layer in pairs for step in STEPS]
    steps: dict[str, dict[str, xr.Dataset]] = {layer: {} for layer in pairs}
    for layer, step in track(work, "features", len(work), progress):
        done = steps[layer]
        make = partial(settings.make, step, layer, pairs[layer], done)
        recipe = settings.recipe(step, pairs[layer])
        done[step] = kept.dataset(recipe, make) if kept else make()
    layers = xr.concat(
        [_numbers(of).assign(target_layer=pairs[layer].goal) for layer, of in steps.items()],
        xr.Variable("layer", list(pairs)),
    )
    layers.attrs["n_stimuli"] = next(iter(steps.values()))["matches"].attrs["n_stimuli"]
    return Overview(layers, steps, claims(layers))


@dataclass(frozen=True, eq=False)
class _Compared:
    """Two populations, and the name of the target."""

    source: Assembly
    goal: str
    target: Assembly


@dataclass(frozen=True, eq=False)
class _Settings:
    folds: Folds
    shuffle: Shuffle
    bootstrap: Bootstrap
    k: int | None
    rotations: int
    seed: int

    def make(
        self, step: str, layer: str, pair: _Compared, done: Mapping[str, xr.Dataset]
    ) -> xr.Dataset:
        """Do one step; earlier ones are done."""
        one, other, folds = pair.source, pair.target, self.folds
        common: dict[str, Any] = {"folds": folds, "progress": False}
        draws: dict[str, Any] = {"shuffle": self.shuffle, "bootstrap": self.bootstrap}
        makers: dict[str, Callable[[], xr.Dataset]] = {
            "correlations": lambda: correlations(one, other),
            "matches": lambda: match_units(one, other, **draws, **common),
            "sparse": lambda: sparse_prediction(one, other, **common),
            "clusters": lambda: clusters(one, other, k=self.k, seed=self.seed, **common),
            "partial": lambda: partial_matching(one, other, **common),
            "locality": lambda: local_or_distributed(
                {layer: one},
                {pair.goal: other},
                predictions={layer: done["sparse"]},
                rotations=self.rotations,
                seed=self.seed,
                **common,
            ),
        }
        return makers[step]()

    def recipe(self, step: str, pair: _Compared) -> dict[str, Any]:
        """All that decides on a step's result."""
        own = {
            "matches": [asdict(self.shuffle), asdict(self.bootstrap)],
            "clusters": [self.k, self.seed],
            "locality": [self.rotations, self.seed],
        }
        return {
            "kind": f"features: {step}",
            "populations": [pair.source.fingerprint(), pair.target.fingerprint()],
            "names": [pair.source.name, pair.target.name, pair.goal],
            "labels": [_labels(one, self.folds.group) for one in (pair.source, pair.target)],
            "folds": asdict(self.folds),
            "settings": own.get(step),
        }


def _labels(assembly: Assembly, group: str | None) -> list[str]:
    """What stays together in a fold: images of positions, or groups."""
    values = images_of(assembly)
    if group in assembly.data.coords:
        values = assembly.data[group].values
    return [] if values is None else [str(value) for value in values]


def _pairs(
    sources: Mapping[str, Assembly], targets: Mapping[str, Assembly]
) -> dict[str, _Compared]:
    """What is compared, by the name of the layer."""
    if len(targets) == 1:
        ((goal, other),) = targets.items()
        return {name: _Compared(one, goal, other) for name, one in sources.items()}
    if len(sources) == 1:
        (one,) = sources.values()
        return {goal: _Compared(one, goal, other) for goal, other in targets.items()}
    if len(sources) != len(targets):
        raise InputError(
            f"there are {len(sources)} source and {len(targets)} target layers: those at the same "
            "place are compared, so give as many of both, or one of either."
        )
    goals = zip(sources.items(), targets.items(), strict=True)
    return {name: _Compared(one, goal, other) for (name, one), (goal, other) in goals}


def _numbers(of: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """One layer in numbers: means over both sides, over target units, and over clusters."""
    summary, units = match_summary(of["matches"]), unit_table(of["matches"])
    told = units[~units["class"].isin(["silent", "unreliable"])]
    numbers: dict[str, float] = {
        name: float(summary[name].mean())
        for name in (
            *("semi", "bipartite", "semi_train", "bipartite_train", "semi_chance"),
            *("bipartite_chance", "agreement", "gap"),
        )
    }
    numbers["told"] = len(told) / len(units)
    for kind in ("shared", "partly shared", "unique"):
        numbers[kind.replace(" ", "_")] = float((told["class"] == kind).mean())
    numbers["not_shared"] = float((told["r_high"] / told["ceiling"] < SHARED).mean())
    sparse = sparse_table(of["sparse"]).median(numeric_only=True)
    numbers |= {str(name): float(value) for name, value in sparse.items()}
    found = of["clusters"]
    both = found.isel(cluster=(found["n_units"] > 0).all("population").values)
    numbers["balance"] = float(both["balance"].mean())
    for name in ("canonical", "matched", "matched_rotated", "predicted"):
        numbers[name] = float(found[f"{name}_held_out"].mean())
    numbers |= {
        name: float(found[name].mean())
        for name in ("stability", "contrast", "stability_rotated", "contrast_rotated")
    }
    numbers |= {"n_clusters": float(found.attrs["k"])}
    part = of["partial"]
    numbers |= {
        "corner": float(part["corner"]),
        "r_corner": float(part["r"].sel(share=part["corner"]).mean()),
        "r_all": float(part["r"].isel(share=-1).mean()),
    }
    locality = of["locality"].isel(layer=0, drop=True)
    numbers |= {
        str(name): float(values)
        for name, values in locality.data_vars.items()
        if values.dtype.kind in "fiu"
    }
    return xr.Dataset({name: np.float64(value) for name, value in numbers.items()})
