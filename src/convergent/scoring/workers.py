"""Tasks that the workers of a dask cluster do."""

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

TASKS_OF_WORKER = 4  # least number of tasks per worker, if there are enough pairs
SENT_BYTES = 2**30  # most memory of the arrays that are sent to workers


def active_client() -> Any:
    """Find the active dask client; None if there is none."""
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
    """Let the workers of a cluster do the tasks; the workers read stores themselves.

    Parameters
    ----------
    client : distributed.Client
        Client of the cluster.
    work : Work
        What all tasks share.
    sources : dict of Source
        By key.
    tiles : sequence of Tile
        The targets.
    tasks : sequence of Task
        What is missing. Tasks of a worker that is lost are given to the others.

    Yields
    ------
    Finished
        For each task its results, then nothing for each further round of fits, as `do_task` does.

    Raises
    ------
    InputError
        If arrays in memory are too large to be sent, or there are no workers.
    RuntimeError
        If all workers were lost.
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
                "them: start workers and repeat the call; with study=, it does only what is "
                "missing."
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
            "read large arrays from stores: save them with assembly.save('name.zarr') and open "
            "them with convergent.open; or extract with store=."
        )


def _submitted(
    client: Any,
    work: Work,
    sources: Mapping[Hashable, Source],
    tiles: Sequence[Tile],
    tasks: Sequence[Task],
) -> Iterator[tuple[Task, Finished | None]]:
    """Tasks as they are finished; None if the data of a task were lost with their worker."""
    from distributed import as_completed

    # objects are sent one by one: scatter would split a dict into its values
    send = partial(client.scatter, broadcast=True, hash=False)
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
        future.release()  # the cluster can free the result


def _do(task: Task, work: Work, source: Source | None, tile: Tile) -> Finished:
    """Do one task, on a worker."""
    *_, finished = do_task(task, work, source, tile)
    return Finished(list(finished.pairs), list(finished.ceilings))
