"""The experiment `shift`: how alignment changes when stimuli are distorted."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, Unpack

import numpy as np
import xarray as xr

from ..base.arguments import as_share, check_keys, check_type
from ..base.arrays import is_silent_range
from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..protocol.design import Design
from ..protocol.settings import Protocol
from ..scoring.engine import score_pairs
from ..scoring.inputs import Source, design_of, group_labels
from ..scoring.order import warn_of_order
from ..scoring.pair_scores import Key, Pair, PairResults
from ..scoring.provenance import provenance
from ..scoring.results import with_long_names
from ..scoring.targets import Target, target_of
from ..statistics.inference import Factors
from .conditions import (
    ExperimentSettings,
    Levels,
    accuracy_table,
    depths,
    same_stimuli,
    settle_experiment,
)
from .summaries import (
    Arrays,
    Share,
    Statistic,
    aggregates,
    drawn_from,
    on_grid,
    plain_share,
    with_intervals,
)

__all__ = ["shift"]

_MAPS = ("transferred", "refitted")


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
    """Score layers of two networks on distorted stimuli, with transferred and with refitted maps.

    Each layer of one network is scored against the layer at the same position in the other
    network, in two ways:

    - `transferred`: the map is fitted on the undistorted training stimuli, and scored on the
      distorted test stimuli;
    - `refitted`: the map is fitted on the distorted training stimuli as well.

    Stimuli and folds are the same at all levels of distortion, so all differences are paired.

    Parameters
    ----------
    source, target : dict of dict of Assembly
        Layers by level of distortion and by name. The first level is the control: undistorted
        stimuli. Layers are in order, from first to last. This is what `extract` returns for each
        level of `distort`, or for each folder of images with the same names.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; by default, all three.
    controls : dict of dict of dict of Assembly, optional
        Layers that are scored in place of the source, by name of the control, to see what chance
        gives: `shuffled` or `rotated` of the source, or the same layers of an untrained network.
    accuracy : dict of dict of float, optional
        Share of stimuli that are classified correctly, by network and level (see `accuracy`).
    level : float
        Confidence level of the intervals, between 0 and 1.
    **settings
        As for `score`: ``folds``, ``bootstrap``, ``device``, ``study``, ``progress``; or
        ``protocol`` and ``compute``. The bootstrap draws only stimuli. Maps are fitted again in
        each of its ``refits``.

    Returns
    -------
    xarray.Dataset
        Results, with these variables:

        - ``r_control`` (metric, layer), ``r`` (metric, map, level, layer): score on undistorted
          and on distorted stimuli, mean over folds, then median over the units that have a score;
        - ``drop`` (metric, map, level, layer): 1 - r / r_control. NaN, with a warning, where
          r_control is not significantly above 0, or, without a bootstrap, not above 0;
        - ``slope`` (metric, map, level): how much larger the drop of the last layer is than that of
          the first, from a line that is fitted to drop as a function of depth. NaN if there is one
          layer, or if the drop of a layer is NaN;
        - ``silent`` (level, layer): number of target units that are constant at a level, and so
          have no score. If there are many, r and r_control are medians over different units.

        With a bootstrap, ends of confidence intervals, ``NAME_low`` and ``NAME_high``, of all
        variables but ``silent`` (of ``drop`` by Fieller's method). With `controls`,
        ``r_chance_control`` (chance, metric, layer) and ``r_chance`` (chance, metric, map, level,
        layer), where ``chance`` is the name of the control. With `accuracy`, ``accuracy_control``
        (network), ``accuracy`` and ``accuracy_drop`` (network, level). The coordinate ``depth`` of
        layers goes from 0 (first) to 1 (last); ``target_layer`` is the name of the layer in the
        target.

    Raises
    ------
    InputError
        If levels or numbers of layers differ, a stimulus is missing at some level, or nothing can
        be scored.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710; Geirhos et al. 2021, NeurIPS; Fieller
    1954, Journal of the Royal Statistical Society B 16.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(60)]
    >>> shared = [rng.standard_normal((60, 5)) for _ in range(2)]  # what networks have in common
    >>> def layers(noise):
    ...     return {
    ...         f"layer{k}": cv.Assembly.from_array(
    ...             x + (0.5 + noise * k) * rng.standard_normal((60, 5)), stimuli=names
    ...         )
    ...         for k, x in enumerate(shared)
    ...     }
    >>> one, other = ({"original": layers(0), "blurred": layers(1)} for _ in range(2))
    >>> found = cv.shift(one, other, "procrustes", folds=cv.Folds(3))
    >>> found["drop"].sel(map="refitted", level="blurred").values.round(2).tolist()
    [[0.11, 0.88]]
    """
    controls, protocol, compute = settle_experiment(
        metrics, controls, settings, without=("ceiling", "min_reliability", "shuffle")
    )
    protocol, level = replace(protocol, ceiling=None), as_share("level", level)
    partners = _check_sides(source, target)
    _check_controls(controls, source)
    levels = list(source)
    correct = None if accuracy is None else accuracy_table(accuracy, "level", levels)
    names = ["", *controls, "target"]
    given = map(_same_units, same_stimuli(source, *controls.values(), target, distorted=True))
    work = _Work(dict(zip(names, given, strict=True)), levels, partners, protocol)
    work.warn_of_order()
    found = score_pairs(
        work.sources(), work.targets, work.designs(), protocol, compute, pairs=work.pairs()
    )
    result = _labelled(found, work, level).assign(silent=work.silent())
    if correct is not None:
        result = result.assign(_losses(correct))
    return with_long_names(result, _LONG_NAMES).assign_attrs(
        n_stimuli=len(work.first.stimuli),
        control=str(levels[0]),
        **provenance(
            "shift",
            {"inputs": work.hashes},
            protocol=protocol,
            compute=compute,
            settings={"level": level},
            inputs={key: work.sides[key[0]][key[1]][key[2]] for key in work.hashes},
        ),
    )


class _Layer(NamedTuple):
    """A layer of the source (or of a control) on undistorted stimuli and at one level."""

    control: str  # '' for the source itself
    layer: str
    level: Hashable


@dataclass(frozen=True, eq=False)
class _Work:
    """What is scored against what.

    The responses of a layer at a level of distortion stand below those to the undistorted stimuli,
    in one population; the folds of a design say which of the two are training and test stimuli.

    Attributes
    ----------
    sides : dict
        Layers by level and name, for the source (''), each control, and the target ('target').
    levels : list
        Levels of distortion; the first is undistorted.
    partners : dict of str
        Layer of the target for each layer of the source.
    protocol : Protocol
        Settings that decide the numbers.
    """

    sides: Mapping[str, Mapping[Any, Mapping[str, Assembly]]]
    levels: Sequence[Hashable]
    partners: Mapping[str, str]
    protocol: Protocol

    @property
    def first(self) -> Assembly:
        """First layer of the source on undistorted stimuli."""
        return self.sides[""][self.levels[0]][next(iter(self.partners))]

    @cached_property
    def hashes(self) -> dict[tuple[str, Hashable, str], str]:
        """SHA-256 of each layer, by side, level and name."""
        return {
            (side, one, layer): assembly.fingerprint()
            for side, of_level in self.sides.items()
            for one, of_layer in of_level.items()
            for layer, assembly in of_layer.items()
        }

    @cached_property
    def design(self) -> Design:
        """Folds and resamples of the undistorted stimuli."""
        return design_of(self.protocol, [self.first])

    @cached_property
    def targets(self) -> dict[_Layer, Target]:
        """Layers that are predicted."""
        return {
            key: target_of(
                _name(key),
                *self._stack(key, "target"),
                self.protocol,
                self.design,
                may_be_silent=True,
            )
            for key in self._keys("")
        }

    def sources(self) -> dict[_Layer, Source]:
        """Layers that are mapped."""
        found = {}
        for control in self.controls:
            for key in self._keys(control):
                assemblies, sha256 = self._stack(key, control)
                found[key] = Source(_name(key), tuple(assemblies), sha256)
        return found

    def designs(self) -> dict[str, Design]:
        """Folds of the undistorted stimuli, and of both kinds of map of distorted stimuli."""
        n, resamples = len(self.first.stimuli), self.design.resamples
        if resamples.counts is not None:
            # a distorted stimulus is drawn together with the undistorted one
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
        """Pairs layer by layer, so that those that use the same layers follow each other."""
        found = []
        for layer, level in product(self.partners, self.levels):
            names = _MAPS if level != self.levels[0] else ("undistorted",)
            for control, name in product(self.controls, names):
                key = _Layer(control, layer, level)
                found.append(Pair(key, key._replace(control=""), _design_name(name, control)))
        return found

    def warn_of_order(self) -> None:
        """Warn if responses to undistorted stimuli change slowly along the stimuli."""
        source, target = (self.sides[side][self.levels[0]] for side in ("", "target"))
        groups = group_labels(self.protocol.folds.group, [self.first])
        warn_of_order(source, target, self.protocol, groups)

    @property
    def controls(self) -> list[str]:
        """The source itself (''), and the controls."""
        return [side for side in self.sides if side != "target"]

    def silent(self) -> xr.DataArray:
        """Number of constant target units at each level of distortion."""
        counts = [
            [_silent(self.sides["target"][one][partner]) for partner in self.partners.values()]
            for one in self.levels[1:]
        ]
        return xr.DataArray(np.array(counts, dtype=np.intp), dims=("level", "layer"))

    def aggregate(
        self,
        found: PairResults,
        control: str,
        metric: str,
        name: str,
        level: Hashable,
        layer: str,
    ) -> Mapping[Factors, Any]:
        """Aggregate over units of one score, with its resamples."""
        source, target = _Layer(control, layer, level), _Layer("", layer, level)
        scores = found.pairs[Key(metric, source, target, _design_name(name, control))]
        return aggregates(scores, self.targets[target].included)

    def _keys(self, control: str) -> list[_Layer]:
        return [
            _Layer(control, layer, level) for layer, level in product(self.partners, self.levels)
        ]

    def _stack(self, key: _Layer, side: str) -> tuple[list[Assembly], str]:
        """Responses at the first level and at another one, and their hash."""
        layer = self.partners[key.layer] if side == "target" else key.layer
        levels = dict.fromkeys((self.levels[0], key.level))
        assemblies = [self.sides[side][one][layer] for one in levels]
        return assemblies, " ".join(self.hashes[side, one, layer] for one in levels)


def _name(key: _Layer) -> str:
    return f"{key.layer}, level {key.level}"


def _design_name(name: str, control: str) -> str:
    """Name of a design; controls are scored without resamples."""
    return f"{name}, control" if control else name


def _check_controls(controls: Mapping[str, Levels], source: Levels) -> None:
    """Make sure that controls have the levels and layers of the source."""
    wanted = {one: list(of_level) for one, of_level in source.items()}
    for name, substitute in controls.items():
        _check_nested(f"control {name!r}", substitute)
        has = {one: list(of_level) for one, of_level in substitute.items()}
        if has != wanted:
            raise InputError(
                f"control {name!r} has other levels or layers than the source ({has}): a control "
                f"is scored in place of the source, so give levels {list(wanted)} with layers "
                f"{next(iter(wanted.values()))}."
            )


def _check_nested(side: str, given: object) -> None:
    """Make sure that layers are given by level."""
    remedy = "a dict of what `extract` returns, by level, the control first"
    check_type(Mapping, remedy, **{side: given})
    for level, layers in given.items():  # type: ignore[attr-defined]
        check_keys(f"{side} at {level!r}", layers, remedy)


def _check_sides(source: Levels, target: Levels) -> dict[str, str]:
    """Make sure that both sides have the same levels, and pair their layers by position."""
    names: list[list[str]] = []
    for side, given in (("source", source), ("target", target)):
        _check_nested(side, given)
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
            f"source has {len(names[0])} layers and target {len(names[1])}: layers at the same "
            "position are compared, so choose equally many of both."
        )
    return dict(zip(*names, strict=True))


def _same_units(side: Levels) -> dict[Any, dict[str, Assembly]]:
    """Put the units of each layer in the order of the control; all levels must have the same."""
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
    """Number of units that are constant."""
    data = assembly.data
    least, most = (bound.values for bound in (data.min("stimulus"), data.max("stimulus")))
    return int(is_silent_range(least, most, data.dtype).sum())


def _labelled(found: PairResults, work: _Work, level: float) -> xr.Dataset:
    """Scores, and statistics of them with intervals, with labels."""

    def distorted(*labels: Any) -> Mapping[Factors, Any]:
        return work.aggregate(found, *labels)

    def undistorted(control: str, metric: str, layer: str) -> Mapping[Factors, Any]:
        return work.aggregate(found, control, metric, "undistorted", work.levels[0], layer)

    coords = _coords(work)
    alone: dict[str, Sequence[Any]] = {
        "metric": list(work.protocol.metrics),
        "layer": list(work.partners),
    }
    grid: dict[str, Sequence[Any]] = {
        "metric": alone["metric"],
        "map": _MAPS,
        "level": work.levels[1:],
        "layer": alone["layer"],
    }
    of_control = on_grid(lambda *labels: undistorted("", *labels), alone)
    of_levels = on_grid(lambda *labels: distorted("", *labels), grid)
    scores: dict[Factors, Arrays] = {
        factors: {"r_control": array, "r": of_levels[factors]}
        for factors, array in of_control.items()
    }
    settings = drawn_from(work.design, work.targets), work.design.n_folds, level
    variables: dict[str, Any] = dict(with_intervals(scores, _STATISTICS, *settings))
    depth = xr.DataArray(coords["depth"][1], dims="layer")
    drops: dict[Factors, Arrays] = {
        factors: {"drop": _drop_near(several, scores[()], variables["drop"]), "depth": depth}
        for factors, several in scores.items()
    }
    variables |= with_intervals(drops, _OF_DROPS, *settings)
    controls = work.controls[1:]
    if controls:
        variables["r_chance"] = on_grid(distorted, {"chance": controls} | grid)[()]
        variables["r_chance_control"] = on_grid(undistorted, {"chance": controls} | alone)[()]
        coords["chance"] = controls
    return xr.Dataset(variables, coords=coords)


def _coords(work: _Work) -> dict[str, Any]:
    """Labels of a result."""
    return {
        "metric": list(work.protocol.metrics),
        "map": list(_MAPS),
        "level": [str(one) for one in work.levels[1:]],
        "layer": list(work.partners),
        "depth": ("layer", depths(len(work.partners))),
        "target_layer": ("layer", list(work.partners.values())),
    }


def _losses(correct: xr.DataArray) -> dict[str, xr.DataArray]:
    """Accuracy on undistorted and on distorted stimuli, and the share that is lost."""
    control, others = correct.isel(level=0), correct.isel(level=slice(1, None))
    lost = plain_share(control - others, control)
    return {
        "accuracy_control": control,
        "accuracy": others,
        "accuracy_drop": lost.transpose("network", "level"),
    }


def _lost(scores: Arrays) -> xr.DataArray:
    """Score on undistorted stimuli minus that on distorted ones."""
    lost = scores["r_control"] - scores["r"]
    return lost.transpose("metric", "map", "level", "layer", ...)


def _drop_near(scores: Arrays, found: Arrays, drop: xr.DataArray) -> xr.DataArray:
    """Drop as a linear function of scores near those that were found, so that its error is finite.

    Equal to the drop for the scores that were found; NaN where that is.
    """
    apart = _lost(scores) - drop * scores["r_control"]
    return drop + apart / found["r_control"]


def _slope(scores: Arrays) -> xr.DataArray:
    """Drop of the last layer minus that of the first, from a line fitted over depth."""
    centred = scores["depth"] - scores["depth"].mean()
    square = float((centred**2).sum())
    slope = (scores["drop"] * centred).sum("layer", skipna=False) / (square or np.nan)
    return slope.transpose("metric", "map", "level", ...)


_STATISTICS: dict[str, Statistic | Share] = {
    "r_control": Statistic(lambda scores: scores["r_control"], "score"),
    "r": Statistic(lambda scores: scores["r"], "score"),
    "drop": Share(_lost, lambda scores: scores["r_control"], "score on undistorted stimuli"),
}
_OF_DROPS = {"slope": Statistic(_slope, "difference")}
_LONG_NAMES = {
    "r_control": "score on undistorted stimuli",
    "r": "score on distorted stimuli",
    "drop": "share of the score that is lost",
    "slope": "drop of the last layer minus that of the first",
    "silent": "number of target units that are constant at a level",
    "r_chance": "score of a control in place of the source",
    "r_chance_control": "score of a control on undistorted stimuli",
    "accuracy": "share of stimuli that a network classifies correctly",
    "accuracy_control": "share of undistorted stimuli that a network classifies correctly",
    "accuracy_drop": "share of the accuracy that is lost",
    "map": "map fitted on undistorted stimuli (transferred) or distorted ones (refitted)",
    "level": "level of distortion",
    "depth": "proportional depth of the layer, from 0 (first) to 1 (last)",
}
