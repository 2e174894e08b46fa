"""Layers of several networks under several conditions: that they fit together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..assembly import Assembly
from ..errors import InputError, examples
from ..folds import Folds, check_folds
from ..intake import check_complete, named
from ..resampling import Bootstrap, check_draws

__all__ = ["Layers", "Levels", "accuracy_table", "check_design", "depths", "same_stimuli"]

Layers = Mapping[str, Assembly]
Levels = Mapping[Any, Layers]


def check_design(folds: Folds, bootstrap: Bootstrap | None) -> None:
    """Folds, and what is resampled: layers and conditions are compared over the same units."""
    check_folds(folds)
    check_draws(bootstrap)
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(
            f"{bootstrap}: all is compared over the same units, so only 'stimuli' are drawn."
        )


def accuracy_table(
    accuracy: Mapping[str, Mapping[Any, float]], dim: str, conditions: Sequence[Any]
) -> xr.DataArray:
    """What each network classifies correctly in each condition, (network, condition).

    Parameters
    ----------
    accuracy : dict of dict of float
        By network and condition.
    dim : str
        What a condition is called.
    conditions : sequence
        Those that each network needs.
    """
    for network, known in accuracy.items():
        missing = [one for one in conditions if one not in known]
        if missing:
            raise InputError(
                f"accuracy of {network!r} lacks the {dim}s {examples(missing)}: give a number for "
                "each."
            )
    values = [[float(known[one]) for one in conditions] for known in accuracy.values()]
    return xr.DataArray(values, {"network": list(accuracy)}, ("network", dim))


def depths(layers: int) -> NDArray[np.float64]:
    """Proportional depth of each layer, from 0, the first, to 1, the last."""
    return np.arange(layers) / max(layers - 1, 1)


def same_stimuli(*sides: Levels) -> list[dict[Any, dict[str, Assembly]]]:
    """All populations with stimuli sorted by name; none may lack one that another has."""
    everything = [
        (one, name, assembly)
        for side in sides
        for one, layers in side.items()
        for name, assembly in named(f"layers at {one!r},", layers).items()
    ]
    expected = sorted(everything[0][2].stimuli.tolist())
    for one, name, assembly in everything:
        if sorted(assembly.stimuli.tolist()) != expected:
            lost = sorted(set(expected) ^ set(assembly.stimuli.tolist()))
            raise InputError(
                f"{name!r} at {one!r} has {len(assembly.stimuli)} stimuli, and others have "
                f"{len(expected)}: {examples(lost)} are not in both. All need the same, so that "
                "scores compare: stimuli.select(names) leaves others out."
            )
        check_complete(name, assembly)
    return [
        {
            one: {name: _ordered(assembly, expected) for name, assembly in layers.items()}
            for one, layers in side.items()
        }
        for side in sides
    ]


def _ordered(assembly: Assembly, names: list[str]) -> Assembly:
    average = assembly.average()
    if average.stimuli.tolist() == names:
        return average
    return Assembly(average.data.sel(stimulus=names))
