"""Tasks: parts of the work of a question, each a source against a tile of targets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..base.arrays import Integers
from ..metrics.base import Metric
from ..metrics.population import Population, PopulationFold
from ..protocol.design import Design
from ..statistics.ceilings import CEILINGS, Ceiling, Recorded, Scorer, Scores
from ..statistics.reliability import RELIABILITIES, Reliability
from .inputs import Source
from .pair_scores import Key, Pair, PairScores, RunningPairScores
from .targets import Target

__all__ = [
    "TILE_BYTES",
    "Finished",
    "Task",
    "Tile",
    "Work",
    "do_task",
    "exchanged",
    "tiles_of",
]

TILE_BYTES = 2**30  # most memory for the geometry of the targets of a tile


class Finished(NamedTuple):
    """Results of a task that are finished; empty while the task has further rounds of fits."""

    pairs: Iterable[tuple[Key, PairScores]] = ()
    ceilings: Iterable[tuple[Hashable, Ceiling]] = ()


@dataclass(frozen=True, eq=False)
class Work:
    """What all tasks of a question share.

    Attributes
    ----------
    metrics : dict of metric
        By name.
    designs : dict of Design
        By name; ceilings are computed with the first.
    ceiling : str or None
        Kind of ceiling.
    device : str
        Device of torch.
    """

    metrics: Mapping[str, Metric]
    designs: Mapping[str, Design]
    ceiling: str | None
    device: str

    def metrics_of(self, design: str) -> Sequence[str]:
        """Names of the metrics that are scored in a design."""
        return self.designs[design].metrics or tuple(self.metrics)

    def same_folds(self, design: str) -> str:
        """Name of the first design that has the same folds as a design."""
        splits = self.designs[design].splits
        return next(name for name, other in self.designs.items() if other.splits is splits)


@dataclass(eq=False)
class Tile:
    """Targets whose geometry is held while one source after the other is scored against them."""

    targets: Mapping[Hashable, Target]
    _populations: dict[Hashable, Population] = field(default_factory=dict)
    _folds: dict[tuple[Hashable, str], list[PopulationFold]] = field(default_factory=dict)

    def folds(self, target: Hashable, design: str, work: Work) -> list[PopulationFold]:
        """Folds of a target in a design; their geometry is computed when it is first used."""
        if target not in self._populations:
            self._populations[target] = Population(self.targets[target].values, work.device)
        key = target, work.same_folds(design)
        if key not in self._folds:
            population = self._populations[target]
            self._folds[key] = [population.fold(*split) for split in work.designs[design].splits]
        return self._folds[key]

    def forget(self) -> None:
        """Free the geometry, after the last source."""
        self._populations.clear()
        self._folds.clear()

    def __getstate__(self) -> dict[str, Any]:
        # workers compute the geometry themselves
        return {"targets": self.targets, "_populations": {}, "_folds": {}}


@dataclass(frozen=True)
class Task:
    """A source that is scored against the targets of a tile, or the ceilings of a tile.

    Attributes
    ----------
    source : hashable or None
        Key of the source; None for ceilings.
    tile : int
        Number of the tile.
    missing : dict of list of str
        Metrics that have not been scored yet, by (target, design).
    """

    source: Hashable | None
    tile: int
    missing: dict[tuple[Hashable, str], list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )

    def rounds(self, work: Work) -> int:
        """Number of rounds of fits: folds times shuffles, in all designs of the task."""
        if self.source is None:
            return 1
        designs = {design for _, design in self.missing}
        return sum(len(work.designs[d].splits) * len(work.designs[d].orders) for d in designs)


def tiles_of(
    pairs: Sequence[Pair], targets: Mapping[Hashable, Target], work: Work, most: int
) -> list[list[Pair]]:
    """Divide pairs in tiles of few targets, whose geometry in all folds fits in memory.

    Parameters
    ----------
    pairs : sequence of Pair
        Pairs of one target, or of targets that share sources, follow each other.
    targets : dict of Target
        By key.
    work : Work
        Only its folds are used.
    most : int
        Most targets in a tile.

    Returns
    -------
    list of list of Pair
        Pairs of each tile, in the same order.
    """
    n_folds = sum(len(design.splits) for design in work.designs.values())
    tiles: list[list[Pair]] = [[]]
    sizes: dict[Hashable, int] = {}
    for pair in pairs:
        n, q = targets[pair.target].values.shape
        size = 8 * n * min(n, q) * (1 + n_folds)
        full = len(sizes) == most or sum(sizes.values()) + size > TILE_BYTES
        if tiles[-1] and pair.target not in sizes and full:
            tiles.append([])
            sizes = {}
        sizes[pair.target] = size
        tiles[-1].append(pair)
    return tiles


def do_task(
    task: Task, work: Work, source: Source | None, tile: Tile, is_last: bool = False
) -> Iterator[Finished]:
    """Do a task; yields after each round of fits, the results with the last.

    Parameters
    ----------
    task : Task
        What is missing.
    work : Work
        Metrics, designs, ceiling and device.
    source : Source or None
        Source of the task; None for ceilings.
    tile : Tile
        Targets of the task.
    is_last : bool
        Whether this is the last source of the tile, so that the geometry of the targets can be
        freed after each fold.

    Yields
    ------
    Finished
        Results of the task, after its last round; nothing after the others.
    """
    if source is None:
        yield Finished(
            ceilings=((target, _ceiling(tile, target, work)) for target, _ in task.missing)
        )
        return
    population = source.population(work.device)
    running = {
        Key(metric, task.source, target, design): RunningPairScores(
            tile.targets[target].included, work.designs[design].resamples
        )
        for (target, design), metrics in task.missing.items()
        for metric in metrics
    }
    folds = {key: tile.folds(*key, work) for key in task.missing}
    left = task.rounds(work)
    for _ in _fit(running, work, population, folds, is_last):
        left -= 1
        if left:
            yield Finished()
    yield Finished((key, scores.done()) for key, scores in running.items())


def _fit(
    running: Mapping[Key, RunningPairScores],
    work: Work,
    source: Population,
    targets: Mapping[tuple[Hashable, str], list[PopulationFold]],
    is_last: bool = False,
) -> Iterator[None]:
    """Fit every metric in every fold and shuffle; yields after each fold of each shuffle."""
    for name in dict.fromkeys(key.design for key in running):
        design, keys = work.designs[name], [key for key in running if key.design == name]
        folds = {key.target: targets[key.target, name] for key in keys}
        for k, split in enumerate(design.splits):
            own = next((each[k] for each in folds.values() if each[k].population is source), None)
            fold = own or source.fold(*split)  # the geometry of the source is held for one fold
            for i, order in enumerate(design.orders, -1):
                others = {target: exchanged(each[k], order) for target, each in folds.items()}
                for key in keys:
                    fitted = work.metrics[key.metric].fit(fold, others[key.target])
                    if order is None:
                        running[key].add(fitted, split)
                    else:
                        running[key].add_shuffled(i, fitted)
                yield
            for each in folds.values() if is_last else ():
                each[k] = each[k].population.fold(*split)


def exchanged(fold: PopulationFold, order: Integers | None) -> PopulationFold:
    """Exchange the stimuli of a fold.

    Parameters
    ----------
    fold : PopulationFold
        Fold of the target.
    order : int array (n,) or None
        Position of the stimulus that takes the place of each; None for no change. Where test
        stimuli take the places of test stimuli alone, the geometry is not computed again.

    Returns
    -------
    PopulationFold
        The fold with exchanged stimuli.
    """
    if order is None:
        return fold
    if not np.isin(order[fold.test], fold.test).all():
        return fold.population.fold(order[fold.train], order[fold.test])
    rank = np.empty(len(order), dtype=np.intp)  # of each stimulus in its part of the fold
    ranks = []
    for part in (fold.train, fold.test):
        rank[part] = np.arange(len(part))
        ranks.append(rank[order[part]])
    return fold.reordered(*ranks)


def _ceiling(tile: Tile, key: Hashable, work: Work) -> Ceiling:
    """Ceiling of the scored units of a target."""
    target, name = tile.targets[key], next(iter(work.designs))
    folds = tile.folds(key, name, work)
    own = Reliability(*(values[target.scored] for values in vars(target.reliability).values()))
    counts = work.designs[name].resamples.counts
    resampled = None
    if target.trials is not None and counts is not None and work.ceiling in RELIABILITIES:
        resampled = RELIABILITIES[work.ceiling](target.trials, weights=counts)
    recorded = Recorded(
        population=folds[0].population,
        trials=target.trials,
        reliability=own,
        counts=counts,
        resampled=resampled,
        subjects=target.subjects,
        n_metrics=len(work.metrics),
        n_test=len(target.values) / len(folds),
    )
    return CEILINGS[work.ceiling or ""](recorded, _scorer(work, name, folds))


def _scorer(work: Work, name: str, known: list[PopulationFold]) -> Scorer:
    """Function that scores any two populations, with the metrics and folds of the question."""
    design = work.designs[name]

    def score(source: Population, target: Population, resample: bool = True) -> Scores:
        drawn = replace(design, resamples=replace(design.resamples, orders=None))
        alone = replace(work, designs={name: drawn if resample else drawn.alone()})
        folds = known
        if target is not known[0].population:
            folds = [target.fold(*split) for split in design.splits]
        units = np.arange(target.n_units)
        running = {
            Key(metric, "", "", name): RunningPairScores(
                units, alone.designs[name].resamples, refit=False
            )
            for metric in work.metrics
        }
        for _ in _fit(running, alone, source, {("", name): folds}):
            pass
        found = [scores.done() for scores in running.values()]
        draws = [scores.held_out for scores in found if scores.held_out is not None]
        return np.array([scores.r for scores in found]), np.array(draws) if draws else None

    return score
