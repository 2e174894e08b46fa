"""Cross-validated scores: labelled assemblies in, a labelled Dataset out, bare arrays between."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import dask
import xarray as xr

from ..base.errors import InputError
from ..base.hashing import parameters
from ..base.study import Study, as_study
from ..data.assembly import Assembly
from ..metrics.table import METRICS, named_metrics
from ..protocol.folds import Folds, check_folds
from ..protocol.resampling import Bootstrap, Shuffle, check_draws, draw_resamples
from .engine import run
from .inputs import aligned, check_complete, check_grids, group_labels, named
from .provenance import hashes_of, provenance
from .results import aggregate, label
from .targets import check_ceiling, check_subjects, prepare
from .tasks import Sweep

__all__ = ["score"]


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
        What is drawn anew to find confidence intervals and differences.
    shuffle : Shuffle, optional
        Null distribution: stimuli exchanged and everything fitted anew, so many times.
    device : str
        Where torch computes: ``"cpu"``, ``"cuda"``...
    study : Study or path, optional
        Keep what is finished there, and do only what is missing: an interrupted score goes on where
        it was.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

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
        the maps fitted anew; ``ceiling_draws`` (draw, metric, unit); ``unit_draws`` (draw, unit):
        how often each unit is drawn. With a shuffle, ``r_shuffled`` (shuffle, metric, source,
        target_population): the aggregate in each. Attrs hold what is needed to do it again.

    Notes
    -----
    Each population is read once for its geometry, and targets again, a block of units at a time,
    to be predicted; populations on disk (`convergent.open`, or `extract` with ``store=``) stay
    there. Where a ``dask.distributed.Client`` is active, its workers do the work, and read stores
    themselves, which lie at the same path everywhere; ceilings are found in this process.

    Raises
    ------
    InputError
        Where the input cannot be scored: no shared stimuli, NaN in a source, no repeats where a
        ceiling is asked, too few stimuli for the folds, an unknown metric or ceiling.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """
    check_folds(folds)
    check_draws(bootstrap, shuffle)
    if bootstrap is not None and not units:
        raise InputError("units=False keeps no resamples: leave out one of units and bootstrap.")
    chosen = named_metrics(metrics)
    sources, targets = named("source", source), named("target", target)
    check_ceiling(ceiling, targets)
    check_subjects(bootstrap, targets)
    sources, targets = aligned(sources, targets)
    n = len(next(iter(targets.values())).stimuli)
    populations = [*targets.values(), *sources.values()]
    check_grids(chosen, populations)
    groups = group_labels(folds.group, populations)
    splits = folds.split(n, groups)
    resamples = draw_resamples(bootstrap, shuffle, splits, groups)
    sweep = Sweep(chosen, splits, resamples, device)
    kept_in = as_study(study)
    with dask.config.set(scheduler="threads"):  # what is read here is not sent for
        for name, assembly in sources.items():
            check_complete(name, assembly)
        prints = hashes_of(sources=sources, targets=targets)
        goals = {
            name: prepare(
                name, assembly, sweep, ceiling, min_reliability, kept_in, prints["targets"][name]
            )
            for name, assembly in targets.items()
        }
        aims = {name: goal.aim for name, goal in goals.items()}
        cells = run(sweep, sources, aims, kept_in, prints["sources"], progress)
    settings = {
        "folds": asdict(folds),
        "metrics": {name: parameters(metric) for name, metric in chosen.items()},
        "ceiling": ceiling,
        "min_reliability": min_reliability,
        "bootstrap": bootstrap and asdict(bootstrap),
        "shuffle": shuffle and asdict(shuffle),
        "device": device,
    }
    if units:
        results = label(cells, goals)
    else:  # a target at a time: the scores of all units at once can be very many
        parts = [
            aggregate(label({key: c for key, c in cells.items() if key[2] == name}, {name: goal}))
            for name, goal in goals.items()
        ]
        results = xr.concat(parts, "target", data_vars="minimal", combine_attrs="override")
    return results.assign_attrs(
        n_stimuli=n,
        simulated=int(any(a.data.attrs.get("simulated") for a in populations)),
        **provenance("score", prints, settings=settings, sources=sources, targets=targets),
    )
