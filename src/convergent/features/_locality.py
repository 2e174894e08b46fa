"""Local or distributed: whether a feature is one unit, a few, or spread over all of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from ..base.errors import InputError
from ..data.assembly import Assembly
from ..metrics.population import Population
from ..metrics.soft_matching import SoftMatching
from ..protocol.folds import Folds
from ..scoring.inputs import named
from ..scoring.privileged_axis import privileged_axis
from ._sparse_prediction import effective_number, sparse_prediction
from ._two_populations import pair_of

__all__ = ["local_or_distributed"]


def local_or_distributed(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    *,
    predictions: Mapping[str, xr.Dataset] | None = None,
    rotations: int = 50,
    folds: Folds = Folds(),
    seed: int = 0,
    progress: bool | None = None,
) -> xr.Dataset:
    r"""How local the code is that two populations share, layer by layer on one scale.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Layers at the same place of both are compared; as many of each.
    predictions : dict of Dataset, optional
        From `sparse_prediction`, by source layer, where they are there already.
    rotations : int
        Random rotations of each source.
    folds : Folds
        How the stimuli are split.
    seed : int
        Draws the rotations.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        Along ``layer``: ``native`` and ``rotated``, soft matching's r of the units as they are and
        of random rotations (mean), ``z`` and one-sided ``p`` as in `privileged_axis`: where axes do
        not matter, they do not differ. ``participation``: the share of target units that carry the
        match, (sum c)^2 / (q sum c^2) of their matched correlations c on test stimuli.
        ``effective_soft`` and ``effective_sparse``: effective number of source units for a target
        unit, in the soft plan, :math:`1 / \sum m^2` of its shares (mean over units), and in the
        smallest sparse prediction, :math:`(\sum |w|)^2 / \sum w^2` (median). ``scale_soft`` and
        ``scale_sparse``: their logarithm, as a share of that of all source units: 0 where one unit
        is enough, 1 where all are needed alike, in layers of any width. ``target_layer``,
        ``n_source``, ``n_target``.

    Raises
    ------
    InputError
        Where sides have different numbers of layers, or populations do not fit.

    References
    ----------
    Li et al. 2015, arXiv 1511.07543; Khosla, Williams, McDermott and Kanwisher 2024, bioRxiv.
    """
    sources, targets = named("source", source), named("target", target)
    if len(sources) != len(targets):
        raise InputError(
            f"there are {len(sources)} source and {len(targets)} target layers: those at the same "
            "place are compared, so give as many of both."
        )
    rows = []
    for (name, one), (goal, other) in zip(sources.items(), targets.items(), strict=True):
        axes = privileged_axis(
            one, other, rotations=rotations, seed=seed, folds=folds, progress=progress
        ).iloc[0]
        sparse = (predictions or {}).get(name)
        if sparse is None:
            sparse = sparse_prediction(one, other, folds=folds, progress=progress)
        soft, participation = _soft(one, other, folds)
        few = float(sparse["effective"].sel(rule="one-se").median())
        n = len(one.units)
        rows.append(
            {key: float(axes[key]) for key in ("native", "rotated", "z", "p")}
            | {"participation": participation, "effective_soft": soft, "effective_sparse": few}
            | {"scale_soft": _scale(soft, n), "scale_sparse": _scale(few, n)}
            | {"target_layer": goal, "n_source": n, "n_target": len(other.units)}
        )
    columns = {key: ("layer", np.array([row[key] for row in rows])) for key in rows[0]}
    return xr.Dataset(columns, {"layer": list(sources)})


def _soft(source: Assembly, target: Assembly, folds: Folds) -> tuple[float, float]:
    """Effective number of source units in the soft plan, and share of targets that carry it."""
    pair = pair_of(source, target, folds)
    numbers, shares = [], []
    one, other = (Population(side.values) for side in pair.sides)
    for train, test in pair.splits:
        fitted = SoftMatching().fit(one.fold(train, test), other.fold(train, test))
        plan, q = fitted.plan, len(fitted.target.units)
        squares = np.bincount(plan.target, (plan.mass * q) ** 2, minlength=q)
        numbers.append(np.mean(1 / squares))
        r = fitted.score().r
        carried = np.maximum(r[~np.isnan(r)], 0)
        shares.append(float(effective_number(carried)) / max(len(carried), 1))
    return float(np.mean(numbers)), float(np.mean(shares))


def _scale(number: float, n: int) -> float:
    return float(np.log(number) / np.log(n)) if n > 1 and number > 0 else float("nan")
