"""The question `score`: how well each source predicts each target, cross-validated."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dask
import xarray as xr

from ..base.arguments import check_flags
from ..base.compute import Compute
from ..base.errors import InputError, warn
from ..base.study import Study
from ..data.assembly import Assembly
from ..metrics.table import METRICS
from ..protocol.design import Design
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..protocol.settings import Protocol
from .engine import score_pairs
from .inputs import (
    Source,
    aligned_by_target,
    as_populations,
    check_complete,
    design_of,
    group_labels,
)
from .order import warn_of_order
from .pair_scores import PairResults
from .provenance import hashes_of, provenance
from .results import aggregate, label
from .targets import Target, target_of

__all__ = ["score", "scored"]


def score(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
    ceiling: str | None = "split-half",
    min_reliability: float = 0.1,
    units: bool = True,
    bootstrap: Bootstrap | None = None,
    shuffle: Shuffle | None = None,
    device: str = "cpu",
    study: Study | str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> xr.Dataset:
    """Score how well each source predicts each target, cross-validated over stimuli.

    Parameters
    ----------
    source, target : Assembly, or dict of them
        Populations that are mapped, and populations that are predicted, by name. Repeats are
        averaged. Stimuli are matched by name; each target is scored on those that it shares with
        all sources. Targets that have other stimuli have folds and resamples of their own.
    metrics : str, metric, or a list or dict of them
        Names of `METRICS`, or values such as ``Linear(penalties=...)``.
    folds : Folds
        How the stimuli are split for cross-validation.
    ceiling : {"split-half", "repeat-variance", "inter-subject", "self", "attainable"}, or None
        Noise ceiling, by which scores are divided:

        - ``"split-half"``: square root of the reliability of each unit, from random halves of the
          repeats;
        - ``"repeat-variance"``: the same, from the variance over repeats;
        - ``"inter-subject"``: how well the units of other subjects predict each unit;
        - ``"self"``: score of a population with its own copy, for networks, which have no noise;
        - ``"attainable"``: score that a perfect model would reach with these stimuli and this
          noise, the error of fitting the map included;
        - None: no ceiling.
    min_reliability : float
        Units whose reliability is below this are left out of the medians over units, and counted.
        The normalized aggregate leaves out none of them: it weighs units (see `summary`).
    units : bool
        Whether to return the scores of single units; otherwise only their aggregate is returned.
    bootstrap : Bootstrap, optional
        What is resampled for confidence intervals and differences.
    shuffle : Shuffle, optional
        How often stimuli are exchanged, and everything fitted again, for the null distribution.
    device : str
        Device: ``"cpu"``, ``"cuda"``...
    study : Study or path, optional
        Folder that keeps finished work: if a score is interrupted, the same call does only what is
        missing.
    progress : bool, optional
        Whether to draw a progress bar; by default, only in a terminal.

    Returns
    -------
    xarray.Dataset
        Scores of units:

        - ``r`` (metric, source, fold, unit): Pearson r of prediction and response for linear
          regression and Procrustes; for soft matching, its unit score;
        - ``ceiling`` (metric, unit): the r that noise leaves possible;
        - ``normalized``: r / ceiling, of the unit alone;
        - ``explained_variance`` (metric, source, unit): sign(r) r^2 / ceiling^2, with r the mean
          over folds;
        - ``expected_ceiling`` (metric, unit) and ``weight`` (unit): what the normalized aggregate
          is made from (see `summary`);
        - ``reliability`` (unit), and ``split_half_r``, the correlation of half means from which it
          is estimated;
        - ``n_repeated_stimuli`` (unit): number of stimuli with two or more repeats.

        Along ``unit``, the coordinate ``target`` is the target that a unit belongs to, and
        ``excluded`` says why it is left out of the aggregate ('' if it is not). Voxels keep their
        indices, ``voxel_i``, ``voxel_j`` and ``voxel_k`` (-1 for other units). Values of pairs of
        populations (metric, source, target_population, fold):

        - ``similarity``: one number for the two populations after the map;
        - ``silent_source``, ``silent_target``: number of units that soft matching leaves out,
          because they do not vary on the training stimuli of a fold.

        With ``units=False``, r, ceiling, normalized and explained_variance are aggregated (metric,
        source, target). With a bootstrap:

        - ``r_draws`` (draw, metric, source, unit): r, mean over folds, in resamples of the held-out
          stimuli;
        - ``r_refits`` (refit, metric, source, unit): the same in the first resamples, with maps
          that are fitted again to the resampled training stimuli;
        - ``ceiling_draws``, ``expected_ceiling_draws`` (draw, metric, unit): both in the
          resamples;
        - ``unit_draws`` (draw, unit): how often each unit is drawn;
        - ``n_drawn`` (factor, target_population): number of stimuli, units or subjects that are
          drawn from;
        - ``n_effective`` (target_population): effective number of stimuli, which is lower where few
          stimuli drive the units much more than others do. Intervals are wider then.

        With a shuffle, ``r_shuffled`` (shuffle, metric, source, target_population): aggregate of
        each shuffle. The attr ``provenance`` (JSON) holds all that is needed to compute the scores
        again: protocol, seeds, hashes of the inputs, versions. The attr ``n_stimuli`` is the
        number of stimuli; where targets have different numbers, it is text ("30 to 50"), and
        ``n_stimuli`` (target_population) has the number of each.

    Raises
    ------
    InputError
        If the input cannot be scored: no shared stimuli, other images under the same names, NaN in
        a source, a ceiling that needs repeats where there are none, too few stimuli for the folds,
        an unknown metric or ceiling.

    Notes
    -----
    Each population is read once for its geometry; targets are read once more, a block of units at
    a time, to be predicted. Populations on disk (`convergent.open`, or `extract` with ``store=``)
    stay there. If a ``dask.distributed.Client`` is active, its workers do the work. They read the
    stores themselves, so stores must have the same path on all machines.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.

    Examples
    --------
    >>> import numpy as np
    >>> import convergent as cv
    >>> rng = np.random.default_rng(0)
    >>> names = [f"image{i:02d}" for i in range(30)]
    >>> x = rng.standard_normal((30, 5))
    >>> layer = cv.Assembly.from_array(x, stimuli=names, name="layer")
    >>> signal = x[:, :3] + rng.standard_normal((30, 3))  # only part of it is in the layer
    >>> trials = signal[:, :, None] + rng.standard_normal((30, 3, 4))  # four noisy repeats
    >>> dims = ("stimulus", "unit", "repeat")
    >>> area = cv.Assembly.from_array(trials, dims=dims, stimuli=names, name="V4")
    >>> scores = cv.score(layer, area, ["linear", "procrustes"], folds=cv.Folds(3))
    >>> dict(scores["r"].sizes)
    {'metric': 2, 'source': 1, 'fold': 3, 'unit': 3}
    >>> cv.summary(scores)[["metric", "r", "ceiling", "normalized"]].round(2)
           metric     r  ceiling  normalized
    0      linear  0.42     0.95        0.37
    1  procrustes  0.38     0.95        0.28
    """
    check_flags(units=units)
    protocol = Protocol(metrics, folds, ceiling, min_reliability, bootstrap, shuffle)
    return scored("score", source, target, protocol, Compute(device, study, progress), units)


def scored(
    kind: str,
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    protocol: Protocol,
    compute: Compute,
    units: bool = True,
    known_order: bool = False,
) -> xr.Dataset:
    """Score sources against targets by a protocol: the common part of several questions.

    Parameters
    ----------
    kind : str
        Name of the question, for the provenance.
    source, target, units
        As for `score`.
    protocol : Protocol
        Settings that decide the numbers.
    compute : Compute
        Device, study and progress.
    known_order : bool
        Whether other sources were scored before in their place, which had the same order.

    Returns
    -------
    xarray.Dataset
        As `score` describes it.

    Raises
    ------
    InputError
        As `score` does.
    """
    if protocol.bootstrap is not None and not units:
        raise InputError("units=False keeps no resamples: leave out units=False or bootstrap.")
    sources, targets = as_populations("source", source), as_populations("target", target)
    protocol.check(targets)
    groups = aligned_by_target(sources, targets)
    if not known_order:
        _warn_of_order(groups, protocol)
    with dask.config.set(scheduler="threads"):  # this process reads stores by threads
        parts = [_prepared(*group, protocol) for group in groups]
        found = PairResults({}, {})
        for part in parts:
            scores = score_pairs(part.sources, part.targets, part.design, protocol, compute)
            found.pairs.update(scores.pairs)
            found.ceilings.update(scores.ceilings)
    of_targets = {name: part for part in parts for name in part.targets}
    predicted = {name: of_targets[name].targets[name] for name in targets}
    results = _labelled(found, list(protocol.metrics), list(sources), predicted, units)
    hashes = {
        "sources": {name: " ".join(p.sources[name].sha256 for p in parts) for name in sources},
        "targets": {name: target.sha256 for name, target in predicted.items()},
    }
    simulated = any(a.data.attrs.get("simulated") for a in [*targets.values(), *sources.values()])
    return _with_counts(results, [of_targets[name].n_stimuli for name in targets]).assign_attrs(
        simulated=int(simulated),
        **provenance(
            kind, hashes, protocol=protocol, compute=compute, sources=sources, targets=targets
        ),
    )


def _warn_of_order(
    groups: Sequence[tuple[Mapping[str, Assembly], Mapping[str, Assembly]]], protocol: Protocol
) -> None:
    """Warn once if stimuli follow each other in time."""
    for sources, targets in groups:
        labels = group_labels(protocol.folds.group, [*targets.values(), *sources.values()])
        if warn_of_order(sources, targets, protocol, labels):
            return


@dataclass(frozen=True, eq=False)
class _Part:
    """Targets that share the same stimuli with all sources, and the folds of these stimuli."""

    sources: Mapping[str, Source]
    targets: Mapping[str, Target]
    design: Design
    n_stimuli: int


def _prepared(
    sources: Mapping[str, Assembly], targets: Mapping[str, Assembly], protocol: Protocol
) -> _Part:
    """Check populations of the same stimuli, and choose the units that are predicted."""
    populations = [*targets.values(), *sources.values()]
    n = len(populations[0].stimuli)
    design = design_of(protocol, populations)
    for name, assembly in sources.items():
        check_complete(name, assembly)
    hashes = hashes_of(sources=sources, targets=targets)
    mapped = {
        name: Source(name, (assembly,), hashes["sources"][name])
        for name, assembly in sources.items()
    }
    predicted = {
        name: target_of(name, assembly, hashes["targets"][name], protocol, design)
        for name, assembly in targets.items()
    }
    _warn_of_rough_ceilings(protocol, predicted, n)
    return _Part(mapped, predicted, design, n)


def _with_counts(results: xr.Dataset, counts: Sequence[int]) -> xr.Dataset:
    """Add the number of stimuli; by target if they differ."""
    least, most = min(counts), max(counts)
    if least == most:
        return results.assign_attrs(n_stimuli=least)
    dim = "target_population" if "target_population" in results.dims else "target"
    by_target = results.assign_coords(n_stimuli=(dim, list(counts)))
    return by_target.assign_attrs(n_stimuli=f"{least} to {most}")


def _labelled(
    found: PairResults,
    metrics: Sequence[str],
    sources: Sequence[str],
    targets: Mapping[str, Target],
    units: bool,
) -> xr.Dataset:
    """Label the scores of units, or only their aggregate."""
    if units:
        return label(found, metrics, sources, targets)
    parts = []
    for name, target in targets.items():  # one at a time: there can be very many units
        own = {key: scores for key, scores in found.pairs.items() if key.target == name}
        part = PairResults(own, found.ceilings)
        parts.append(aggregate(label(part, metrics, sources, {name: target})))
    return xr.concat(parts, "target", data_vars="minimal", combine_attrs="override")


def _warn_of_rough_ceilings(
    protocol: Protocol, targets: Mapping[str, Target], n_stimuli: int
) -> None:
    """Warn if the attainable ceiling is estimated from few stimuli."""
    for name, target in targets.items() if protocol.ceiling == "attainable" else ():
        if len(target.scored) > n_stimuli:
            warn(
                f"target {name!r} has {len(target.scored)} units and {n_stimuli} stimuli: with "
                "more units than stimuli, the covariances of the units are estimated poorly, and "
                "so is the attainable ceiling. In simulations with 120 units and 60 stimuli a "
                "perfect model scored 0.98 to 1.02 of it, and with signals of three dimensions "
                "0.96 to 1.02. Compare it with 'split-half'."
            )
