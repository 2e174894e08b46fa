"""How alignment bears other stimuli than those it was found with: distorted, drawn, stylised."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from ..base.errors import InputError, examples
from ..base.progress import track
from ..base.study import Study, as_study
from ..data.assembly import Assembly
from ..metrics.table import METRICS, named_metrics
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, draw_resamples
from ..scoring.engine import Pairs, show
from ..scoring.inputs import check_grids, group_labels
from ..scoring.pair_scores import PairScores
from ..scoring.tasks import Sweep
from .conditions import Levels, accuracy_table, check_design, depths, same_stimuli
from .summaries import aggregates, summarize

__all__ = ["WAYS", "Cells", "shift"]

Cells = dict[tuple[Any, ...], dict[str, PairScores]]
WAYS = ("transferred", "refitted")


def shift(
    source: Levels,
    target: Levels,
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
    bootstrap: Bootstrap | None = None,
    chance: Mapping[str, Levels] | None = None,
    accuracy: Mapping[str, Mapping[Hashable, float]] | None = None,
    level: float = 0.95,
    device: str = "cpu",
    study: Study | str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Score layers of two networks on distorted stimuli, with the map of the others and a new one.

    The layer at each place in one network is scored against that at the same place in the other.
    `transferred`: the map is fitted on the training stimuli as they are, and scored on the test
    stimuli distorted; `refitted`: fitted on the training stimuli distorted as well. Stimuli and
    folds are the same throughout, so all differences are paired.

    Parameters
    ----------
    source, target : dict of dict of Assembly
        By level of distortion, the control first, and by layer, from first to last: what `extract`
        gives for each level of `distort`, or for each folder of images with the same names.
    metrics, folds, device, study, progress : as for `score`
        The same.
    bootstrap : Bootstrap, optional
        Over stimuli, for intervals. As many ``refits`` fit all maps anew, which takes as many times
        longer.
    chance : dict, optional
        By name, what is scored in place of the source, to see what chance would give: `shuffled`
        or `rotated` of the source, or the same layers of an untrained network.
    accuracy : dict of dict of float, optional
        By network, the share of stimuli that it classifies correctly at each level (`accuracy`).
    level : float
        Of the confidence intervals.

    Returns
    -------
    xarray.Dataset
        ``r_control`` (metric, layer); ``r`` (metric, way, level, layer), mean over folds, then
        median over the units that have a score there; ``drop`` = 1 - r / r_control; ``slope``
        (metric, way, level): how much faster the last layer drops than the first, from a line
        through the drops over depth; ``silent`` (level, layer): target units that show nothing at
        a level, and so have no score (where there are many, a drop compares other units as well).
        With a bootstrap, ``*_low`` and ``*_high`` of all but the last. With
        `chance`, ``r_chance_control`` (chance, metric, layer) and ``r_chance`` (chance, metric,
        way, level, layer). With `accuracy`, ``accuracy_control`` (network), and ``accuracy`` and
        ``accuracy_drop`` (network, level). Along ``layer`` stand ``depth`` (0 the first, 1 the
        last) and ``target_layer``.

    Raises
    ------
    InputError
        Where levels or numbers of layers differ, a stimulus is missing at some level, or nothing
        can be scored.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Geirhos et al. 2021, NeurIPS.
    """
    levels, layers, partners = _check_sides(source, target)
    for name, substitute in (chance or {}).items():
        has = {one: list(of_level) for one, of_level in substitute.items()}
        if has != {one: list(of_level) for one, of_level in source.items()}:
            raise InputError(
                f"chance {name!r} has other levels or layers than the source ({has}): it stands "
                f"in its place, so give levels {levels} with layers {layers}."
            )
    check_design(folds, bootstrap)
    correct = accuracy_table(accuracy, "level", levels) if accuracy else None
    chosen = named_metrics(metrics)
    source, target, *substitutes = same_stimuli(source, target, *(chance or {}).values())
    source, target, *substitutes = map(_same_units, (source, target, *substitutes))
    first = source[levels[0]][layers[0]]
    n = len(first.stimuli)
    check_grids(chosen, [first])
    groups = group_labels(folds.group, [first])
    splits = folds.split(n, groups)
    resamples = draw_resamples(bootstrap, None, splits, groups)
    sweep = Sweep(chosen, splits, resamples, device)
    alone = replace(sweep, resamples=draw_resamples(None, None, splits, groups))
    kept_in = as_study(study)
    several = [(sweep, source), *((alone, substitute) for substitute in substitutes)]
    steps = (
        (number, layer, one) for number in range(len(several)) for layer in layers for one in levels
    )
    found: list[Cells] = [{} for _ in several]
    total = len(several) * len(layers) * len(levels)
    for number, layer, one in track(steps, "scoring", total, progress):
        with_these, mapped = several[number]
        sides = [
            [each[one_of][name] for one_of in dict.fromkeys((levels[0], one))]
            for each, name in ((mapped, layer), (target, partners[layer]))
        ]
        pairs = Pairs(with_these, kept_in, "shift")
        for way, cell in _both_ways(pairs, with_these, *sides).items():
            found[number][layer, one, way] = cell
    result = _label(found[0], list(chosen), levels, layers, partners)
    silent = [[_silent(target[one][partners[layer]]) for layer in layers] for one in levels[1:]]
    result["silent"] = (("level", "layer"), np.array(silent, dtype=np.intp))
    result = summarize(result, _statistics, sweep, level).assign_attrs(
        n_stimuli=n, control=str(levels[0])
    )
    if chance:
        each = [_label(cells, list(chosen), levels, layers, partners) for cells in found[1:]]
        joined = xr.concat(each, xr.Variable("chance", list(chance)))
        result["r_chance"], result["r_chance_control"] = joined["r"], joined["r_control"]
    return result if correct is None else result.assign(_losses(correct))


def _both_ways(
    pairs: Pairs, sweep: Sweep, source: Sequence[Assembly], target: Sequence[Assembly]
) -> dict[str, dict[str, PairScores]]:
    """By way and metric, for the control alone, or for a distortion of it."""
    n, splits = len(source[0].stimuli), sweep.splits
    ways = {"control": splits}
    resamples = sweep.resamples
    if len(source) > 1:
        ways = {
            "transferred": [(train, n + test) for train, test in splits],
            "refitted": [(n + train, n + test) for train, test in splits],
        }
        if resamples.counts is not None:
            # distorted stimuli stand below the others, and are drawn with them
            resamples = replace(resamples, counts=np.tile(resamples.counts, (1, 2)))
    sides = [
        (pairs.population(several), [pairs.fingerprint(assembly) for assembly in several])
        for several in (source, target)
    ]
    found = {}
    for way, of_way in ways.items():
        x, y = (show(population, of_way, prints) for population, prints in sides)
        found[way] = pairs.cells(x, y, way, resamples)
    return found


def _check_sides(
    source: Levels, target: Levels
) -> tuple[list[Hashable], list[str], dict[str, str]]:
    """Levels, layers of the source, and the target's layer for each."""
    names: list[list[str]] = []
    for side, given in (("source", source), ("target", target)):
        if not isinstance(given, Mapping) or not all(
            isinstance(x, Mapping) for x in given.values()
        ):
            raise InputError(
                f"{side} is a {type(given).__name__}: give a dict of what `extract` gives, by "
                "level, the control first."
            )
        each = [list(layers) for layers in given.values()]
        if len(each) < 2 or not each[0] or any(set(other) != set(each[0]) for other in each):
            raise InputError(
                f"{side} has {len(each)} levels, with layers {each[:2]}: give two levels or more, "
                "the control first, with the same layers at each."
            )
        names.append(each[0])
    if list(source) != list(target):
        raise InputError(
            f"source has levels {list(source)}, and target {list(target)}: they must be the same."
        )
    if len(names[0]) != len(names[1]):
        raise InputError(
            f"source has {len(names[0])} layers and target {len(names[1])}: the layers at each "
            "place are compared, so choose as many of both."
        )
    return list(source), names[0], dict(zip(*names, strict=True))


def _same_units(side: Levels) -> dict[Any, dict[str, Assembly]]:
    """Units of each layer in the order of the control; none may be lost at some level."""
    control = next(iter(side.values()))
    found: dict[Any, dict[str, Assembly]] = {one: {} for one in side}
    for one, layers in side.items():
        for name, assembly in layers.items():
            units = control[name].units.tolist()
            if sorted(assembly.units.tolist()) != sorted(units):
                lost = sorted(set(units) ^ set(assembly.units.tolist()))
                raise InputError(
                    f"{name!r} at level {one!r} has {len(assembly.units)} units, and the control "
                    f"{len(units)}: {examples(lost)} are not in both. Keep the units that all "
                    "levels have."
                )
            same = assembly.units.tolist() == units
            found[one][name] = assembly if same else Assembly(assembly.data.sel(unit=units))
    return found


def _silent(assembly: Assembly) -> int:
    """How many units show nothing."""
    data = assembly.data
    return int((data.max("stimulus") == data.min("stimulus")).sum())


def _label(
    cells: Cells,
    metrics: Sequence[str],
    levels: Sequence[Hashable],
    layers: Sequence[str],
    partners: Mapping[str, str],
) -> xr.Dataset:
    """Aggregates, and these in the resamples, with labels."""
    control, *others = levels
    found = {
        key: {metric: aggregates(cell) for metric, cell in of_metrics.items()}
        for key, of_metrics in cells.items()
    }
    variables: dict[str, Any] = {}
    for name in next(iter(next(iter(found.values())).values())):
        draw, of = ((), "") if name == "r" else ((name,), f"@{name}")
        alone = [found[layer, control, "control"][m][name] for m, layer in product(metrics, layers)]
        shifted = [
            found[layer, other, way][m][name]
            for m, way, other, layer in product(metrics, WAYS, others, layers)
        ]
        each = np.shape(alone[0])
        sizes = len(metrics), len(WAYS), len(others), len(layers)
        variables[f"r_control{of}"] = (
            ("metric", "layer", *draw),
            np.reshape(alone, (len(metrics), len(layers), *each)),
        )
        variables[f"r{of}"] = (
            ("metric", "way", "level", "layer", *draw),
            np.reshape(shifted, (*sizes, *each)),
        )
    return xr.Dataset(
        variables,
        coords={
            "metric": list(metrics),
            "way": list(WAYS),
            "level": [str(one) for one in others],
            "layer": list(layers),
            "depth": ("layer", depths(len(layers))),
            "target_layer": ("layer", [partners[layer] for layer in layers]),
        },
    )


def _losses(correct: xr.DataArray) -> dict[str, xr.DataArray]:
    """What networks classify correctly, and how much of it they lose; the control is first."""
    control, others = correct.isel(level=0), correct.isel(level=slice(1, None))
    return {
        "accuracy_control": control,
        "accuracy": others,
        "accuracy_drop": 1 - others / control,
    }


def _statistics(result: xr.Dataset, draws: str) -> dict[str, xr.DataArray]:
    """Scores, how much they drop, and how the drop changes with depth."""
    control, r, depth = result[f"r_control{draws}"], result[f"r{draws}"], result["depth"]
    drop = 1 - r / control
    centred = depth - depth.mean()
    square = float((centred**2).sum())
    slope = (drop * centred).sum("layer", skipna=False) / (square or np.nan)
    return {
        "r_control": control,
        "r": r,
        "drop": drop.transpose("metric", "way", "level", "layer", ...),
        "slope": slope.transpose("metric", "way", "level", ...),
    }
