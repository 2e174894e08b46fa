"""Local or distributed: whether a feature is one unit, a few units, or spread over all of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Unpack

import numpy as np
import xarray as xr

from ..base.arguments import as_seed, as_whole, check_type
from ..base.compute import Compute
from ..base.errors import InputError
from ..data.assembly import Assembly
from ..metrics.population import Population
from ..metrics.soft_matching import SoftMatching
from ..protocol.folds import Folds
from ..protocol.settings import Protocol, Settings, settle
from ..scoring.inputs import as_populations
from ..scoring.kinds import check_kind
from ..scoring.privileged_axis import privileged_axis
from ..scoring.provenance import hashes_of, provenance
from ._lasso import effective_number
from ._results import OF_SCORES, result, used
from ._sparse_prediction import sparse_prediction_of
from ._two_populations import TwoPopulations, prepare

__all__ = ["along_layers", "local_or_distributed", "locality_of"]


def local_or_distributed(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    *,
    predictions: Mapping[str, xr.Dataset] | None = None,
    rotations: int = 50,
    seed: int = 0,
    **settings: Unpack[Settings],
) -> xr.Dataset:
    r"""Measure how local the code is that two populations share, layer by layer on one scale.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Layers at the same place of both are compared, so there must be as many of each.
    predictions : dict of Dataset, optional
        Results of `sparse_prediction` by source layer; by default they are computed.
    rotations : int
        Number of random rotations of each source.
    seed : int
        Seed of the random rotations.
    **settings : Settings
        ``folds``, or ``protocol`` with them; ``study`` and ``progress``, or ``compute`` with these.

    Returns
    -------
    xarray.Dataset
        Along ``layer``:

        - ``native``, ``rotated``: r of soft matching for the units as they are, and its mean over
          random rotations of them; ``z``, ``p``: how far they differ, as in `privileged_axis`. If
          axes do not matter, they do not differ.
        - ``participation``: share of target units that contribute to the match,
          :math:`(\sum c)^2 / (q \sum c^2)`, c their correlations on test stimuli (0 if negative).
        - ``effective_soft``: effective number of source units for a target unit in soft matching,
          :math:`1 / \sum m^2` of its shares m, mean over units; ``effective_sparse``: the same in
          the smallest sparse prediction, :math:`(\sum |w|)^2 / \sum w^2`, median over units.
        - ``scale_soft``, ``scale_sparse``: their logarithm divided by that of the number of source
          units: 0 if one unit is enough, 1 if all are needed alike, in layers of any width.
        - ``target_layer``, ``n_source``, ``n_target``: with which layer of the target the source is
          compared, and numbers of units.

        Attr: ``provenance``.

    Raises
    ------
    InputError
        If the sides have different numbers of layers, or populations do not fit.

    References
    ----------
    Li, Yosinski, Clune, Lipson and Hopcroft 2015, arXiv 1511.07543; Khosla, Williams, McDermott and
    Kanwisher 2024, bioRxiv.
    """
    protocol, compute = settle(
        settings, usual=Protocol(), without=(*OF_SCORES, "shuffle", "bootstrap")
    )
    rotations, seed = as_whole("rotations", rotations), as_seed(seed)
    if predictions is not None:
        check_type(Mapping, "a dict of what sparse_prediction returned", predictions=predictions)
        for found in predictions.values():
            check_kind(found, "sparse_prediction", "features.local_or_distributed")
    sources, targets = as_populations("source", source), as_populations("target", target)
    if len(sources) != len(targets):
        raise InputError(
            f"there are {len(sources)} source and {len(targets)} target layers: those at the same "
            "place are compared, so give as many of both."
        )
    hashes = hashes_of(sources=sources, targets=targets)
    parts = {}
    for (name, one), (goal, other) in zip(sources.items(), targets.items(), strict=True):
        known = hashes["sources"][name], hashes["targets"][goal]
        pair = prepare(one, other, protocol.folds, known)
        sparse = (predictions or {}).get(name)
        if sparse is None:
            sparse = sparse_prediction_of(pair, protocol, compute)
        parts[name] = locality_of(pair, protocol, compute, sparse, rotations, seed)
    own = used(protocol, "folds") | {"rotations": rotations, "seed": seed}
    attrs = provenance(
        "local_or_distributed", hashes, settings=own, sources=sources, targets=targets
    )
    return along_layers(parts, list(targets)).assign_attrs(attrs)


def locality_of(
    pair: TwoPopulations,
    protocol: Protocol,
    compute: Compute,
    sparse: xr.Dataset,
    rotations: int = 50,
    seed: int = 0,
) -> xr.Dataset:
    """Numbers of `local_or_distributed` for one layer, of prepared populations."""
    few = float(sparse["effective"].sel(rule="one-se").median())
    own = {"rotations": rotations, "seed": seed, "effective_sparse": few}
    make = partial(_numbers, pair, protocol.folds, few, rotations, seed, compute.progress)
    decided = used(protocol, "folds") | own
    return result("local_or_distributed", pair, make, compute, decided)


def along_layers(parts: Mapping[str, xr.Dataset], goals: list[str]) -> xr.Dataset:
    """Numbers of several layers along ``layer``, with the names of the target's layers."""
    layers = xr.Variable("layer", list(parts))
    found: xr.Dataset = xr.concat(parts.values(), layers, combine_attrs="drop")
    return found.assign(target_layer=("layer", goals))


def _numbers(
    pair: TwoPopulations,
    folds: Folds,
    few: float,
    rotations: int,
    seed: int,
    progress: bool | None,
) -> xr.Dataset:
    one, other = (side.given for side in pair.sides)
    axes = privileged_axis(
        one, other, rotations=rotations, seed=seed, folds=folds, progress=progress
    ).iloc[0]
    soft, participation = _soft(pair)
    n = len(pair.source.units)
    return xr.Dataset(
        {key: float(axes[key]) for key in ("native", "rotated", "z", "p")}
        | {"participation": participation, "effective_soft": soft, "effective_sparse": few}
        | {"scale_soft": _scale(soft, n), "scale_sparse": _scale(few, n)}
        | {"n_source": n, "n_target": len(pair.target.units)}
    )


def _soft(pair: TwoPopulations) -> tuple[float, float]:
    """Effective number of source units in the soft plan, and share of contributing targets."""
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
    """Logarithm of an effective number of n units, divided by that of n."""
    return float(np.log(number) / np.log(n)) if n > 1 and number > 0 else float("nan")
