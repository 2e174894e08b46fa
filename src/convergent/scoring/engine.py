"""Every source against every target: each population is factored once and shared by its partners.

The work is cut in tasks: a source against a tile of targets, whose geometry in all folds is held
while the sources pass. Tasks run here one after the other, or on the workers of a dask cluster
where a client is active. What is finished is kept in a study, and not done again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
from numpy.typing import NDArray

from ..base.hashing import code_of, parameters
from ..base.progress import track
from ..base.study import Study
from ..data.assembly import Assembly
from ..metrics.base import Metric
from ..metrics.population import Population, PopulationFold
from ..protocol.resampling import Resamples
from .pair_scores import PairScores, RunningPairScores
from .tasks import TILE_TARGETS, Aim, Finished, Key, Sweep, Task, fit_rounds, tiles_of
from .workers import TASKS_OF_WORKER, active_client, on_workers

__all__ = ["Pairs", "Shown", "Splits", "run", "show"]


def run(
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    study: Study | None,
    fingerprints: Mapping[str, str],
    progress: bool | None,
) -> dict[Key, PairScores]:
    """Cells of every metric, source and target.

    Parameters
    ----------
    sweep : Sweep
        What is to be done.
    sources : dict of Assembly
        Over the same stimuli, in the same order.
    aims : dict of Aim
        The targets.
    study : Study or None
        Where finished cells are kept, and found.
    fingerprints : dict of str
        SHA-256 of each source; read only with a study.
    progress : bool or None
        Draw a progress bar; only in a terminal where None.
    """
    cells: dict[Key, PairScores] = {}

    def recipe(key: Key) -> dict[str, Any]:
        return sweep.recipe(key[0], fingerprints[key[1]], aims[key[2]])

    client = active_client()
    most = TILE_TARGETS
    if client is not None:
        wanted = TASKS_OF_WORKER * max(len(client.nthreads()), 1)
        most = max(1, min(most, len(sources) * len(aims) // wanted))
    tiles = tiles_of(sweep, aims, most)
    tasks: dict[tuple[int, str], Task] = {}
    for number, tile in enumerate(tiles):
        for source in sources:
            for target in tile:
                for metric in sweep.metrics:
                    key = (metric, source, target)
                    known = study and study.recall(recipe(key))
                    if known:
                        cells[key] = PairScores.from_arrays(known)
                    else:
                        task = tasks.setdefault((number, source), Task(source, number))
                        task.missing[target].append(metric)
    rounds = (
        _here(sweep, sources, aims, tasks.values())
        if client is None
        else on_workers(client, sweep, sources, aims, tiles, tasks.values())
    )
    for finished in track(rounds, "scoring", len(tasks) * sweep.steps, progress):
        for key, cell in finished.items():
            if study:
                study.keep(recipe(key), cell.arrays())
            cells[key] = cell
    # in the order of the input, whatever the order of the work
    return {
        (metric, source, target): cells[metric, source, target]
        for source in sources
        for metric in sweep.metrics
        for target in aims
    }


def _here(
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    tasks: Collection[Task],
) -> Iterator[Finished]:
    """Do the tasks one after the other; pauses after each round of fits."""
    number = -1
    views: dict[str, list[PopulationFold]] = {}
    last = {task.tile: task for task in tasks}
    for task in tasks:
        if task.tile != number:
            number = task.tile
            views.clear()
        for target in task.missing:
            if target not in views:
                views[target] = sweep.views(aims[target])
        is_last = task is last[number]
        yield from fit_rounds(sweep, task, sources[task.source], aims, views, is_last)


Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True, eq=False)
class Shown:
    """A population under the folds; what is derived from it is computed once, when it is needed.

    Attributes
    ----------
    prints : list of str
        SHA-256 of the assemblies that it consists of; empty where nothing is kept.
    views : list of PopulationFold
        One a fold.
    """

    prints: Sequence[str]
    views: Sequence[PopulationFold]


def show(population: Population, splits: Splits, prints: Sequence[str] = ()) -> Shown:
    """A population under folds.

    Parameters
    ----------
    population : Population
        Responses.
    splits : list of (train, test)
        Positions of the stimuli of each fold.
    prints : list of str
        SHA-256 of what the population consists of.
    """
    return Shown(prints, [population.fold(*split) for split in splits])


class Pairs:
    """Fits of all folds of single pairs, or what a study keeps of them.

    Parameters
    ----------
    sweep : Sweep
        Metrics, folds, resamples and device.
    study : Study or None
        Where finished cells are kept, and found.
    kind : str
        Name of the experiment, for the study.
    """

    def __init__(self, sweep: Sweep, study: Study | None, kind: str) -> None:
        self._sweep, self._study, self._kind = sweep, study, kind

    def fingerprint(self, assembly: Assembly) -> str:
        """SHA-256 of an assembly, where a study needs it; else ''."""
        return assembly.fingerprint() if self._study else ""

    def population(self, assemblies: Sequence[Assembly]) -> Population:
        """Assemblies of the same units, one below the other."""
        arrays = [assembly.data.data for assembly in assemblies]
        if len(arrays) == 1:
            return Population(arrays[0], self._sweep.device)
        on_disk = any(hasattr(values, "compute") for values in arrays)
        stacked = (dask.array.concatenate if on_disk else np.concatenate)(arrays)
        return Population(stacked, self._sweep.device)

    def cells(
        self, source: Shown, target: Shown, way: str = "", resamples: Resamples | None = None
    ) -> dict[str, PairScores]:
        """Scores of a pair, by metric.

        Parameters
        ----------
        source, target : Shown
            Under the same folds.
        way : str
            What sets these folds apart from others of the experiment.
        resamples : Resamples, optional
            In place of the sweep's, where stimuli stand in several places.
        """
        resamples = self._sweep.resamples if resamples is None else resamples
        found: dict[str, PairScores] = {}
        missing: dict[str, dict[str, Any]] = {}
        for name, metric in self._sweep.metrics.items():
            recipe = self._recipe(way, metric, source, target) if self._study else {}
            known = self._study and self._study.recall(recipe)
            if known:
                found[name] = PairScores.from_arrays(known)
            else:
                missing[name] = recipe
        everything = np.arange(target.views[0].population.n_units)
        running = {name: RunningPairScores(everything, resamples) for name in missing}
        for x, y in zip(source.views, target.views, strict=True):
            for name, cell in running.items():
                cell.add(self._sweep.metrics[name].fit(x, y), (x.train, x.test))
        for name, cell in running.items():
            found[name] = cell.done()
            if self._study:
                self._study.keep(missing[name], found[name].arrays())
        return {name: found[name] for name in self._sweep.metrics}

    def _recipe(self, way: str, metric: Metric, source: Shown, target: Shown) -> dict[str, Any]:
        return self._sweep.drawn | {
            "kind": self._kind,
            "way": way,
            "metric": code_of(type(metric)) | parameters(metric),
            "source": list(source.prints),
            "target": list(target.prints),
        }
