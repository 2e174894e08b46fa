"""Tasks on the workers of a dask cluster."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..base.errors import InputError, examples
from .inputs import Source
from .tasks import Finished, Task, Tile, Work, do_task

__all__ = ["SENT_BYTES", "TASKS_OF_WORKER", "active_client", "on_workers"]

TASKS_OF_WORKER = 4  # at least, where the work allows it
SENT_BYTES = 2**30  # arrays in memory that are larger, all in all, are not sent to workers


def active_client() -> Any:
    """The dask client that is active, or None."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.default_client()
    except ValueError:
        return None


def on_workers(
    client: Any,
    work: Work,
    sources: Mapping[Hashable, Source],
    tiles: Sequence[Tile],
    tasks: Sequence[Task],
) -> Iterator[Finished]:
    """Let the workers of a cluster do the tasks; they read stores themselves.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    work : Work
        What all tasks share.
    sources : dict of Source
        By key.
    tiles : list of Tile
        The targets.
    tasks : list of Task
        What is missing.

    Raises
    ------
    InputError
        Where arrays in memory are too large to be sent, or there are no workers.
    RuntimeError
        Where all workers were lost.
    """
    waiting = list(tasks)
    if waiting:
        _check_sizes(sources, tiles)
    if waiting and not client.nthreads():
        raise InputError(
            f"the scheduler {client.scheduler.address} has no workers: start some, with `dask "
            f"worker {client.scheduler.address}`."
        )
    while waiting:
        lost = []
        for task, finished in _submitted(client, work, sources, tiles, waiting):
            if finished is None:
                lost.append(task)
                continue
            yield finished
            for _ in range(task.rounds(work) - 1):
                yield Finished()
        if len(lost) == len(waiting):
            raise RuntimeError(
                f"the workers of {client.scheduler.address} were lost, and {len(lost)} tasks with "
                "them: start workers, and score again; with study= only what is missing is done."
            )
        waiting = lost


def _check_sizes(sources: Mapping[Hashable, Source], tiles: Sequence[Tile]) -> None:
    """Refuse to send large arrays through the scheduler."""
    arrays = {
        source.name: assembly.data.data
        for source in sources.values()
        for assembly in source.assemblies
    }
    for tile in tiles:
        for target in tile.targets.values():
            arrays[f"target {target.name}"] = target.values
    sizes = {k: values.nbytes for k, values in arrays.items() if isinstance(values, np.ndarray)}
    if sum(sizes.values()) > SENT_BYTES:
        raise InputError(
            f"{examples(sizes)} hold {sum(sizes.values()) / 2**20:.0f} MB in memory, and workers "
            "read large arrays from stores: save them, assembly.save('name.zarr'), and "
            "convergent.open them; or extract with store=."
        )


def _submitted(
    client: Any,
    work: Work,
    sources: Mapping[Hashable, Source],
    tiles: Sequence[Tile],
    tasks: Sequence[Task],
) -> Iterator[tuple[Task, Finished | None]]:
    """Tasks as they are finished; None where the data of one were lost with their worker."""
    from distributed import as_completed

    send = partial(client.scatter, broadcast=True, hash=False)  # no dicts: it would split these
    shared = send(work)
    used = {task.source for task in tasks} - {None}
    sent = {key: send(sources[key]) for key in used if key is not None}
    held = {number: send(tiles[number]) for number in {task.tile for task in tasks}}
    futures = {
        client.submit(
            _do,
            task,
            shared,
            None if task.source is None else sent[task.source],
            held[task.tile],
            pure=False,
            retries=3,
        ): task
        for task in tasks
    }
    done: Any = as_completed(futures)  # type: ignore[no-untyped-call]
    for future in done:
        lost = future.status in ("cancelled", "lost")
        yield futures[future], None if lost else future.result()
        future.release()  # its result is here now


def _do(task: Task, work: Work, source: Source | None, tile: Tile) -> Finished:
    """One task, on a worker."""
    *_, finished = do_task(task, work, source, tile)
    return Finished(list(finished.pairs), list(finished.ceilings))
