"""How alignment bears other stimuli than those it was found with: distorted, drawn, stylised."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..assembly import Assembly
from ..cell import Cell, RunningCell
from ..errors import InputError, examples
from ..folds import FoldMean, Folds
from ..inference import REFIT_SHARE, REFIT_SHARE_OF_DIFFERENCE, spread
from ..intake import check_complete, group_labels
from ..metrics import METRICS, Metric, named_metrics
from ..population import Population
from ..progress import track
from ..provenance import parameters
from ..resampling import Bootstrap, Resamples, draw_resamples, over_units
from ..source_code import code_of
from ..study import Study, as_study
from ..sweep import Sweep

__all__ = ["shift"]

Floats = NDArray[np.float64]
Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
Layers = Mapping[str, Assembly]
WAYS = ("transferred", "refitted")


def shift(
    source: Mapping[Hashable, Layers],
    target: Mapping[Hashable, Layers],
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
    bootstrap: Bootstrap | None = None,
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
        Over stimuli, for intervals. Up to 200 resamples fit all maps anew, which takes as many
        times longer.
    level : float
        Of the confidence intervals.

    Returns
    -------
    xarray.Dataset
        ``r_control`` (metric, layer); ``r`` (metric, way, level, layer), mean over folds, then
        median over the units that have a score; ``drop`` = 1 - r / r_control; ``slope`` (metric,
        way, level): how much faster the last layer drops than the first, from a line through the
        drops over depth; ``silent`` (level, layer): target units that show nothing at a level,
        and so have no score. With a bootstrap, ``*_low`` and ``*_high`` of all but the last. Along
        ``layer`` stand ``depth`` (0 the first, 1 the last) and ``target_layer``.

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
    if bootstrap is not None and bootstrap.over != ("stimuli",):
        raise InputError(f"{bootstrap}: the units are the same throughout; draw only 'stimuli'.")
    chosen = named_metrics(metrics)
    source, target = _same_stimuli(source, target)
    control, *others = levels
    first = source[control][layers[0]]
    n = len(first.stimuli)
    groups = group_labels(folds.group, [first])
    splits = folds.split(n, groups)
    resamples = draw_resamples(bootstrap, None, splits, groups)
    work = _Work(Sweep(chosen, splits, resamples, device), as_study(study))
    cells: dict[tuple[Any, ...], dict[str, Cell]] = {}
    steps = [(layer, one) for layer in layers for one in levels]
    for layer, one in track(steps, "scoring", len(steps), progress):
        sides = [
            [each[one_of][name] for one_of in dict.fromkeys((control, one))]
            for each, name in ((source, layer), (target, partners[layer]))
        ]
        for way, found in work.cells(*sides).items():
            cells[layer, one, way] = found
    result = _label(cells, chosen, levels, layers, partners)
    silent = [[_silent(target[one][partners[layer]]) for layer in layers] for one in others]
    result["silent"] = (("level", "layer"), np.array(silent, dtype=np.intp))
    result = result.assign(_summaries(result, splits, resamples, level))
    kept = [name for name in result.variables if not str(name).startswith("draws")]
    return result[kept].assign_attrs(n_stimuli=n, control=str(control))


class _Work:
    """Fits of all folds of a pair of layers, or what a study keeps of them."""

    def __init__(self, sweep: Sweep, study: Study | None) -> None:
        self._sweep, self._study = sweep, study
        counts = sweep.resamples.counts
        # distorted stimuli stand below the others, and are drawn with them
        twice = None if counts is None else np.tile(counts, (1, 2))
        self._resamples = replace(sweep.resamples, counts=twice)

    def cells(
        self, source: Sequence[Assembly], target: Sequence[Assembly]
    ) -> dict[str, dict[str, Cell]]:
        """By way and metric, for the control alone, or for a distortion of it."""
        n = len(source[0].stimuli)
        ways: dict[str, Splits] = {"control": self._sweep.splits}
        if len(source) > 1:
            ways = {
                "transferred": [(train, n + test) for train, test in self._sweep.splits],
                "refitted": [(n + train, n + test) for train, test in self._sweep.splits],
            }
        prints: list[list[str]] = []
        if self._study:
            prints = [[assembly.fingerprint() for assembly in side] for side in (source, target)]
        found: dict[str, dict[str, Cell]] = {way: {} for way in ways}
        missing: list[tuple[str, str, dict[str, Any]]] = []
        for way in ways:
            for name, metric in self._sweep.metrics.items():
                made_of = self._made_of(way, metric, prints) if self._study else {}
                known = self._study and self._study.recall(made_of)
                if known:
                    found[way][name] = Cell.from_arrays(known)
                else:
                    missing.append((way, name, made_of))
        if not missing:
            return found
        x, y = (_stacked(side, self._sweep.device) for side in (source, target))
        for way in dict.fromkeys(way for way, _, _ in missing):
            wanted = {name: made_of for one, name, made_of in missing if one == way}
            for name, cell in self._fit(x, y, ways[way], list(wanted)).items():
                found[way][name] = cell
                if self._study:
                    self._study.keep(wanted[name], cell.arrays())
        return found

    def _fit(
        self, source: Population, target: Population, splits: Splits, metrics: Sequence[str]
    ) -> dict[str, Cell]:
        everything = np.arange(target.n_units)
        running = {name: RunningCell(everything, self._resamples) for name in metrics}
        for split in splits:
            views = source.split(*split), target.split(*split)
            for name, cell in running.items():
                cell.add(self._sweep.metrics[name].fit(*views), split)
        return {name: cell.done() for name, cell in running.items()}

    def _made_of(self, way: str, metric: Metric, prints: list[list[str]]) -> dict[str, Any]:
        return self._sweep.drawn | {
            "kind": "shift",
            "way": way,
            "metric": code_of(type(metric)) | parameters(metric),
            "source": prints[0],
            "target": prints[1],
        }


def _stacked(assemblies: Sequence[Assembly], device: str) -> Population:
    """The stimuli as they are, and below them the distorted ones."""
    arrays = [assembly.data.data for assembly in assemblies]
    if len(arrays) == 1:
        return Population(arrays[0], device)
    on_disk = any(hasattr(values, "compute") for values in arrays)
    return Population((dask.array.concatenate if on_disk else np.concatenate)(arrays), device)


def _check_sides(
    source: Mapping[Hashable, Layers], target: Mapping[Hashable, Layers]
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


def _same_stimuli(*sides: Mapping[Hashable, Layers]) -> list[dict[Hashable, dict[str, Assembly]]]:
    """All populations with stimuli sorted by name; none may lack one that another has."""
    everything = [
        (one, name, assembly)
        for side in sides
        for one, layers in side.items()
        for name, assembly in layers.items()
    ]
    expected = sorted(everything[0][2].stimuli.tolist())
    for one, name, assembly in everything:
        if sorted(assembly.stimuli.tolist()) != expected:
            lost = sorted(set(expected) ^ set(assembly.stimuli.tolist()))
            raise InputError(
                f"{name!r} at level {one!r} has {len(assembly.stimuli)} stimuli and the control "
                f"{len(expected)}: {examples(lost)} are not in both. All levels need the same, so "
                "that scores compare: stimuli.select(names) leaves others out."
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


def _silent(assembly: Assembly) -> int:
    """How many units show nothing."""
    data = assembly.data
    return int((data.max("stimulus") == data.min("stimulus")).sum())


def _label(
    cells: Mapping[tuple[Any, ...], Mapping[str, Cell]],
    metrics: Mapping[str, Metric],
    levels: Sequence[Hashable],
    layers: Sequence[str],
    partners: Mapping[str, str],
) -> xr.Dataset:
    """Aggregates, and these in the resamples, with labels."""
    control, *others = levels
    measures: dict[str, Any] = {"r": lambda cell: over_units(_unit_scores(cell)[None])[0]}
    if next(iter(next(iter(cells.values())).values())).held_out is not None:
        measures |= {
            "draws_stimuli": lambda cell: over_units(cell.held_out),
            "draws_refit": lambda cell: over_units(cell.refitted),
        }
    variables: dict[str, Any] = {}
    for name, of in measures.items():
        draw = () if name == "r" else (name.replace("draws", "draw"),)
        alone = [[of(cells[layer, control, "control"][m]) for layer in layers] for m in metrics]
        shifted = [
            [[[of(cells[layer, o, way][m]) for layer in layers] for o in others] for way in WAYS]
            for m in metrics
        ]
        variables[f"{name}_control"] = (("metric", "layer", *draw), np.array(alone))
        variables[name] = (("metric", "way", "level", "layer", *draw), np.array(shifted))
    depth = np.arange(len(layers)) / max(len(layers) - 1, 1)
    return xr.Dataset(
        variables,
        coords={
            "metric": list(metrics),
            "way": list(WAYS),
            "level": [str(one) for one in others],
            "layer": list(layers),
            "depth": ("layer", depth),
            "target_layer": ("layer", [partners[layer] for layer in layers]),
        },
    )


def _unit_scores(cell: Cell) -> Floats:
    return FoldMean.of(fold.r for fold in cell.folds)


def _summaries(
    result: xr.Dataset, splits: Splits, resamples: Resamples, level: float
) -> dict[str, Any]:
    """Drops, slopes, and intervals of both and of the scores."""
    depth = result["depth"]
    given = dict(_statistics(result["r_control"], result["r"], depth))
    summaries: dict[str, Any] = {name: given[name] for name in ("drop", "slope")}
    if resamples.counts is None:
        return summaries
    draws = {
        factor: dict(
            _statistics(result[f"draws_{factor}_control"], result[f"draws_{factor}"], depth)
        )
        for factor in ("stimuli", "refit")
    }
    for name, estimate in given.items():
        share = REFIT_SHARE if name.startswith("r") else REFIT_SHARE_OF_DIFFERENCE
        moved = {
            factor: several[name].transpose(f"draw_{factor}", *estimate.dims).values
            for factor, several in draws.items()
        }
        found = spread(moved, {"stimuli": float(resamples.n_drawn)}, len(splits), share)
        for end, values in zip(
            ("low", "high"), found.interval(estimate.values, level), strict=True
        ):
            summaries[f"{name}_{end}"] = estimate.copy(data=values)
    return summaries


def _statistics(
    control: xr.DataArray, r: xr.DataArray, depth: xr.DataArray
) -> Iterator[tuple[str, xr.DataArray]]:
    """Scores, how much they drop, and how the drop changes with depth."""
    yield "r_control", control
    yield "r", r
    drop = 1 - r / control
    yield "drop", drop.transpose("metric", "way", "level", "layer", ...)
    centred = depth - depth.mean()
    square = float((centred**2).sum())
    slope = (drop * centred).sum("layer", skipna=False) / (square or np.nan)
    yield "slope", slope.transpose("metric", "way", "level", ...)
