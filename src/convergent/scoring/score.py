"""Cross-validated scores: labelled assemblies in, a labelled Dataset out, bare arrays between."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import dask
import xarray as xr

from ..base.compute import Compute
from ..base.errors import InputError, warn
from ..base.study import Study
from ..data.assembly import Assembly
from ..metrics.table import METRICS
from ..protocol.folds import Folds
from ..protocol.resampling import Bootstrap, Shuffle
from ..protocol.settings import Protocol
from .engine import score_pairs
from .inputs import Source, aligned, as_populations, check_complete, design_of
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
        The populations that are mapped, and those that are predicted. Repeats are averaged.
        Stimuli are matched by name; those that all share are used.
    metrics : str, metric, or a list or dict of them
        Names of `METRICS`, or values such as ``Linear(penalties=...)``.
    folds : Folds
        How the stimuli are split.
    ceiling : {"split-half", "repeat-variance", "inter-subject", "self", "attainable"}, or None
        What normalizes the scores of the targets: the square root of their reliability, from halves
        of the repeats or from their variance; how well other subjects predict each; for networks,
        a population's score with its own copy; or what a perfect model would score with these
        stimuli and this noise, the cost of fitting the map included. None for none.
    min_reliability : float
        Units whose reliability is below are left out of the aggregate, and counted.
    units : bool
        Keep the score of each unit; otherwise only the median over units.
    bootstrap : Bootstrap, optional
        What is drawn again to find confidence intervals and differences.
    shuffle : Shuffle, optional
        Null distribution: stimuli exchanged and everything fitted again, so many times.
    device : str
        Device: ``"cpu"``, ``"cuda"``...
    study : Study or path, optional
        Folder that keeps finished work: an interrupted score does only what is missing.
    progress : bool, optional
        Whether to draw a progress bar; by default, only in a terminal.

    Returns
    -------
    xarray.Dataset
        ``r`` (metric, source, fold, unit): Pearson r for linear and Procrustes, the unit score of
        soft matching; ``ceiling`` (metric, unit): the r that is possible; ``normalized``:
        r / ceiling; ``explained_variance``: sign(r) r^2 / ceiling^2; ``reliability`` (unit);
        ``n_repeated_stimuli`` (unit): stimuli with two or more repeats;
        ``similarity`` (metric, source, target_population, fold): one number for two populations;
        ``silent_source``, ``silent_target``: units that soft matching set aside in a fold. Along
        ``unit``: ``target``, and ``excluded`` (why a unit is left out of the aggregate, or '').
        With ``units=False`` r, ceiling, normalized and explained_variance are aggregated, (metric,
        source, target). With a bootstrap, ``r_draws`` (draw, metric, source, unit): the mean over
        folds in each resample of the held-out stimuli; ``r_refits``: in the first of them, with
        the maps fitted again; ``ceiling_draws`` (draw, metric, unit); ``unit_draws`` (draw, unit):
        how often each unit is drawn. With a shuffle, ``r_shuffled`` (shuffle, metric, source,
        target_population): the aggregate in each. The attr ``provenance`` (JSON) says how the
        scores were made: protocol, seeds, hashes of the inputs, versions.

    Notes
    -----
    Each population is read once for its geometry, and targets again, a block of units at a time,
    to be predicted; populations on disk (`convergent.open`, or `extract` with ``store=``) stay
    there. Where a ``dask.distributed.Client`` is active, its workers do the work, and read stores
    themselves, which lie at the same path everywhere.

    Raises
    ------
    InputError
        Where the input cannot be scored: no shared stimuli, NaN in a source, no repeats where a
        ceiling is asked, too few stimuli for the folds, an unknown metric or ceiling.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """
    protocol = Protocol(metrics, folds, ceiling, min_reliability, bootstrap, shuffle)
    return scored("score", source, target, protocol, Compute(device, study, progress), units)


def scored(
    kind: str,
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    protocol: Protocol,
    compute: Compute,
    units: bool = True,
) -> xr.Dataset:
    """Scores by a protocol, for every question that scores sources against targets.

    Parameters
    ----------
    kind : str
        The question, for the provenance.
    source, target, units
        As for `score`.
    protocol : Protocol
        What decides the numbers.
    compute : Compute
        Where the work is done.

    Returns
    -------
    xarray.Dataset
        As `score` describes it.
    """
    if protocol.bootstrap is not None and not units:
        raise InputError("units=False keeps no resamples: leave out one of units and bootstrap.")
    sources, targets = as_populations("source", source), as_populations("target", target)
    protocol.check(targets)
    sources, targets = aligned(sources, targets)
    populations = [*targets.values(), *sources.values()]
    n = len(populations[0].stimuli)
    design = design_of(protocol, populations)
    with dask.config.set(scheduler="threads"):  # what is read here is not sent to workers
        for name, assembly in sources.items():
            check_complete(name, assembly)
        hashes = hashes_of(sources=sources, targets=targets)
        mapped = {
            name: Source(name, (assembly,), hashes["sources"][name])
            for name, assembly in sources.items()
        }
        goals = {
            name: target_of(name, assembly, hashes["targets"][name], protocol, design)
            for name, assembly in targets.items()
        }
        _warn_of_rough_ceilings(protocol, goals, n)
        found = score_pairs(mapped, goals, design, protocol, compute)
    results = _labelled(found, list(protocol.metrics), list(sources), goals, units)
    return results.assign_attrs(
        n_stimuli=n,
        simulated=int(any(a.data.attrs.get("simulated") for a in populations)),
        **provenance(
            kind, hashes, protocol=protocol, compute=compute, sources=sources, targets=targets
        ),
    )


def _labelled(
    found: PairResults,
    metrics: Sequence[str],
    sources: Sequence[str],
    targets: Mapping[str, Target],
    units: bool,
) -> xr.Dataset:
    """All scores of units, or their aggregate alone."""
    if units:
        return label(found, metrics, sources, targets)
    parts = []
    for name, target in targets.items():  # one at a time: scores of all units can be very many
        own = {key: scores for key, scores in found.pairs.items() if key.target == name}
        part = PairResults(own, found.ceilings)
        parts.append(aggregate(label(part, metrics, sources, {name: target})))
    return xr.concat(parts, "target", data_vars="minimal", combine_attrs="override")


def _warn_of_rough_ceilings(
    protocol: Protocol, targets: Mapping[str, Target], n_stimuli: int
) -> None:
    """Say where the attainable ceiling rests on few stimuli."""
    for name, target in targets.items() if protocol.ceiling == "attainable" else ():
        if len(target.scored) > n_stimuli:
            warn(
                f"target {name!r} has {len(target.scored)} units and {n_stimuli} stimuli: with "
                "more units than stimuli, covariances between them are hardly known, and the "
                "attainable ceiling is rough. Compare it with 'split-half'."
            )
