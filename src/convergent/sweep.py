"""Every source against every target: each population is factored once and shared by its partners.

The work is cut in tasks: a source against a tile of targets, whose geometry in all folds is held
while the sources pass. Tasks run here one after the other, or on the workers of a dask cluster
where a client is active. What is finished is kept in a study, and not done again.
"""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .assembly import Assembly
from .cell import Cell, RunningCell
from .errors import InputError, examples
from .intake import complete_population
from .metrics import Metric
from .population import Population, Split
from .progress import track
from .provenance import parameters
from .resampling import Resamples
from .source_code import code_of
from .study import Study

__all__ = ["Aim", "Sweep", "run"]

TILE_TARGETS = 8  # what an interruption costs at the most, for one source
TILE_BYTES = 2**30  # of the geometry of targets, held at once
TASKS_OF_WORKER = 4  # at least, where the work allows it
SENT_BYTES = 2**30  # what lies in memory and is larger, all in all, is not sent to workers

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

    def views(self, aim: Aim) -> list[Split]:
        """A target under each fold, with nothing derived yet."""
        population = Population(aim.values, self.device)
        return [population.split(*split) for split in self.splits]

    def made_of(self, metric: str, source: str, aim: Aim) -> dict[str, Any]:
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
class _Tile:
    """Targets whose geometry is held at once."""

    aims: Mapping[str, Aim]


@dataclass(frozen=True)
class _Task:
    """A source against the targets of a tile, with the metrics that are missing for each."""

    source: str
    tile: int
    missing: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))


def run(
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    study: Study | None,
    fingerprints: Mapping[str, str],
    progress: bool | None,
) -> dict[Key, Cell]:
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
    cells: dict[Key, Cell] = {}

    def made_of(key: Key) -> dict[str, Any]:
        return sweep.made_of(key[0], fingerprints[key[1]], aims[key[2]])

    client = _client()
    most = TILE_TARGETS
    if client is not None:
        wanted = TASKS_OF_WORKER * max(len(client.nthreads()), 1)
        most = max(1, min(most, len(sources) * len(aims) // wanted))
    tiles = _tiles(sweep, aims, most)
    tasks: dict[tuple[int, str], _Task] = {}
    for number, tile in enumerate(tiles):
        for source in sources:
            for target in tile:
                for metric in sweep.metrics:
                    key = (metric, source, target)
                    known = study and study.recall(made_of(key))
                    if known:
                        cells[key] = Cell.from_arrays(known)
                    else:
                        task = tasks.setdefault((number, source), _Task(source, number))
                        task.missing[target].append(metric)
    rounds = (
        _here(sweep, sources, aims, tasks.values())
        if client is None
        else _on_workers(client, sweep, sources, aims, tiles, tasks.values())
    )
    for finished in track(rounds, "scoring", len(tasks) * sweep.steps, progress):
        for key, cell in finished.items():
            if study:
                study.keep(made_of(key), cell.arrays())
            cells[key] = cell
    # in the order of the input, whatever the order of the work
    return {
        (metric, source, target): cells[metric, source, target]
        for source in sources
        for metric in sweep.metrics
        for target in aims
    }


def _tiles(sweep: Sweep, aims: Mapping[str, Aim], most: int) -> list[list[str]]:
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


Finished = dict[Key, Cell]


def _here(
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    tasks: Collection[_Task],
) -> Iterator[Finished]:
    """Do the tasks one after the other; pauses after each round of fits."""
    number = -1
    views: dict[str, list[Split]] = {}
    last = {task.tile: task for task in tasks}
    for task in tasks:
        if task.tile != number:
            number = task.tile
            views.clear()
        for target in task.missing:
            if target not in views:
                views[target] = sweep.views(aims[target])
        is_last = task is last[number]
        yield from _rounds(sweep, task, sources[task.source], aims, views, is_last)


def _on_workers(
    client: Any,
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    tiles: Sequence[Sequence[str]],
    tasks: Any,
) -> Iterator[Finished]:
    """Let the workers of a cluster do the tasks; what lies in a store they read there."""
    arrays = {name: assembly.data.data for name, assembly in sources.items()}
    arrays |= {f"target {name}": aim.values for name, aim in aims.items()}
    sizes = {k: values.nbytes for k, values in arrays.items() if isinstance(values, np.ndarray)}
    if sum(sizes.values()) > SENT_BYTES:
        raise InputError(
            f"{examples(sizes)} hold {sum(sizes.values()) / 2**20:.0f} MB in memory, and workers "
            "read large arrays from stores: save them, assembly.save('name.zarr'), and "
            "convergent.open them; or extract with store=."
        )
    waiting = list(tasks)
    if waiting and not client.nthreads():
        raise InputError(
            f"the scheduler {client.scheduler.address} has no workers: start some, with `dask "
            f"worker {client.scheduler.address}`."
        )
    while waiting:
        lost = []
        for task, finished in _submitted(client, sweep, sources, aims, tiles, waiting):
            if finished is None:
                lost.append(task)
                continue
            yield finished
            for _ in range(sweep.steps - 1):
                yield {}
        if len(lost) == len(waiting):
            raise RuntimeError(
                f"the workers of {client.scheduler.address} were lost, and {len(lost)} tasks with "
                "them: start workers, and score again; with study= only what is missing is done."
            )
        waiting = lost


def _submitted(
    client: Any,
    sweep: Sweep,
    sources: Mapping[str, Assembly],
    aims: Mapping[str, Aim],
    tiles: Sequence[Sequence[str]],
    tasks: Sequence[_Task],
) -> Iterator[tuple[_Task, Finished | None]]:
    """Tasks as they are finished; None where the data of one were lost with their worker."""
    from distributed import as_completed

    send = partial(
        client.scatter, broadcast=True, hash=False
    )  # no dicts: it would take these apart
    shared = send(sweep)
    given = {name: send(sources[name]) for name in {task.source for task in tasks}}
    numbers = {task.tile for task in tasks}
    held = {k: send(_Tile({name: aims[name] for name in tiles[k]})) for k in numbers}
    futures = {
        client.submit(
            _do, shared, task, given[task.source], held[task.tile], pure=False, retries=3
        ): task
        for task in tasks
    }
    done: Any = as_completed(futures)  # type: ignore[no-untyped-call]
    for future in done:
        lost = future.status in ("cancelled", "lost")
        yield futures[future], None if lost else future.result()
        future.release()  # its result is here now


# geometry of the tiles that a worker holds: it serves the tasks that follow, and goes with the tile
_views: WeakKeyDictionary[_Tile, dict[str, list[Split]]] = WeakKeyDictionary()


def _do(sweep: Sweep, task: _Task, source: Assembly, tile: _Tile) -> Finished:
    """One task, on a worker."""
    views = _views.setdefault(tile, {})
    for target in task.missing:
        if target not in views:
            views[target] = sweep.views(tile.aims[target])
    finished: Finished = {}
    for part in _rounds(sweep, task, source, tile.aims, views):
        finished |= part
    return finished


def _client() -> Any:
    """The dask client that is active, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def _rounds(
    sweep: Sweep,
    task: _Task,
    assembly: Assembly,
    aims: Mapping[str, Aim],
    views: Mapping[str, list[Split]],
    is_last: bool = False,
) -> Iterator[Finished]:
    """Fit fold after fold; the cells come with the last.

    Where no other source follows, what was derived of a fold's targets goes with the fold.
    """
    population = complete_population(task.source, assembly, sweep.device)
    orders = sweep.resamples.orders
    running = {
        (metric, target): RunningCell(aims[target].kept, sweep.resamples)
        for target, missing in task.missing.items()
        for metric in missing
    }
    left = count(sweep.steps - 1, -1)
    for k, split in enumerate(sweep.splits):
        view = population.split(*split)  # the source's geometry, a fold at a time
        for (metric, target), cell in running.items():
            cell.add(sweep.metrics[metric].fit(view, views[target][k]), split)
        if next(left):
            yield {}
        for i, order in enumerate(() if orders is None else orders):
            for target, missing in task.missing.items():
                other = _shuffled(views[target][k], order)
                for metric in missing:
                    running[metric, target].add_shuffled(i, sweep.metrics[metric].fit(view, other))
            if next(left):
                yield {}
        for target in task.missing if is_last else ():
            views[target][k] = views[target][k].population.split(*split)
    yield {(metric, task.source, target): cell.done() for (metric, target), cell in running.items()}


def _shuffled(view: Split, order: NDArray[np.intp]) -> Split:
    """A fold in which stimuli have changed places."""
    place = np.empty(len(order), dtype=np.intp)
    positions = []
    for part in (view.train, view.test):
        place[part] = np.arange(len(part))
        positions.append(place[order[part]])
    return view.reordered(*positions)
