"""The engine: scores of pairs of populations, computed here or on workers.

Targets are divided in tiles. The geometry of a tile (the factors of its targets in all folds) is
held in memory while one source after the other is scored against it; a source against a tile is a
task. So each target is factored once, and each source once per tile. A study keeps finished pairs,
so that an interrupted call does only what is missing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import dask

from ..base.arrays import Integers
from ..base.compute import Compute
from ..base.content import content_sha256
from ..base.hashing import keys_if_known, recipe
from ..base.progress import track
from ..base.study import Study
from ..protocol.design import Design
from ..protocol.settings import Protocol
from ..statistics.ceilings import Ceiling
from .inputs import Source
from .pair_scores import Key, Pair, PairResults, PairScores
from .provenance import check_unchanged
from .targets import Target
from .tasks import Finished, Task, Tile, Work, do_task, tiles_of
from .workers import TASKS_OF_WORKER, active_client, on_workers

__all__ = ["TILE_TARGETS", "score_pairs"]

# Most targets in a tile. An interruption loses one task: a source against one tile
TILE_TARGETS = 8
_CODE = ("metrics", "statistics", "protocol", "scoring")  # packages whose code decides a score


def score_pairs(
    sources: Mapping[Any, Source],
    targets: Mapping[Any, Target],
    design: Design | Mapping[str, Design],
    protocol: Protocol,
    compute: Compute,
    *,
    pairs: Sequence[Pair] | None = None,
) -> PairResults:
    """Score pairs of populations. Every score of the package is computed here.

    If a ``dask.distributed.Client`` is active, its workers do the work.

    Parameters
    ----------
    sources : dict of Source
        By key.
    targets : dict of Target
        By key.
    design : Design, or dict of them
        Folds and resamples; several by name, if pairs are scored in several designs. Ceilings are
        computed with the first.
    protocol : Protocol
        Only its metrics and its kind of ceiling are used; folds and resamples are those of the
        designs.
    compute : Compute
        Device, study and progress. The study is not used if the content of a metric cannot be
        known (`keys_if_known`).
    pairs : sequence of Pair, optional
        Which source is scored against which target, in which design; by default, every source
        against every target in every design. Pairs of one target should follow each other.

    Returns
    -------
    PairResults
        In the order of `pairs`.

    Raises
    ------
    InputError
        If values on disk have NaN, or cannot be sent to workers.

    Warns
    -----
    UserWarning
        If there is a study and it is not used: why.
    """
    designs = design if isinstance(design, Mapping) else {"": design}
    work = Work(dict(protocol.metrics), designs, protocol.ceiling, compute.device or "cpu")
    if pairs is None:
        pairs = [Pair(s, t, d) for t, s, d in product(targets, sources, designs)]
    client, most = active_client(), TILE_TARGETS
    if client is not None:
        wanted = TASKS_OF_WORKER * max(len(client.nthreads()), 1)
        most = max(1, min(most, len(pairs) // wanted))
    cut = tiles_of(pairs, targets, work, most)
    metrics = keys_if_known("scores", _CODE, partial(_hashes, work)) if compute.study else None
    study = None if metrics is None else compute.study
    recipes = _Recipes(work, sources, targets, metrics or {})
    found = PairResults({}, {})
    tasks = _missing(cut, work, recipes, study, found)
    tiles = [Tile({pair.target: targets[pair.target] for pair in tile}) for tile in cut]
    rounds = (
        _here(work, sources, tiles, tasks)
        if client is None
        else on_workers(client, work, sources, tiles, tasks)
    )
    total = sum(task.rounds(work) for task in tasks)
    with dask.config.set(scheduler="threads"):  # this process reads stores by threads
        for finished in track(rounds, "scoring", total, compute.progress):
            _keep(finished, recipes, study, found)
    ordered = {
        key: found.pairs[key]
        for source, target, name in pairs
        for key in (Key(metric, source, target, name) for metric in work.metrics_of(name))
    }
    return PairResults(ordered, found.ceilings)


@dataclass(frozen=True, eq=False)
class _Recipes:
    """Keys of a study: all that decides a result, for every pair and every ceiling."""

    work: Work
    sources: Mapping[Any, Source]
    targets: Mapping[Any, Target]
    metrics: Mapping[str, str]  # hash of each

    def pair(self, key: Key) -> dict[str, Any]:
        """Key of the scores of a pair."""
        target = self.targets[key.target]
        return recipe(
            "pair",
            _CODE,
            **self.work.designs[key.design].recipe,
            metric=self.metrics[key.metric],
            source=self.sources[key.source].sha256,
            target=target.sha256,
            scored=_sha256(target.scored),
            included=_sha256(target.included),
            device=self.work.device.split(":")[0],
        )

    def ceiling(self, key: Hashable) -> dict[str, Any]:
        """Key of the ceiling of a target."""
        target = self.targets[key]
        return recipe(
            "ceiling",
            _CODE,
            **next(iter(self.work.designs.values())).recipe,
            ceiling=self.work.ceiling,
            metrics=[self.metrics[name] for name in self.work.metrics],
            target=target.sha256,
            scored=_sha256(target.scored),
            subjects=None if target.subjects is None else target.subjects.astype(str).tolist(),
            device=self.work.device.split(":")[0],
        )


def _hashes(work: Work) -> dict[str, str]:
    """Hash of the settings and code of each metric."""
    return {name: content_sha256(value, f"metric {name!r}") for name, value in work.metrics.items()}


def _missing(
    tiles: Sequence[Sequence[Pair]],
    work: Work,
    recipes: _Recipes,
    study: Study | None,
    found: PairResults,
) -> list[Task]:
    """List the tasks that remain; results that the study keeps are added to those found."""
    tasks: list[Task] = []
    asked: set[Hashable] = set()
    for number, tile in enumerate(tiles):
        of_tile: dict[Hashable, Task] = {}  # by source
        for target in dict.fromkeys(pair.target for pair in tile if work.ceiling):
            cached = study and study.recall(recipes.ceiling(target))
            if cached:
                found.ceilings[target] = Ceiling.from_arrays(cached)
            elif target not in asked:
                of_tile.setdefault(None, Task(None, number)).missing[target, ""] = []
            asked.add(target)
        for source, target, name in tile:
            for metric in work.metrics_of(name):
                key = Key(metric, source, target, name)
                cached = study and study.recall(recipes.pair(key))
                if cached:
                    found.pairs[key] = PairScores.from_arrays(cached)
                else:
                    task = of_tile.setdefault(source, Task(source, number))
                    task.missing[target, name].append(metric)
        tasks += of_tile.values()
    return tasks


def _here(
    work: Work, sources: Mapping[Any, Source], tiles: Sequence[Tile], tasks: Sequence[Task]
) -> Iterator[Finished]:
    """Do the tasks in this process, one after the other; yields after each round of fits."""
    last = {task.tile: task for task in tasks}
    for task in tasks:
        source = None if task.source is None else sources[task.source]
        tile, is_last = tiles[task.tile], task is last[task.tile]
        yield from do_task(task, work, source, tile, is_last)
        if is_last:
            tile.forget()


def _keep(finished: Finished, recipes: _Recipes, study: Study | None, found: PairResults) -> None:
    """Add finished results to those found, and to the study."""
    pairs = dict(finished.pairs)
    if study:
        for source in dict.fromkeys(recipes.sources[key.source] for key in pairs):
            check_unchanged(source.name, source.assemblies, source.sha256)
        for name in dict.fromkeys(key.target for key in pairs):
            _check_target(recipes.targets[name])
    for key, scores in pairs.items():
        found.pairs[key] = scores
        if study:
            study.keep(recipes.pair(key), scores.arrays())
    for name, ceiling in finished.ceilings:  # each is computed here
        found.ceilings[name] = ceiling
        if study:
            _check_target(recipes.targets[name])
            study.keep(recipes.ceiling(name), ceiling.arrays())


def _check_target(target: Target) -> None:
    check_unchanged(target.name, target.given, target.sha256)


def _sha256(positions: Integers) -> str:
    return hashlib.sha256(positions.astype("<i8").tobytes()).hexdigest()
