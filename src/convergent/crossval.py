"""Cross-validated scores: labelled assemblies in, a labelled Dataset out, bare arrays between."""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import xarray as xr

from .assembly import Assembly
from .ceiling import CEILINGS, Reliability
from .errors import InputError, examples, unknown
from .folds import Folds
from .intake import aligned, complete_population, group_labels, named, on_device
from .metrics import METRICS, FoldScore, Metric, named_metrics
from .population import Population, Split
from .progress import track
from .results import TargetUnits, label

__all__ = ["check_ceiling", "score"]

LIBRARIES = ("convergent", "numpy", "scipy", "xarray", "torch", "POT")


def score(
    source: Assembly | Mapping[str, Assembly],
    target: Assembly | Mapping[str, Assembly],
    metrics: Any = tuple(METRICS),
    *,
    folds: Folds = Folds(),
    ceiling: str | None = "split-half",
    min_reliability: float = 0.1,
    units: bool = True,
    device: str | None = None,
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
    ceiling : {"split-half", None}
        Noise ceiling of the targets; None where they have no noise (networks), or no repeats.
    min_reliability : float
        Units whose reliability is below are left out of the aggregate, and counted.
    units : bool
        Keep the score of each unit; otherwise only the median over units.
    device : str, optional
        Compute with torch there (``"cuda"``); with numpy where left out.
    progress : bool, optional
        Draw a progress bar; where left out, only in a terminal.

    Returns
    -------
    xarray.Dataset
        ``r`` (metric, source, fold, unit): Pearson r for linear and Procrustes, the unit score of
        soft matching; ``ceiling`` (unit): square root of ``reliability``, the r of a perfect
        model; ``normalized``: r / ceiling; ``explained_variance``: sign(r) r^2 / reliability;
        ``similarity`` (metric, source, target_population, fold): one number for two populations;
        ``silent_source``, ``silent_target``: units that soft matching set aside in a fold. Along
        ``unit``: ``target``, and ``excluded`` (why a unit is left out of the aggregate, or '').
        With ``units=False`` r, ceiling, normalized and explained_variance are aggregated, (metric,
        source, target) and (target). Attrs hold what is needed to do it again.

    Raises
    ------
    InputError
        Where the input cannot be scored: no shared stimuli, NaN in a source, no repeats where a
        ceiling is asked, too few stimuli for the folds, an unknown metric or ceiling.

    References
    ----------
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """
    if not isinstance(folds, Folds):
        raise InputError(
            f"folds is {folds!r}: give Folds(n, seed=..., group=...), such as Folds(5)."
        )
    chosen = named_metrics(metrics)
    sources, targets = named("source", source), named("target", target)
    check_ceiling(ceiling, targets)
    sources, targets = aligned(sources, targets)
    n = len(next(iter(targets.values())).stimuli)
    populations = [*targets.values(), *sources.values()]
    splits = folds.split(n, group_labels(folds.group, populations))
    views: dict[str, list[Split]] = {}
    target_units: dict[str, TargetUnits] = {}
    for name, assembly in targets.items():
        population, target_units[name] = _target(
            name, assembly, ceiling, min_reliability, folds.seed, device
        )
        views[name] = [population.split(*split) for split in splits]
    results: dict[tuple[str, str, str], list[FoldScore]] = {}
    steps = [(name, k) for name in sources for k in range(len(splits))]
    for name, k in track(steps, "scoring", len(steps), progress):
        if k == 0:  # each source is read once, and forgotten before the next
            population = complete_population(name, sources[name], device)
        view = population.split(*splits[k])
        for goal in targets:
            for called, metric in chosen.items():
                found = metric.fit(view, views[goal][k]).score()
                results.setdefault((called, name, goal), []).append(found)
    settings = {
        "folds": asdict(folds),
        "metrics": {name: _parameters(metric) for name, metric in chosen.items()},
        "ceiling": ceiling,
        "min_reliability": min_reliability,
        "device": device or "numpy",
    }
    return label(results, target_units, units).assign_attrs(
        n_stimuli=n,
        simulated=int(any(a.data.attrs.get("simulated") for a in populations)),
        made_with=_made_with(settings, sources, targets),
    )


def check_ceiling(ceiling: str | None, targets: Mapping[str, Assembly]) -> None:
    """Make sure, before any work, that a ceiling is known and that the targets allow it."""
    if ceiling is None:
        return
    if ceiling not in CEILINGS:
        raise unknown("ceiling", ceiling, CEILINGS)
    for name, target in targets.items():
        if target.repeats < 2:
            raise InputError(
                f"ceiling={ceiling!r} needs at least two repeats of a stimulus, and target "
                f"{name!r} has one: load single trials instead of their mean, or pass "
                "ceiling=None (--ceiling none)."
            )


def _target(
    name: str,
    assembly: Assembly,
    ceiling: str | None,
    min_reliability: float,
    seed: int,
    device: str | None,
) -> tuple[Population, TargetUnits]:
    """A target as it is scored: its complete units, their ceiling, and why others do not count."""
    n_units = len(assembly.units)
    reliability = Reliability(np.full(n_units, np.nan), np.full(n_units, np.nan))
    if ceiling is not None:
        reliability = CEILINGS[ceiling](assembly.data.values, seed=seed)
    values = assembly.average().data.values
    missing = np.isnan(values).sum(0)
    rounding = 16 * np.finfo(values.dtype).eps * np.abs(values).max(0)
    constant = values.max(0) - values.min(0) <= rounding  # never so where a value is missing
    # of several reasons, the last holds
    reasons = {
        f"reliability below {min_reliability:g}": reliability.full < min_reliability,
        "reliability cannot be estimated": np.isnan(reliability.full) & (ceiling is not None),
        "constant": constant,
        "not recorded for all stimuli": missing > 0,
        "not recorded": missing == len(values),
    }
    excluded = np.full(n_units, "", dtype=f"U{max(map(len, reasons))}")
    for reason, where in reasons.items():
        excluded[where] = reason
    partly = excluded == "not recorded for all stimuli"
    if partly.any():
        warnings.warn(
            f"{int(partly.sum())} of {n_units} units of target {name!r} were not recorded for all "
            f"{len(values)} stimuli ({examples(assembly.units[partly].tolist())}) and are left "
            "out: score the stimuli, or the sessions, that they share.",
            stacklevel=3,
        )
    scored = np.flatnonzero((missing == 0) & ~constant)
    scored = scored[np.argsort(assembly.units[scored])]  # where units tie, order must not matter
    if not len(scored):
        found = ", ".join(f"{reason} ({(excluded == reason).sum()})" for reason in set(excluded))
        raise InputError(f"target {name!r} has no unit that can be scored: {found}.")
    population = Population(on_device(values[:, scored], device))
    return population, TargetUnits(assembly.units, scored, excluded, reliability)


def _parameters(metric: Metric) -> dict[str, Any]:
    kind = type(metric).__name__
    return {"metric": kind} | (asdict(metric) if is_dataclass(metric) else {"value": repr(metric)})


def _made_with(
    settings: dict[str, Any], sources: Mapping[str, Assembly], targets: Mapping[str, Assembly]
) -> str:
    """All that is needed to do it again, as JSON."""
    populations = {
        side: {name: _provenance(assembly) for name, assembly in several.items()}
        for side, several in (("sources", sources), ("targets", targets))
    }
    versions = {library: version(library) for library in LIBRARIES}
    everything = (
        settings | populations | {"python": platform.python_version(), "versions": versions}
    )
    return json.dumps(everything, default=str)


def _provenance(assembly: Assembly) -> dict[str, Any]:
    return {
        "sha256": assembly.fingerprint(),
        "n_units": len(assembly.units),
        "repeats": assembly.repeats,
        "attrs": assembly.data.attrs,
    }
