"""When alignment emerges: checkpoints of two or more trainings, step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from numbers import Real
from typing import Any, NamedTuple, Unpack

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
from ..statistics.aggregation import over_units
from .conditions import (
    ExperimentSettings,
    Levels,
    accuracy_table,
    common_steps,
    depths,
    same_stimuli,
    settle_experiment,
)
from .summaries import Arrays, Statistic, aggregates, on_grid, with_intervals

__all__ = ["AGAINST", "Runs", "share_of_final", "trajectory"]

Runs = Mapping[str, Levels]
AGAINST = ("same step", "final")


def trajectory(
    runs: Runs,
    metrics: Any = None,
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    early: float = 1.0,
    controls: Mapping[str, Runs] | None = None,
    accuracy: Mapping[str, Mapping[float, float]] | None = None,
    level: float = 0.95,
    **settings: Unpack[ExperimentSettings],
) -> xr.Dataset:
    """Score checkpoints of one training against those of another, and against its end.

    The layer at each place in one network is scored against that at the same place in the other:
    `same step`, as both are after the same time, and `final`, as the other is at the end.

    Parameters
    ----------
    runs : dict of dict of dict of Assembly
        By training, by step, and by layer, from first to last: what `extract` gives for each of the
        `checkpoints`. Steps are numbers (epochs); the first is the initialisation, the last the
        end. All runs have the same steps, and as many layers.
    metrics : str, metric, or a list or dict of them, optional
        As for `score`; all three by default.
    pairs : sequence of (str, str), optional
        Which run is mapped on which; by default every two of them, in the order of `runs`.
    early : float
        Step at which the share of the final alignment is computed: the end of the first epoch.
    controls : dict, optional
        By name, what is scored in place of the runs that are mapped, to see what chance would give:
        `shuffled` or `rotated` of the runs. (The first step shows what untrained networks give.)
    accuracy : dict of dict of float, optional
        By network (run) and step, the share of stimuli that it classifies correctly (`accuracy`).
    level : float
        Confidence level of the intervals.
    **settings
        ``folds``, ``bootstrap``, ``device``, ``study``, ``progress``, or ``protocol``
        and ``compute``: as for `score`. The bootstrap is over stimuli; each of its ``refits`` fits
        all maps again.

    Returns
    -------
    xarray.Dataset
        ``r`` (pair, metric, against, step, layer), mean over folds, then median over units;
        ``ceiling`` (run, metric, step, layer), of each run that is predicted: the score with its
        own copy; ``share`` (pair, metric, against, layer) = (r early - r first) / (r last - r
        first), NaN where r did not grow, and ``share_overall`` (pair, metric, against), the same
        for the mean over layers. With a bootstrap, ``*_low`` and ``*_high`` of r and of shares.
        With `controls`, ``r_chance`` (chance, pair, metric, against, step, layer). With `accuracy`,
        ``accuracy`` (network, step) and ``accuracy_share`` (network). Along ``layer`` stands
        ``depth`` (0 the first, 1 the last), along ``pair`` ``source_run`` and ``target_run``.

    Raises
    ------
    InputError
        Where runs differ in steps or numbers of layers, ``early`` is no step, or a stimulus is
        missing somewhere.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """
    controls, protocol, compute = settle_experiment(
        metrics, controls, settings, without=("min_reliability", "shuffle")
    )
    steps = _check_runs(runs, early)
    pairs = list(combinations(runs, 2)) if pairs is None else [(a, b) for a, b in pairs]
    _check_pairs(pairs, runs)
    correct = accuracy_table(accuracy, "step", steps) if accuracy else None
    for name, substitute in controls.items():
        _check_control(name, substitute, runs, {source for source, _ in pairs})
    used = dict.fromkeys(run for pair in pairs for run in pair)
    given = {("", run): runs[run] for run in used}
    given |= {
        (name, source): substitute[source]
        for name, substitute in controls.items()
        for source in dict.fromkeys(source for source, _ in pairs)
    }
    sides = dict(zip(given, same_stimuli(*given.values()), strict=True))
    populations = _populations(sides)
    design = design_of(protocol, [next(iter(populations.values()))])
    hashes = {place: assembly.fingerprint() for place, assembly in populations.items()}
    work = _Work(populations, hashes, steps, pairs, protocol, design)
    found = score_pairs(
        work.sources(),
        work.targets,
        {"": design, "control": design.alone()},
        protocol,
        compute,
        pairs=work.pairs(),
    )
    layers = list(next(iter(runs[pairs[0][0]].values())))
    result = _labelled(found, work, layers, list(controls), early, level)
    if correct is not None:
        result["accuracy"] = correct
        result["accuracy_share"] = share_of_final(result["accuracy"], early)
    return with_long_names(result, _LONG_NAMES).assign_attrs(
        n_stimuli=len(next(iter(populations.values())).stimuli),
        early=float(early),
        **provenance(
            "trajectory",
            {"runs": hashes},
            protocol=protocol,
            compute=compute,
            settings={"early": early, "level": level},
            runs=populations,
        ),
    )


def share_of_final(curve: xr.DataArray, early: float) -> xr.DataArray:
    """How much of what a curve gains over all steps it has gained at one of them.

    Parameters
    ----------
    curve : xarray.DataArray
        With the dim ``step``.
    early : float
        One of the steps.

    Returns
    -------
    xarray.DataArray
        Without ``step``; NaN where nothing is gained.
    """
    first, last = (curve.isel(step=place, drop=True) for place in (0, -1))
    gained = last - first
    return (curve.sel(step=early, drop=True) - first) / gained.where(gained > 0)


class _Place(NamedTuple):
    """Where a population stands: of a run or its control, at a step, the k-th layer."""

    control: str
    run: str
    step: float
    layer: int


def _populations(sides: Mapping[tuple[str, str], Levels]) -> dict[_Place, Assembly]:
    """All populations by place."""
    return {
        _Place(control, run, step, k): assembly
        for (control, run), of_step in sides.items()
        for step, layers in of_step.items()
        for k, assembly in enumerate(layers.values())
    }


class _Work:
    """What is scored against what."""

    def __init__(
        self,
        populations: Mapping[_Place, Assembly],
        hashes: Mapping[_Place, str],
        steps: Sequence[float],
        runs: Sequence[tuple[str, str]],
        protocol: Protocol,
        design: Design,
    ) -> None:
        self.steps, self.runs, self.protocol, self.design = steps, runs, protocol, design
        self._populations, self._hashes = populations, hashes
        aims = {target for _, target in runs}
        self.targets: dict[_Place, Target] = {
            place: target_of(
                _name(place), assembly, hashes[place], protocol, design, may_be_silent=True
            )
            for place, assembly in populations.items()
            if not place.control and place.run in aims
        }

    def sources(self) -> dict[_Place, Source]:
        """Populations that are mapped."""
        return {
            place: Source(_name(place), (assembly,), self._hashes[place])
            for place, assembly in self._populations.items()
        }

    def pairs(self) -> list[Pair]:
        """Layer by layer and step by step, so that populations which are used together stay so."""
        controls = dict.fromkeys(place.control for place in self._populations)
        layers = dict.fromkeys(place.layer for place in self._populations)
        found: dict[Pair, None] = {}
        for layer, step, control in product(layers, self.steps, controls):
            for source, target in self.runs:
                for until in (step, self.steps[-1]):
                    one = _Place(control, source, step, layer)
                    other = _Place("", target, until, layer)
                    found[Pair(one, other, "control" if control else "")] = None
        return list(found)


def _name(place: _Place) -> str:
    return f"{place.run}, step {place.step:g}, layer {place.layer}"


def _labelled(
    found: PairResults,
    work: _Work,
    layers: Sequence[str],
    controls: Sequence[str],
    early: float,
    level: float,
) -> xr.Dataset:
    """Scores, what follows from them, and ceilings, with labels."""
    metrics, last = list(work.protocol.metrics), work.steps[-1]
    places = range(len(layers))

    def aggregate(
        control: str, pair: tuple[str, str], metric: str, against: str, step: float, k: int
    ) -> Mapping[tuple[str, ...], Any]:
        target = _Place("", pair[1], step if against == "same step" else last, k)
        source = _Place(control, pair[0], step, k)
        key = Key(metric, source, target, "control" if control else "")
        return aggregates(found.pairs[key], work.targets[target].included)

    grid: dict[str, Sequence[Any]] = {
        "pair": work.runs,
        "metric": metrics,
        "against": AGAINST,
        "step": work.steps,
        "layer": places,
    }
    coords = _coords(work, layers)
    draws = on_grid(lambda *labels: aggregate("", *labels), grid)
    scores = {
        factors: {"r": array.assign_coords({k: coords[k] for k in grid})}
        for factors, array in draws.items()
    }
    variables: dict[str, Any] = dict(
        with_intervals(
            scores,
            _statistics(early),
            work.design.n_drawn,
            work.design.n_folds,
            level,
        )
    )
    if controls:
        variables["r_chance"] = on_grid(aggregate, {"chance": controls} | grid)[()]
        coords["chance"] = controls
    targets = list(dict.fromkeys(target for _, target in work.runs))
    if work.protocol.ceiling is not None:
        variables["ceiling"] = _ceilings(found, work, targets, places)
        coords["run"] = targets
    return xr.Dataset(variables, coords=coords)


def _coords(work: _Work, layers: Sequence[str]) -> dict[str, Any]:
    """Labels of a trajectory."""
    return {
        "pair": [f"{source} > {target}" for source, target in work.runs],
        "source_run": ("pair", [source for source, _ in work.runs]),
        "target_run": ("pair", [target for _, target in work.runs]),
        "metric": list(work.protocol.metrics),
        "against": list(AGAINST),
        "step": list(work.steps),
        "layer": list(layers),
        "depth": ("layer", depths(len(layers))),
    }


def _ceilings(
    found: PairResults, work: _Work, targets: Sequence[str], places: Sequence[int]
) -> xr.DataArray:
    """Ceiling of each run that is predicted, aggregated over units."""
    metrics = list(work.protocol.metrics)

    def of(run: str, metric: str, step: float, k: int) -> Mapping[tuple[str, ...], Any]:
        place = _Place("", run, step, k)
        r = found.ceilings[place].r[metrics.index(metric)]
        return {(): over_units(r[None, work.targets[place].included])[0]}

    return on_grid(of, {"run": targets, "metric": metrics, "step": work.steps, "layer": places})[()]


def _statistics(early: float) -> dict[str, Statistic]:
    """Scores, and the share of their growth that is reached early."""

    def share(scores: Arrays) -> xr.DataArray:
        return share_of_final(scores["r"], early)

    def share_overall(scores: Arrays) -> xr.DataArray:
        return share_of_final(scores["r"].mean("layer"), early)

    return {
        "r": Statistic(lambda scores: scores["r"], "score"),
        "share": Statistic(share, "difference"),
        "share_overall": Statistic(share_overall, "difference"),
    }


_LONG_NAMES = {
    "share": "share of the growth of r that is reached at the early step",
    "share_overall": "the same share, for the mean over layers",
    "r_chance": "score of a control in place of the source",
    "accuracy": "share of stimuli that a network classifies correctly",
    "accuracy_share": "share of the growth of accuracy that is reached at the early step",
    "step": "step of the training (epochs)",
    "depth": "proportional depth of the layer, from 0 (first) to 1 (last)",
}


def _check_runs(runs: Runs, early: float) -> list[float]:
    """The steps that all runs have."""
    if not isinstance(runs, Mapping) or not runs:
        raise InputError("there are no runs: give a dict, by run, step and layer.")
    for run, of_step in runs.items():
        nested = bool(of_step) and isinstance(of_step, Mapping)
        nested = nested and all(
            isinstance(step, Real) and isinstance(layers, Mapping)
            for step, layers in of_step.items()
        )
        if not nested:
            raise InputError(
                f"run {run!r} is not layers by step: give a dict by run, then by step (a number), "
                "then by layer, such as {'seed 0': {0.0: layers, 1.0: layers}}."
            )
    every = common_steps(runs)
    if len(every) < 2 or early not in every:
        raise InputError(
            f"early={early:g} is none of the steps {', '.join(f'{step:g}' for step in every)}: "
            "give the one at which the first epoch ends, and two steps or more."
        )
    counts = {run: {len(layers) for layers in of_step.values()} for run, of_step in runs.items()}
    if len(set().union(*counts.values())) > 1:
        raise InputError(
            f"runs have different numbers of layers ({counts}): the layers at each place are "
            "compared, so choose as many of all."
        )
    return every


def _check_pairs(pairs: Sequence[tuple[str, str]], runs: Runs) -> None:
    strange = [run for pair in pairs for run in pair if run not in runs]
    if strange or not pairs:
        raise InputError(
            f"pairs {list(pairs)} name {examples(strange) if strange else 'no run'}: give pairs of "
            f"the runs {examples(list(runs))}; two runs or more are needed where none are given."
        )


def _check_control(name: str, substitute: Runs, runs: Runs, sources: set[str]) -> None:
    for source in sources:
        layers = {step: len(of_step) for step, of_step in runs[source].items()}
        found = {step: len(of_step) for step, of_step in substitute.get(source, {}).items()}
        if found != layers:
            raise InputError(
                f"control {name!r} has other steps or layers of {source!r} than the runs ({found} "
                f"layers by step, not {layers}): it stands in their place, so it needs the same."
            )
