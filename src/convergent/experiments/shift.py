"""How alignment changes on other stimuli than those it was found with: distorted or redrawn."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, Unpack

import numpy as np
import xarray as xr

from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..protocol.design import Design
from ..protocol.settings import Protocol
from ..scoring.engine import PairResults, score_pairs
from ..scoring.inputs import Source, design_of
from ..scoring.provenance import provenance
from ..scoring.results import with_long_names
from ..scoring.targets import Target, target_of
from ..scoring.tasks import Key, Pair
from ..statistics.inference import Factors
from .conditions import (
    ExperimentSettings,
    Levels,
    accuracy_table,
    depths,
    same_stimuli,
    settle_experiment,
)
from .summaries import Arrays, Statistic, aggregates, on_grid, with_intervals

__all__ = ["MAPS", "shift"]

MAPS = ("transferred", "refitted")


def shift(
    source: Levels,
    target: Levels,
    metrics: Any = None,
    *,
    controls: Mapping[str, Levels] | None = None,
    accuracy: Mapping[str, Mapping[Hashable, float]] | None = None,
    level: float = 0.95,
    **settings: Unpack[ExperimentSettings],
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
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; all three by default.
    controls : dict, optional
        By name, what is scored in place of the source, to see what chance would give: `shuffled`
        or `rotated` of the source, or the same layers of an untrained network.
    accuracy : dict of dict of float, optional
        By network, the share of stimuli that it classifies correctly at each level (`accuracy`).
    level : float
        Confidence level of the intervals.
    **settings
        ``folds``, ``bootstrap``, ``device``, ``study``, ``progress``, or ``protocol``
        and ``compute``: as for `score`. The bootstrap is over stimuli; each of its ``refits`` fits
        all maps again.

    Returns
    -------
    xarray.Dataset
        ``r_control`` (metric, layer); ``r`` (metric, map, level, layer), mean over folds, then
        median over the units that have a score there; ``drop`` = 1 - r / r_control; ``slope``
        (metric, map, level): how much faster the last layer drops than the first, from a line
        through the drops over depth; ``silent`` (level, layer): target units that are constant at a
        level, and so have no score (where there are many, a drop compares other units as well).
        With a bootstrap, ``*_low`` and ``*_high`` of all but the last. With
        `controls`, ``r_chance_control`` (chance, metric, layer) and ``r_chance`` (chance, metric,
        map, level, layer). With `accuracy`, ``accuracy_control`` (network), and ``accuracy`` and
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
    controls, protocol, compute = settle_experiment(
        metrics, controls, settings, without=("ceiling", "min_reliability", "shuffle")
    )
    protocol = replace(protocol, ceiling=None)
    levels, layers, partners = _check_sides(source, target)
    _check_controls(controls, source)
    correct = accuracy_table(accuracy, "level", levels) if accuracy else None
    sides = dict(
        zip(
            ["", *controls, "target"],
            map(_same_units, same_stimuli(source, *controls.values(), target)),
            strict=True,
        )
    )
    first = sides[""][levels[0]][layers[0]]
    hashes = {
        (side, one, layer): assembly.fingerprint()
        for side, of_level in sides.items()
        for one, of_layer in of_level.items()
        for layer, assembly in of_layer.items()
    }
    work = _Work(sides, hashes, levels, partners, protocol, design_of(protocol, [first]))
    found = score_pairs(
        work.sources(), work.targets, work.designs(), protocol, compute, pairs=work.pairs()
    )
    result = _labelled(found, work, level)
    silent = [[_silent(sides["target"][one][partners[k]]) for k in layers] for one in levels[1:]]
    result["silent"] = (("level", "layer"), np.array(silent, dtype=np.intp))
    if correct is not None:
        result = result.assign(_losses(correct))
    return with_long_names(result, _LONG_NAMES).assign_attrs(
        n_stimuli=len(first.stimuli),
        control=str(levels[0]),
        **provenance(
            "shift",
            {"inputs": hashes},
            protocol=protocol,
            compute=compute,
            settings={"level": level},
            inputs={place: sides[place[0]][place[1]][place[2]] for place in hashes},
        ),
    )


class _Place(NamedTuple):
    """A layer of the source (or of a control), with the undistorted and one distorted level."""

    control: str
    layer: str
    level: Hashable


@dataclass(frozen=True, eq=False)
class _Work:
    """What is scored against what: populations at a level stand below the undistorted ones."""

    sides: Mapping[str, Mapping[Any, Mapping[str, Assembly]]]  # source '', controls, 'target'
    hashes: Mapping[tuple[str, Hashable, str], str]
    levels: Sequence[Hashable]
    partners: Mapping[str, str]
    protocol: Protocol
    design: Design

    @cached_property
    def targets(self) -> dict[_Place, Target]:
        """Layers that are predicted."""
        # distorted stimuli stand below the others, and are drawn with them
        return {
            place: target_of(
                _name(place),
                *self._stack(place, "target"),
                self.protocol,
                self.design,
                may_be_silent=True,
            )
            for place in self._places("")
        }

    def sources(self) -> dict[_Place, Source]:
        """Layers that are mapped."""
        found = {}
        for control in self.controls:
            for place in self._places(control):
                assemblies, sha256 = self._stack(place, control)
                found[place] = Source(_name(place), tuple(assemblies), sha256)
        return found

    def designs(self) -> dict[str, Design]:
        """Folds of the undistorted stimuli, and of both ways to map distorted ones."""
        n, resamples = len(self._first.stimuli), self.design.resamples
        if resamples.counts is not None:
            resamples = replace(resamples, counts=np.tile(resamples.counts, (1, 2)))
        transferred = [(train, n + test) for train, test in self.design.splits]
        refitted = [(n + train, n + test) for train, test in self.design.splits]
        of_maps = {
            "undistorted": self.design,
            "transferred": Design(transferred, resamples),
            "refitted": Design(refitted, resamples),
        }
        return of_maps | {f"{name}, control": one.alone() for name, one in of_maps.items()}

    def pairs(self) -> list[Pair]:
        """Layer by layer, so that what is used together stands together."""
        found = []
        for layer, level in product(self.partners, self.levels):
            for control in self.controls:
                place = _Place(control, layer, level)
                names = MAPS if level != self.levels[0] else ("undistorted",)
                found += [
                    Pair(place, place._replace(control=""), self.design_of(name, control))
                    for name in names
                ]
        return found

    @property
    def controls(self) -> list[str]:
        """The source itself, '', and what is scored in its place."""
        return [side for side in self.sides if side != "target"]

    @staticmethod
    def design_of(name: str, control: str) -> str:
        """Controls are scored without resamples."""
        return f"{name}, control" if control else name

    @property
    def _first(self) -> Assembly:
        return next(iter(self.sides["target"][self.levels[0]].values()))

    def _places(self, control: str) -> list[_Place]:
        return [
            _Place(control, layer, level) for layer, level in product(self.partners, self.levels)
        ]

    def _stack(self, place: _Place, side: str) -> tuple[list[Assembly], str]:
        layer = self.partners[place.layer] if side == "target" else place.layer
        levels = dict.fromkeys((self.levels[0], place.level))
        assemblies = [self.sides[side][one][layer] for one in levels]
        return assemblies, " ".join(self.hashes[side, one, layer] for one in levels)


def _name(place: _Place) -> str:
    return f"{place.layer}, level {place.level}"


def _check_controls(controls: Mapping[str, Levels], source: Levels) -> None:
    """Make sure that controls can stand in the place of the source."""
    wanted = {one: list(of_level) for one, of_level in source.items()}
    for name, substitute in controls.items():
        has = {one: list(of_level) for one, of_level in substitute.items()}
        if has != wanted:
            raise InputError(
                f"control {name!r} has other levels or layers than the source ({has}): it stands "
                f"in its place, so give levels {list(wanted)} with layers "
                f"{next(iter(wanted.values()))}."
            )


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
    """How many units are constant."""
    data = assembly.data
    return int((data.max("stimulus") == data.min("stimulus")).sum())


def _labelled(found: PairResults, work: _Work, level: float) -> xr.Dataset:
    """Scores and what follows from them, with labels."""

    def aggregate(
        control: str, metric: str, name: str, one: Hashable, layer: str
    ) -> Mapping[Factors, Any]:
        source, target = _Place(control, layer, one), _Place("", layer, one)
        key = Key(metric, source, target, work.design_of(name, control))
        return aggregates(found.pairs[key], work.targets[target].included)

    def undistorted(control: str, metric: str, layer: str) -> Mapping[Factors, Any]:
        return aggregate(control, metric, "undistorted", work.levels[0], layer)

    metrics, layers, others = list(work.protocol.metrics), list(work.partners), work.levels[1:]
    depth = xr.DataArray(depths(len(layers)), dims="layer")
    alone: dict[str, Sequence[Any]] = {"metric": metrics, "layer": layers}
    grid: dict[str, Sequence[Any]] = {
        "metric": metrics,
        "map": MAPS,
        "level": others,
        "layer": layers,
    }
    of_control = on_grid(lambda *labels: undistorted("", *labels), alone)
    of_levels = on_grid(lambda *labels: aggregate("", *labels), grid)
    scores: dict[Factors, Arrays] = {
        factors: {"r_control": array, "r": of_levels[factors], "depth": depth}
        for factors, array in of_control.items()
    }
    variables: dict[str, Any] = dict(
        with_intervals(scores, _STATISTICS, work.design.n_drawn, work.design.n_folds, level)
    )
    controls = work.controls[1:]
    coords = {
        "metric": metrics,
        "map": list(MAPS),
        "level": [str(one) for one in others],
        "layer": layers,
        "depth": ("layer", depth.values),
        "target_layer": ("layer", list(work.partners.values())),
    }
    if controls:
        variables["r_chance"] = on_grid(aggregate, {"chance": controls} | grid)[()]
        variables["r_chance_control"] = on_grid(undistorted, {"chance": controls} | alone)[()]
        coords["chance"] = controls
    return xr.Dataset(variables, coords=coords)


def _losses(correct: xr.DataArray) -> dict[str, xr.DataArray]:
    """What networks classify correctly, and how much of it they lose; the control is first."""
    control, others = correct.isel(level=0), correct.isel(level=slice(1, None))
    return {
        "accuracy_control": control,
        "accuracy": others,
        "accuracy_drop": 1 - others / control,
    }


def _drop(scores: Arrays) -> xr.DataArray:
    """Share of the score that is lost."""
    drop = 1 - scores["r"] / scores["r_control"]
    return drop.transpose("metric", "map", "level", "layer", ...)


def _slope(scores: Arrays) -> xr.DataArray:
    """How much faster the last layer drops than the first, from a line over depth."""
    centred = scores["depth"] - scores["depth"].mean()
    square = float((centred**2).sum())
    slope = (_drop(scores) * centred).sum("layer", skipna=False) / (square or np.nan)
    return slope.transpose("metric", "map", "level", ...)


_STATISTICS = {
    "r_control": Statistic(lambda scores: scores["r_control"], "score"),
    "r": Statistic(lambda scores: scores["r"], "score"),
    "drop": Statistic(_drop, "difference"),
    "slope": Statistic(_slope, "difference"),
}
_LONG_NAMES = {
    "r_control": "score on undistorted stimuli",
    "r": "score on distorted stimuli",
    "drop": "share of the score that is lost",
    "slope": "drop of the last layer less that of the first",
    "silent": "number of target units that are constant at a level",
    "r_chance": "score of a control in place of the source",
    "r_chance_control": "score of a control on undistorted stimuli",
    "accuracy": "share of stimuli that a network classifies correctly",
    "accuracy_control": "the same, of undistorted stimuli",
    "accuracy_drop": "share of the accuracy that is lost",
    "map": "map fitted on undistorted stimuli (transferred) or distorted ones (refitted)",
    "level": "level of distortion",
    "depth": "proportional depth of the layer, from 0 (first) to 1 (last)",
}
