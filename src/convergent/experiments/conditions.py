"""Layers of several networks under several conditions: that they fit together."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.compute import Compute
from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.inputs import as_populations, check_complete

__all__ = [
    "ExperimentSettings",
    "Layers",
    "Levels",
    "accuracy_table",
    "common_steps",
    "depths",
    "same_stimuli",
    "settle_experiment",
]

Layers = Mapping[str, Assembly]
Levels = Mapping[Any, Layers]


class ExperimentSettings(Settings, total=False):
    """Keywords of an experiment.

    Attributes
    ----------
    chance : dict
        Former name of ``controls``.
    """

    chance: Mapping[str, Any] | None


def settle_experiment(
    metrics: Any,
    controls: Mapping[str, Any] | None,
    settings: ExperimentSettings,
    without: Collection[str] = (),
) -> tuple[Mapping[str, Any], Protocol, Compute]:
    """Controls, protocol and compute of an experiment between networks.

    Layers and conditions are compared over the same units, so a bootstrap draws stimuli alone.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them, or None
        Metrics of the experiment.
    controls : dict or None
        What is scored in place of the source, by name.
    settings : ExperimentSettings
        Keywords of the experiment.
    without : collection of str
        Keywords that mean nothing for it.

    Raises
    ------
    InputError
        Where the bootstrap draws units or subjects, or a setting means nothing.
    """
    given = dict(settings)
    former = given.pop("chance", None)
    protocol, compute = settle(given, Protocol(ceiling="self"), without, metrics)  # type: ignore[arg-type]
    bootstrap = protocol.bootstrap
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(
            f"{bootstrap}: all is compared over the same units, so only 'stimuli' are drawn."
        )
    return controls or former or {}, protocol, compute  # type: ignore[return-value]


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
        for name, assembly in as_populations(f"layers at {one!r},", layers).items()
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


def common_steps(runs: Mapping[str, Mapping[float, Any]]) -> list[float]:
    """Steps of several trainings, which must all have the same.

    Parameters
    ----------
    runs : dict
        Checkpoints, or what was made of them, by name of the training and step.

    Returns
    -------
    list of float
        From first to last.

    Raises
    ------
    InputError
        Where there is no training, or one lacks steps that another has.

    Examples
    --------
    >>> from pathlib import Path
    >>> from convergent import common_steps
    >>> common_steps({"a": {0.0: Path("a0"), 1.0: Path("a1")}, "b": {0.0: Path(), 1.0: Path()}})
    [0.0, 1.0]
    """
    if not runs:
        raise InputError("there is no training: give the checkpoints of one or more, by name.")
    every = sorted({step for run in runs.values() for step in run})
    lacks = {
        name: missing
        for name, run in runs.items()
        if (missing := [f"{step:g}" for step in every if step not in run])
    }
    if lacks:
        told = "; ".join(f"{name} lacks {examples(steps)}" for name, steps in lacks.items())
        raise InputError(
            f"the trainings have other steps ({told}): finish them, or keep only steps that all "
            "have."
        )
    return every
