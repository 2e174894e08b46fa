"""When alignment emerges: checkpoints of two or more trainings, step by step."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import combinations, product
from numbers import Real
from typing import Any

import numpy as np
import xarray as xr

from ..base.arrays import Floats
from ..base.errors import InputError, examples
from ..base.progress import track
from ..base.study import Study, as_study
from ..metrics.table import METRICS, named_metrics
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, draw_resamples
from ..scoring.engine import Pairs, Shown, show
from ..scoring.inputs import check_grids, group_labels
from ..scoring.tasks import Sweep
from .conditions import Levels, accuracy_table, check_design, common_steps, depths, same_stimuli
from .summaries import aggregates, summarize

__all__ = ["AGAINST", "Runs", "share_of_final", "trajectory"]

Runs = Mapping[str, Levels]
AGAINST = ("same step", "final")


def trajectory(
    runs: Runs,
    metrics: Any = tuple(METRICS),
    *,
    pairs: Sequence[tuple[str, str]] | None = None,
    early: float = 1.0,
    folds: Folds = Folds(),
    bootstrap: Bootstrap | None = None,
    chance: Mapping[str, Runs] | None = None,
    accuracy: Mapping[str, Mapping[float, float]] | None = None,
    level: float = 0.95,
    device: str = "cpu",
    study: Study | str | os.PathLike[str] | None = None,
    progress: bool | None = None,
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
    metrics, folds, device, study, progress : as for `score`
        The same.
    pairs : sequence of (str, str), optional
        Which run is mapped on which; every two of them, in the order of `runs`, where left out.
    early : float
        The step at which the share of the final alignment is found: the end of the first epoch.
    bootstrap : Bootstrap, optional
        Over stimuli, for intervals. As many ``refits`` fit all maps anew, which takes as many times
        longer.
    chance : dict, optional
        By name, what is scored in place of the runs that are mapped, to see what chance would give:
        `shuffled` or `rotated` of the runs. (The first step shows what untrained networks give.)
    accuracy : dict of dict of float, optional
        By network (run) and step, the share of stimuli that it classifies correctly (`accuracy`).
    level : float
        Of the confidence intervals.

    Returns
    -------
    xarray.Dataset
        ``r`` (pair, metric, against, step, layer), mean over folds, then median over units;
        ``ceiling`` (run, metric, step, layer), of each run that is predicted: the score with its
        own copy; ``share`` (pair, metric, against, layer) = (r early - r first) / (r last - r
        first), NaN where r did not grow, and ``share_overall`` (pair, metric, against), the same
        for the mean over layers. With a bootstrap, ``*_low`` and ``*_high`` of r and of shares.
        With `chance`, ``r_chance`` (chance, pair, metric, against, step, layer). With `accuracy`,
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
    chosen = named_metrics(metrics)
    check_design(folds, bootstrap)
    steps = _check_runs(runs, early)
    pairs = list(combinations(runs, 2)) if pairs is None else [(a, b) for a, b in pairs]
    _check_pairs(pairs, runs)
    correct = accuracy_table(accuracy, "step", steps) if accuracy else None
    for name, substitute in (chance or {}).items():
        _check_chance(name, substitute, runs, {source for source, _ in pairs})
    used = dict.fromkeys(run for pair in pairs for run in pair)
    given = {("", run): runs[run] for run in used}
    given |= {
        (name, source): substitute[source]
        for name, substitute in (chance or {}).items()
        for source, _ in pairs
    }
    shown = dict(zip(given, same_stimuli(*given.values()), strict=True))
    first = next(iter(next(iter(next(iter(shown.values())).values())).values()))
    check_grids(chosen, [first])
    n, groups = len(first.stimuli), group_labels(folds.group, [first])
    splits = folds.split(n, groups)
    sweep = Sweep(chosen, splits, draw_resamples(bootstrap, None, splits, groups), device)
    kept_in = as_study(study)
    work = _Work(shown, steps, pairs, sweep, kept_in)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    n_layers = len(next(iter(runs[pairs[0][0]].values())))
    order = [(layer, step) for layer in range(n_layers) for step in steps]
    for layer, step in track(order, "scoring", len(order), progress):
        found |= work.scores(layer, step)
    result = _label(found, runs, steps, pairs, list(chosen), list(chance or ()))
    result = summarize(result, partial(_statistics, early=early), sweep, level)
    if correct is not None:
        result["accuracy"] = correct
        result["accuracy_share"] = share_of_final(result["accuracy"], early)
    return result.assign_attrs(n_stimuli=n, early=float(early))


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


class _Work:
    """Scores of all pairs at one layer and step; the geometry of the ends is held meanwhile."""

    def __init__(
        self,
        shown: Mapping[tuple[str, str], Levels],
        steps: Sequence[float],
        pairs: Sequence[tuple[str, str]],
        sweep: Sweep,
        study: Study | None,
    ) -> None:
        self._shown, self._steps, self._pairs = shown, steps, pairs
        self._resampled = Pairs(sweep, study, "trajectory")
        alone = replace(sweep, resamples=replace(sweep.resamples, bootstrap=None, counts=None))
        self._alone = Pairs(alone, study, "trajectory")
        self._splits = sweep.splits
        self._ends: dict[str, Shown] = {}
        self._layer = -1

    def scores(self, layer: int, step: float) -> dict[tuple[Any, ...], dict[str, Any]]:
        """By (what, pair or run, against, step, layer) and metric."""
        if layer != self._layer:
            self._layer, self._ends = layer, {}
        views = {key: self._view(key, step) for key in self._shown}
        if not self._ends:
            self._ends = {
                target: self._view(("", target), self._steps[-1])
                for target in dict.fromkeys(target for _, target in self._pairs)
            }
        found: dict[tuple[Any, ...], dict[str, Any]] = {}
        for target in self._ends:
            own = views["", target]
            found["ceiling", target, "", step, layer] = self._score(self._alone, own, own)
        for (what, source), view in views.items():
            pairs = self._alone if what else self._resampled
            for pair in self._pairs:
                if pair[0] != source:
                    continue
                same = self._score(pairs, view, views["", pair[1]])
                found[what, pair, "same step", step, layer] = same
                is_last = step == self._steps[-1]
                found[what, pair, "final", step, layer] = (
                    same if is_last else self._score(pairs, view, self._ends[pair[1]])
                )
        return found

    def _view(self, key: tuple[str, str], step: float) -> Shown:
        assembly = list(self._shown[key][step].values())[self._layer]
        pairs = self._alone
        return show(pairs.population([assembly]), self._splits, [pairs.fingerprint(assembly)])

    @staticmethod
    def _score(pairs: Pairs, source: Shown, target: Shown) -> dict[str, Any]:
        return {name: aggregates(cell) for name, cell in pairs.cells(source, target).items()}


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


def _check_chance(name: str, substitute: Runs, runs: Runs, sources: set[str]) -> None:
    for source in sources:
        layers = {step: len(of_step) for step, of_step in runs[source].items()}
        found = {step: len(of_step) for step, of_step in substitute.get(source, {}).items()}
        if found != layers:
            raise InputError(
                f"chance {name!r} has other steps or layers of {source!r} than the runs ({found} "
                f"layers by step, not {layers}): it stands in their place, so it needs the same."
            )


def _label(
    found: Mapping[tuple[Any, ...], Mapping[str, Any]],
    runs: Runs,
    steps: Sequence[float],
    pairs: Sequence[tuple[str, str]],
    metrics: Sequence[str],
    chance: Sequence[str],
) -> xr.Dataset:
    """Aggregates, and these in the resamples, with labels."""
    layers = list(next(iter(runs[pairs[0][0]].values())))
    places = range(len(layers))

    def collect(what: str, name: str) -> Floats:
        each = [
            found[what, pair, way, step, k][metric][name]
            for pair, metric, way, step, k in product(pairs, metrics, AGAINST, steps, places)
        ]
        sizes = map(len, (pairs, metrics, AGAINST, steps, layers))
        return np.reshape(each, (*sizes, *np.shape(each[0])))

    dims = ("pair", "metric", "against", "step", "layer")
    variables: dict[str, Any] = {"r": (dims, collect("", "r"))}
    some = found["", pairs[0], "final", steps[0], 0][metrics[0]]
    for factor in ("stimuli", "refit") if "refit" in some else ():
        variables[f"r@{factor}"] = ((*dims, factor), collect("", factor))
    if chance:
        variables["r_chance"] = (
            ("chance", *dims),
            np.stack([collect(name, "r") for name in chance]),
        )
    targets = list(dict.fromkeys(target for _, target in pairs))
    ceiling = [
        found["ceiling", run, "", step, k][metric]["r"]
        for run, metric, step, k in product(targets, metrics, steps, places)
    ]
    variables["ceiling"] = (
        ("run", "metric", "step", "layer"),
        np.reshape(ceiling, [len(each) for each in (targets, metrics, steps, layers)]),
    )
    return xr.Dataset(
        variables,
        coords={
            "pair": [f"{source} > {target}" for source, target in pairs],
            "source_run": ("pair", [source for source, _ in pairs]),
            "target_run": ("pair", [target for _, target in pairs]),
            "run": targets,
            "metric": list(metrics),
            "against": list(AGAINST),
            "step": list(steps),
            "layer": layers,
            "depth": ("layer", depths(len(layers))),
            **({"chance": list(chance)} if chance else {}),
        },
    )


def _statistics(result: xr.Dataset, draws: str, early: float) -> dict[str, xr.DataArray]:
    """Scores, and which share of their growth is there early."""
    r = result[f"r{draws}"]
    return {
        "r": r,
        "share": share_of_final(r, early),
        "share_overall": share_of_final(r.mean("layer"), early),
    }
