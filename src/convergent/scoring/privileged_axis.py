"""The privileged-axis test: whether single units match better than rotations of them would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arrays import Floats
from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import Protocol, Settings, settle
from ..statistics.inference import ROUNDING, p_permutation
from .controls import rotated
from .inputs import as_populations
from .score import scored
from .tables import summary

__all__ = ["HELD_BYTES", "privileged_axis"]

HELD_BYTES = 2**28  # rotated copies that are scored together
_PAIR = ["metric", "source", "target"]


def privileged_axis(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = "soft-matching",
    *,
    rotations: int = 100,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Hold each source's score against those of random rotations of the same source.

    A metric that pairs single units falls when their axes are rotated, if the axes matter; metrics
    that ignore rotation do not move.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        As for `score`.
    metrics : str, metric, or a list or dict of them
        As for `score`; the test says something for metrics that notice a rotation.
    rotations : int
        Number of random rotations, N; the least p is 1 / (1 + N).
    seed : int
        Seed of the random rotations.
    **settings
        As for `score`: ``folds``, ``ceiling`` (None by default; one leaves out
        units that do not repeat), ``min_reliability``, ``device``, ``study``, ``progress``, or
        ``protocol`` and ``compute``.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, source, target): ``native``, ``rotated`` (mean over rotations),
        ``difference``, ``z`` (in standard deviations of the rotated scores), one-sided ``p``, and
        ``n_rotations``. The attr ``provenance`` says how it was made.

    Raises
    ------
    InputError
        Where no rotation is asked for, or `score` raises.

    References
    ----------
    Khosla, Williams, McDermott and Kanwisher 2024, "Privileged representational axes in biological
    and artificial neural networks", bioRxiv.
    """
    if rotations < 1:
        raise InputError(f"rotations={rotations}: ask for one or more.")
    usual = Protocol("soft-matching", ceiling=None)
    protocol, compute = settle(settings, usual, ("bootstrap", "shuffle"), metrics)
    quiet = replace(compute, progress=False)

    def scores(several: Mapping[str, Assembly]) -> xr.Dataset:
        return scored("privileged_axis", several, target, protocol, quiet)

    sources = as_populations("source", source)
    found = scores(sources)
    native = _by_pair(found)
    null: dict[tuple[str, str, str], list[float]] = {key: [] for key in native}
    steps = ((name, batch) for name in sources for batch in _batches(sources[name], rotations))
    rng = np.random.default_rng(seed)
    total = sum(len(list(_batches(assembly, rotations))) for assembly in sources.values())
    for name, batch in track(steps, "rotating", total, compute.progress):
        copies = {str(i): rotated(sources[name], rng) for i in range(batch)}
        for (metric, _, goal), r in _by_pair(scores(copies)).items():
            null[metric, name, goal].append(r)
    table = pd.DataFrame([_row(key, native[key], np.array(r)) for key, r in null.items()])
    made = json.loads(found.attrs["provenance"]) | {"rotations": rotations, "seed": seed}
    table.attrs["provenance"] = json.dumps(made)
    return table


def _by_pair(scores: xr.Dataset) -> dict[tuple[str, str, str], float]:
    """Aggregate r of each (metric, source, target)."""
    table = summary(scores)
    return dict(zip(table[_PAIR].itertuples(index=False, name=None), table["r"], strict=True))


def _row(key: tuple[str, str, str], r: float, null: Floats) -> dict[str, Any]:
    """One score beside those of rotations."""
    sd = float(null.std(ddof=1)) if len(null) > 1 else float("nan")
    gain = r - float(null.mean())
    return (
        dict(zip(_PAIR, key, strict=True))
        | {"native": r, "rotated": float(null.mean()), "difference": gain}
        | {"z": gain / sd if sd > ROUNDING else float("nan"), "p": p_permutation(r, null)}
        | {"n_rotations": len(null)}
    )


def _batches(assembly: Assembly, rotations: int) -> Iterator[int]:
    """How many copies to hold at a time."""
    size = int(np.prod([assembly.data.sizes[dim] for dim in ("stimulus", "unit")]))
    most = max(1, HELD_BYTES // (8 * size))
    for start in range(0, rotations, most):
        yield min(most, rotations - start)
