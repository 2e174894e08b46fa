"""The privileged-axis test: whether single units match better than rotations of them would."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..base.errors import InputError
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.folds import Folds
from ..statistics.inference import ROUNDING, p_permutation
from .controls import rotated
from .inputs import named
from .score import score
from .tables import summary

__all__ = ["HELD_BYTES", "privileged_axis"]

HELD_BYTES = 2**28  # rotated copies that are scored together


def privileged_axis(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = "soft-matching",
    *,
    rotations: int = 100,
    seed: int = 0,
    folds: Folds = Folds(),
    ceiling: str | None = None,
    progress: bool | None = None,
) -> pd.DataFrame:
    """Hold each source's score against those of random rotations of the same source.

    A metric that pairs single units falls when their axes are rotated, if the axes matter; metrics
    that ignore rotation do not move.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        As for `score`.
    metrics : str, metric, or a list or dict of them
        As for `score`; the test says something for those that notice a rotation.
    rotations : int
        Number of random rotations, N; the least p is 1 / (1 + N).
    seed : int
        Draws them.
    folds, ceiling : Folds, str or None
        As for `score`; a ceiling leaves out units that do not repeat.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    pandas.DataFrame
        One row a (metric, source, target): ``native``, ``rotated`` (mean over rotations),
        ``difference``, ``z`` (in standard deviations of the rotated scores), one-sided ``p``, and
        ``n_rotations``.

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
    cell = ["metric", "source", "target"]

    def scored(several: Mapping[str, Assembly]) -> dict[tuple[str, str, str], float]:
        scores = score(several, target, metrics, folds=folds, ceiling=ceiling, progress=False)
        table = summary(scores)
        return dict(zip(table[cell].itertuples(index=False, name=None), table["r"], strict=True))

    sources = named("source", source)
    native = scored(sources)
    null: dict[tuple[str, str, str], list[float]] = {key: [] for key in native}
    steps = ((name, batch) for name in sources for batch in _batches(sources[name], rotations))
    rng = np.random.default_rng(seed)
    total = sum(len(list(_batches(assembly, rotations))) for assembly in sources.values())
    for name, batch in track(steps, "rotating", total, progress):
        copies = {str(i): rotated(sources[name], rng) for i in range(batch)}
        for (metric, _, goal), r in scored(copies).items():
            null[metric, name, goal].append(r)
    rows = []
    for key, several in null.items():
        r, values = native[key], np.array(several)
        sd = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        gain = r - float(values.mean())
        rows.append(
            dict(zip(cell, key, strict=True))
            | {"native": r, "rotated": float(values.mean()), "difference": gain}
            | {"z": gain / sd if sd > ROUNDING else float("nan"), "p": p_permutation(r, values)}
            | {"n_rotations": len(values)}
        )
    return pd.DataFrame(rows)


def _batches(assembly: Assembly, rotations: int) -> Iterator[int]:
    """How many copies to hold at a time."""
    size = int(np.prod([assembly.data.sizes[dim] for dim in ("stimulus", "unit")]))
    most = max(1, HELD_BYTES // (8 * size))
    for start in range(0, rotations, most):
        yield min(most, rotations - start)
