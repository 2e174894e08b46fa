"""The work of a score, cut in tasks: a source against a tile of targets."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..base.hashing import code_of, parameters
from ..data.assembly import Assembly
from ..metrics.base import Metric
from ..metrics.population import Population, PopulationFold
from ..protocol.resampling import Resamples
from .inputs import complete_population
from .pair_scores import PairScores, RunningPairScores

__all__ = [
    "TILE_BYTES",
    "TILE_TARGETS",
    "Aim",
    "Finished",
    "Key",
    "Sweep",
    "Task",
    "Tile",
    "fit_rounds",
    "shuffled_fold",
    "tiles_of",
]

TILE_TARGETS = 8  # what an interruption costs at the most, for one source
TILE_BYTES = 2**30  # of the geometry of targets, held at once
Key = tuple[str, str, str]  # metric, source, target


@dataclass(frozen=True, eq=False)
class Aim:
    """The units of a target that are predicted.

    Attributes
    ----------
    values : array (n, q)
        Mean responses of the units that are scored; numpy or dask.
    scored : int array (q,)
        Which units of the target these are.
    kept : int array (k,)
        Which of these count in the aggregate.
    fingerprint : str
        SHA-256 of the target as it was recorded.
    """

    values: Any
    scored: NDArray[np.intp]
    kept: NDArray[np.intp]
    fingerprint: str


@dataclass(frozen=True, eq=False)
class Sweep:
    """What all tasks have in common.

    Attributes
    ----------
    metrics : dict of metric
        By name.
    splits : list of (train, test)
        Positions of the stimuli of each fold.
    resamples : Resamples
        What is drawn for all.
    device : str
        Where torch computes.
    """

    metrics: Mapping[str, Metric]
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]
    resamples: Resamples
    device: str

    @property
    def steps(self) -> int:
        """How many rounds of fits a task takes."""
        orders = self.resamples.orders
        return len(self.splits) * (1 + (0 if orders is None else len(orders)))

    @cached_property
    def drawn(self) -> dict[str, Any]:
        """What folds and resamples a result rests on, and where it is computed: plain values."""
        digest = hashlib.sha256()
        for train, test in self.splits:
            digest.update(np.concatenate([[len(train)], train, test]).astype("<i8").tobytes())
        for array in (self.resamples.counts, self.resamples.orders):
            digest.update(b"none" if array is None else array.astype("<f8").tobytes())
        bootstrap = self.resamples.bootstrap
        return {
            "drawn": digest.hexdigest(),
            "bootstrap": bootstrap and asdict(bootstrap),
            "device": self.device.split(":")[0],
        }

    def views(self, aim: Aim) -> list[PopulationFold]:
        """A target under each fold, with nothing derived yet."""
        population = Population(aim.values, self.device)
        return [population.fold(*split) for split in self.splits]

    def recipe(self, metric: str, source: str, aim: Aim) -> dict[str, Any]:
        """All that decides on a cell, as plain values; source is the fingerprint of one."""
        return self.drawn | {
            "kind": "cell",
            "metric": code_of(type(self.metrics[metric])) | parameters(self.metrics[metric]),
            "source": source,
            "target": aim.fingerprint,
            "scored": hashlib.sha256(aim.scored.astype("<i8").tobytes()).hexdigest(),
            "kept": hashlib.sha256(aim.kept.astype("<i8").tobytes()).hexdigest(),
        }


@dataclass(frozen=True, eq=False)
class Tile:
    """Targets whose geometry is held at once."""

    aims: Mapping[str, Aim]


@dataclass(frozen=True)
class Task:
    """A source against the targets of a tile, with the metrics that are missing for each."""

    source: str
    tile: int
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def tiles_of(sweep: Sweep, aims: Mapping[str, Aim], most: int) -> list[list[str]]:
    """Targets whose geometry in all folds is held at once, so many at the most."""
    tiles: list[list[str]] = [[]]
    held = 0
    for name, aim in aims.items():
        n, q = aim.values.shape
        size = 8 * n * min(n, q) * (1 + len(sweep.splits))
        if tiles[-1] and (held + size > TILE_BYTES or len(tiles[-1]) == most):
            tiles.append([])
            held = 0
        tiles[-1].append(name)
        held += size
    return tiles


Finished = dict[Key, PairScores]


def fit_rounds(
    sweep: Sweep,
    task: Task,
    assembly: Assembly,
    aims: Mapping[str, Aim],
    views: Mapping[str, list[PopulationFold]],
    is_last: bool = False,
) -> Iterator[Finished]:
    """Fit fold after fold; the cells come with the last.

    Where no other source follows, what was derived of a fold's targets goes with the fold.
    """
    population = complete_population(task.source, assembly, sweep.device)
    orders = sweep.resamples.orders
    running = {
        (metric, target): RunningPairScores(aims[target].kept, sweep.resamples)
        for target, missing in task.missing.items()
        for metric in missing
    }
    left = count(sweep.steps - 1, -1)
    for k, split in enumerate(sweep.splits):
        view = population.fold(*split)  # the source's geometry, a fold at a time
        for (metric, target), cell in running.items():
            cell.add(sweep.metrics[metric].fit(view, views[target][k]), split)
        if next(left):
            yield {}
        for i, order in enumerate(() if orders is None else orders):
            for target, missing in task.missing.items():
                other = shuffled_fold(views[target][k], order)
                for metric in missing:
                    running[metric, target].add_shuffled(i, sweep.metrics[metric].fit(view, other))
            if next(left):
                yield {}
        for target in task.missing if is_last else ():
            views[target][k] = views[target][k].population.fold(*split)
    yield {(metric, task.source, target): cell.done() for (metric, target), cell in running.items()}


def shuffled_fold(view: PopulationFold, order: NDArray[np.intp]) -> PopulationFold:
    """A fold in which stimuli have changed places."""
    place = np.empty(len(order), dtype=np.intp)
    positions = []
    for part in (view.train, view.test):
        place[part] = np.arange(len(part))
        positions.append(place[order[part]])
    return view.reordered(*positions)
