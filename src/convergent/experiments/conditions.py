"""Inputs of experiments: layers of several networks under several conditions, checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..base.arguments import as_number, check_keys, check_type
from ..base.compute import Compute
from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..data.contents import check_contents
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
    """Keywords of an experiment: those of every question, and a former name of one.

    Attributes
    ----------
    chance : dict
        Former name of ``controls``, which is still accepted.
    """

    chance: Mapping[str, Any] | None


def settle_experiment(
    metrics: Any,
    controls: Mapping[str, Any] | None,
    settings: ExperimentSettings,
    without: Collection[str] = (),
) -> tuple[Mapping[str, Any], Protocol, Compute]:
    """Find controls, protocol and compute of an experiment from its keywords.

    Layers and conditions are compared over the same units, so a bootstrap draws only stimuli.

    Parameters
    ----------
    metrics : str, metric, or a list or dict of them, or None
        Metrics that the experiment was given.
    controls : dict or None
        Populations that are scored in place of the source, by name of the control.
    settings : ExperimentSettings
        Further keywords that the experiment was given.
    without : collection of str
        Keywords that the experiment does not use, and so refuses.

    Returns
    -------
    controls : dict
        Empty without controls.
    protocol : Protocol
        Settings that decide the numbers; by default, the ceiling is ``"self"``.
    compute : Compute
        Device, study and progress.

    Raises
    ------
    InputError
        If the bootstrap draws units or subjects, or the experiment does not use a setting.
    """
    given = dict(settings)
    former = given.pop("chance", None)
    protocol, compute = settle(given, Protocol(ceiling="self"), without, metrics)  # type: ignore[arg-type]
    bootstrap = protocol.bootstrap
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(
            f"{bootstrap}: layers and conditions are compared over the same units, so only "
            "'stimuli' are drawn."
        )
    substitutes = former if controls is None else controls
    if substitutes is not None:
        check_type(Mapping, "a dict of controls by name", controls=substitutes)
    if substitutes:
        check_keys("controls", substitutes, "a dict of controls by name")
    return substitutes or {}, protocol, compute  # type: ignore[return-value]


def accuracy_table(
    accuracy: Mapping[str, Mapping[Any, float]], dim: str, conditions: Sequence[Any]
) -> xr.DataArray:
    """Collect the accuracy of each network in each condition.

    Parameters
    ----------
    accuracy : dict of dict of float
        Share of correctly classified stimuli, by network and condition.
    dim : str
        Dim of the conditions, such as ``"step"``.
    conditions : sequence
        Conditions for which an accuracy is needed.

    Returns
    -------
    xarray.DataArray
        Accuracy (network, condition).

    Raises
    ------
    InputError
        If the accuracy of a network in a condition is missing.
    """
    check_keys("accuracy", accuracy, f"a dict of accuracies by network and {dim}")
    for network, known in accuracy.items():
        check_type(Mapping, f"a dict of numbers by {dim}", **{f"accuracy of {network!r}": known})
        missing = [one for one in conditions if one not in known]
        if missing:
            raise InputError(
                f"accuracy of {network!r} lacks the {dim}s {examples(missing)}: give a number for "
                "each."
            )
    values = [
        [as_number("accuracy", known[one], 0, 1) for one in conditions]
        for known in accuracy.values()
    ]
    return xr.DataArray(values, {"network": list(accuracy)}, ("network", dim))


def depths(layers: int) -> NDArray[np.float64]:
    """Proportional depth of each of several layers, from 0 (first) to 1 (last)."""
    return np.arange(layers) / max(layers - 1, 1)


def same_stimuli(*sides: Levels, distorted: bool = False) -> list[dict[Any, dict[str, Assembly]]]:
    """Sort the stimuli of all populations by name, and make sure that they are the same.

    Parameters
    ----------
    *sides : dict of dict of Assembly
        Layers by condition.
    distorted : bool
        Whether conditions show different versions of the images, which may be other files.

    Returns
    -------
    list of dict of dict of Assembly
        The same sides, with repeats averaged.

    Raises
    ------
    InputError
        If a population lacks a stimulus that another has, has NaN, or was recorded with another
        image under the same name.
    """
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
                f"{len(expected)}: {examples(lost)} are not in both. All need the same stimuli, so "
                "that scores can be compared: stimuli.select(names) keeps only those."
            )
        check_complete(name, assembly)
    found = [
        {
            one: {name: _ordered(assembly, expected) for name, assembly in layers.items()}
            for one, layers in side.items()
        }
        for side in sides
    ]
    _check_images(found, distorted)
    return found


def _check_images(sides: Sequence[dict[Any, dict[str, Assembly]]], distorted: bool) -> None:
    """Refuse other images under the same names: at each level, or at all."""
    conditions = dict.fromkeys(one for side in sides for one in side)
    for chosen in [[one] for one in conditions] if distorted else [list(conditions)]:
        every = {
            (f"{name!r} at {one!r}", number): assembly.data
            for number, side in enumerate(sides)
            for one in chosen
            for name, assembly in side.get(one, {}).items()
        }
        check_contents([name for name, _ in every], list(every.values()))


def _ordered(assembly: Assembly, names: list[str]) -> Assembly:
    average = assembly.average()
    if average.stimuli.tolist() == names:
        return average
    return Assembly(average.data.sel(stimulus=names))


def common_steps(runs: Mapping[str, Mapping[float, Any]]) -> list[float]:
    """Find the steps of several trainings, and make sure that all have the same.

    Parameters
    ----------
    runs : dict of dict
        Checkpoints, or layers extracted from them, by name of the training and by step.

    Returns
    -------
    list of float
        Steps from first to last.

    Raises
    ------
    InputError
        If there is no training, or one lacks a step that another has.

    Examples
    --------
    >>> from pathlib import Path
    >>> from convergent import common_steps
    >>> common_steps({"a": {0.0: Path("a0"), 1.0: Path("a1")}, "b": {0.0: Path(), 1.0: Path()}})
    [0.0, 1.0]
    """
    check_keys("runs", runs, "a dict of trainings by name, each a dict by step")
    for name, run in runs.items():
        check_type(Mapping, "a dict by step", **{f"training {name!r}": run})
        for step in run:
            as_number(f"step of training {name!r}", step)
    every = sorted({step for run in runs.values() for step in run})
    lacks = {
        name: steps
        for name, run in runs.items()
        if (steps := [f"{step:g}" for step in every if step not in run])
    }
    if lacks:
        missing = "; ".join(f"{name} lacks {examples(steps)}" for name, steps in lacks.items())
        raise InputError(
            f"the trainings have different steps ({missing}): finish them, or keep only the steps "
            "that all have."
        )
    return every
