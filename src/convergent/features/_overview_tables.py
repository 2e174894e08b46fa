"""Overview of all layers: the results of every step, their tables, and each layer in numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arguments import check_known
from ._clusters import cluster_table
from ._match_tables import SHARED, match_summary, unit_table
from ._sparse_prediction import sparse_table

__all__ = ["Overview", "layer_numbers"]


@dataclass(frozen=True, eq=False)
class Overview:
    """What units of two populations share, layer by layer.

    Attributes
    ----------
    layers : xarray.Dataset
        Numbers along ``layer``: means of the results of the steps, on test stimuli.
        ``classified`` is the share of the units of both sides that are neither silent nor
        unreliable nor respond to too few test stimuli; ``shared``, ``partly_shared``, ``unique``
        and ``not_shared`` are shares of these, NaN if there are none. ``target_layer`` is the layer
        of the target with which each is compared.
        Attrs: ``n_stimuli``, ``provenance``.
    steps : dict of dict of xarray.Dataset
        Results by layer, then by step: "correlations", from `correlations`; "matches", from
        `match_units`; "sparse", from `sparse_prediction`; "clusters", from `clusters`; "partial",
        from `partial_matching`; "locality", from `local_or_distributed`.
    claims : pandas.DataFrame
        From `claims`.
    """

    layers: xr.Dataset
    steps: Mapping[str, Mapping[str, xr.Dataset]]
    claims: pd.DataFrame

    def table(self, kind: str) -> pd.DataFrame:
        """Table of all layers.

        Parameters
        ----------
        kind : {"units", "matches", "sparse", "clusters"}
            The table: from `unit_table`, `match_summary`, `sparse_table` or `cluster_table`.

        Returns
        -------
        pandas.DataFrame
            As from that function, with the column ``layer``.

        Raises
        ------
        InputError
            If there is no such table.
        """
        tables = {
            "units": lambda of: unit_table(of["matches"]),
            "matches": lambda of: match_summary(of["matches"]),
            "sparse": lambda of: sparse_table(of["sparse"]),
            "clusters": lambda of: cluster_table(of["clusters"]),
        }
        check_known("table", kind, tables)
        parts = []
        for layer, of in self.steps.items():
            part = tables[kind](of)
            part.insert(0, "layer", layer)
            parts.append(part)
        return pd.concat(parts, ignore_index=True)


def layer_numbers(of: Mapping[str, xr.Dataset]) -> xr.Dataset:
    """One layer in numbers: means over both sides, over target units, and over clusters.

    Parameters
    ----------
    of : dict of Dataset
        Results by step, as in `Overview`.
    """
    sparse = sparse_table(of["sparse"]).median(numeric_only=True)
    partial, best = of["partial"], float(of["partial"]["best_share"])
    numbers = _of_matches(of["matches"])
    numbers |= {str(name): float(value) for name, value in sparse.items()}
    numbers |= _of_clusters(of["clusters"])
    numbers |= {
        "best_share": best,
        "r_best_share": float(partial["r"].sel(share=best).mean()),
        "r_all": float(partial["r"].isel(share=-1).mean()),
    }
    locality = of["locality"].isel(layer=0, drop=True)
    numbers |= {
        str(name): float(values)
        for name, values in locality.data_vars.items()
        if values.dtype.kind in "fiu"
    }
    return xr.Dataset({name: np.float64(value) for name, value in numbers.items()})


def _of_matches(matches: xr.Dataset) -> dict[str, float]:
    summary, units = match_summary(matches), unit_table(matches)
    names = [f"{name}{of}" for of in ("", "_train", "_chance") for name in ("semi", "bipartite")]
    classified = units[~units["class"].isin(["silent", "unreliable", "few responses"])]
    numbers = {name: float(summary[name].mean()) for name in [*names, "agreement", "gap"]}
    numbers["classified"] = len(classified) / len(units)
    for kind in ("shared", "partly shared", "unique"):
        numbers[kind.replace(" ", "_")] = float((classified["class"] == kind).mean())
    highest = classified["r_high"] / classified["ceiling"]
    return numbers | {"not_shared": float((highest < SHARED).mean())}


def _of_clusters(found: xr.Dataset) -> dict[str, float]:
    both = found.isel(cluster=(found["n_units"] > 0).all("population").values)
    held_out = ("canonical", "matched", "matched_rotated", "predicted")
    of_halves = ("stability", "contrast", "stability_rotated", "contrast_rotated")
    numbers = {"balance": float(both["balance"].mean())}
    numbers |= {name: float(found[f"{name}_held_out"].mean()) for name in held_out}
    numbers |= {name: float(found[name].mean()) for name in of_halves}
    return numbers | {"n_clusters": float(found.attrs["k"])}
