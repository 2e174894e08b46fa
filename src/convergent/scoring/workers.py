"""Tasks of a score on the workers of a dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from ..base.errors import InputError, examples
from ..data.assembly import Assembly
from ..metrics.population import PopulationFold
from .tasks import Aim, Finished, Sweep, Task, Tile, fit_rounds

__all__ = ["SENT_BYTES", "TASKS_OF_WORKER", "active_client", "on_workers"]

TASKS_OF_WORKER = 4  # at least, where the work allows it
SENT_BYTES = 2**30  # what lies in memory and is larger, all in all, is not sent to workers


def on_workers(
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
    tasks: Sequence[Task],
) -> Iterator[tuple[Task, Finished | None]]:
    """Tasks as they are finished; None where the data of one were lost with their worker."""
    from distributed import as_completed

    send = partial(
        client.scatter, broadcast=True, hash=False
    )  # no dicts: it would take these apart
    shared = send(sweep)
    given = {name: send(sources[name]) for name in {task.source for task in tasks}}
    numbers = {task.tile for task in tasks}
    held = {k: send(Tile({name: aims[name] for name in tiles[k]})) for k in numbers}
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
_views: WeakKeyDictionary[Tile, dict[str, list[PopulationFold]]] = WeakKeyDictionary()


def _do(sweep: Sweep, task: Task, source: Assembly, tile: Tile) -> Finished:
    """One task, on a worker."""
    views = _views.setdefault(tile, {})
    for target in task.missing:
        if target not in views:
            views[target] = sweep.views(tile.aims[target])
    finished: Finished = {}
    for part in fit_rounds(sweep, task, source, tile.aims, views):
        finished |= part
    return finished


def active_client() -> Any:
    """The dask client that is active, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None
