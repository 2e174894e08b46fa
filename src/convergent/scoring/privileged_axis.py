"""Privileged-axis test: whether single units match better than random rotations of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
import pandas as pd
import xarray as xr

from ..base.arguments import as_seed, as_whole
from ..base.arrays import Floats
from ..base.progress import track
from ..data.assembly import Assembly
from ..protocol.settings import Protocol, Settings, settle
from ..statistics.inference import ROUNDING, p_permutation
from .controls import rotated
from .inputs import as_populations
from .score import scored
from .tables import summary

__all__ = ["HELD_BYTES", "privileged_axis"]

HELD_BYTES = 2**28  # most memory of the rotated copies that are scored together
_LABELS = ["metric", "source", "target"]


def privileged_axis(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = "soft-matching",
    *,
    rotations: int = 100,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> pd.DataFrame:
    """Compare the score of each source with scores of random rotations of the same source.

    If the axes of single units matter, a metric that pairs single units scores lower after a
    rotation of the axes. Metrics that ignore rotations score the same.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        As for `score`.
    metrics : str, metric, or a list or dict of them
        As for `score`. The test is of use for metrics that are sensitive to rotations.
    rotations : int
        Number of random rotations, N; the least possible p is 1 / (1 + N).
    seed : int
        Seed of the random rotations.
    **settings
        As for `score`: ``folds``, ``ceiling`` (None by default; with a ceiling, units whose
        responses do not repeat are left out), ``min_reliability``, ``device``, ``study``,
        ``progress``; or ``protocol`` and ``compute``.

    Returns
    -------
    pandas.DataFrame
        One row per (metric, source, target), with these columns:

        - ``metric``, ``source``, ``target``: names;
        - ``native``: r of the source as it is;
        - ``rotated``: r of its rotations, mean over rotations;
        - ``difference``: ``native`` - ``rotated``;
        - ``z``: the difference in standard deviations of the scores of rotations;
        - ``p``: one-sided p-value, (1 + number of rotations that score at least as high) / (1 +
          number of rotations);
        - ``n_rotations``: number of rotations.

        The attr ``provenance`` (JSON) holds all that is needed to compute the table again.

    Raises
    ------
    InputError
        If `rotations` is below 1, or as `score` does.

    References
    ----------
    Khosla, Williams, McDermott and Kanwisher 2024, "Privileged representational axes in biological
    and artificial neural networks", bioRxiv.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5)) ** 3  # responses that are not Gaussian
    >>> layer = cv.Assembly.from_array(x, stimuli=names, name="layer")
    >>> y = x + 0.5 * rng.standard_normal((30, 5))
    >>> area = cv.Assembly.from_array(y, stimuli=names, name="V4")
    >>> table = cv.privileged_axis(layer, area, rotations=4, folds=cv.Folds(3))
    >>> table[["metric", "source", "target", "native", "rotated", "p"]].round(2)
              metric source target  native  rotated    p
    0  soft-matching  layer     V4    0.97     0.58  0.2
    """
    rotations, seed = as_whole("rotations", rotations), as_seed(seed)
    default = Protocol("soft-matching", ceiling=None)
    protocol, compute = settle(settings, default, ("bootstrap", "shuffle"), metrics)
    quiet = replace(compute, progress=False)  # one bar for all rotations is enough

    def scores(several: Mapping[str, Assembly], rotation: bool = False) -> xr.Dataset:
        return scored("privileged_axis", several, target, protocol, quiet, known_order=rotation)

    sources = as_populations("source", source)
    found = scores(sources)
    native = _by_pair(found)
    null: dict[tuple[str, str, str], list[float]] = {key: [] for key in native}
    steps = ((name, batch) for name in sources for batch in _batches(sources[name], rotations))
    rng = np.random.default_rng(seed)
    total = sum(len(list(_batches(assembly, rotations))) for assembly in sources.values())
    for name, batch in track(steps, "rotating", total, compute.progress):
        copies = {str(i): rotated(sources[name], rng) for i in range(batch)}
        for (metric, _, predicted), r in _by_pair(scores(copies, rotation=True)).items():
            null[metric, name, predicted].append(r)
    table = pd.DataFrame([_row(key, native[key], np.array(r)) for key, r in null.items()])
    content = json.loads(found.attrs["provenance"]) | {"rotations": rotations, "seed": seed}
    table.attrs["provenance"] = json.dumps(content)
    return table


def _by_pair(scores: xr.Dataset) -> dict[tuple[str, str, str], float]:
    """Aggregate r of each (metric, source, target)."""
    table = summary(scores)
    return dict(zip(table[_LABELS].itertuples(index=False, name=None), table["r"], strict=True))


def _row(key: tuple[str, str, str], r: float, null: Floats) -> dict[str, Any]:
    """Compare one score with the scores of rotations."""
    sd = float(null.std(ddof=1)) if len(null) > 1 else float("nan")
    gain = r - float(null.mean())
    return (
        dict(zip(_LABELS, key, strict=True))
        | {"native": r, "rotated": float(null.mean()), "difference": gain}
        | {"z": gain / sd if sd > ROUNDING else float("nan")}
        # a metric that ignores rotations scores the same but for rounding: p is 1
        | {"p": p_permutation(r - ROUNDING, null), "n_rotations": len(null)}
    )


def _batches(assembly: Assembly, rotations: int) -> Iterator[int]:
    """Numbers of rotated copies to score together, which fit in memory."""
    size = int(np.prod([assembly.data.sizes[dim] for dim in ("stimulus", "unit")]))
    most = max(1, HELD_BYTES // (8 * size))
    for start in range(0, rotations, most):
        yield min(most, rotations - start)
