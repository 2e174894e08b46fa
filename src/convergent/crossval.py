"""Cross-validated scores: labelled assemblies in, a labelled Dataset out, bare arrays between."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from .assembly import Assembly
from .ceiling import check_ceiling
from .errors import InputError
from .folds import FoldMean, Folds
from .intake import aligned, complete_population, group_labels, named
from .metrics import METRICS, FittedMap, FoldScore, Metric, named_metrics
from .population import Split
from .progress import track
from .provenance import made_with, parameters
from .resampling import REFITS, Bootstrap, Resamples, Shuffle, draw_resamples, over_units
from .results import Cell, aggregate, label
from .targets import Goal, check_subjects, prepare

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
    device : str, optional
        Compute with torch there (``"cuda"``); with numpy where left out.
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
    if bootstrap is not None and not units:
        raise InputError("units=False keeps no resamples: leave out one of units and bootstrap.")
    for name, value, kind in (("bootstrap", bootstrap, Bootstrap), ("shuffle", shuffle, Shuffle)):
        if not (value is None or isinstance(value, kind)):
            raise InputError(
                f"{name} is {value!r}: give {kind.__name__}(...), such as {kind.__name__}(1000)."
            )
    chosen = named_metrics(metrics)
    sources, targets = named("source", source), named("target", target)
    check_ceiling(ceiling, targets)
    check_subjects(bootstrap, targets)
    sources, targets = aligned(sources, targets)
    n = len(next(iter(targets.values())).stimuli)
    populations = [*targets.values(), *sources.values()]
    groups = group_labels(folds.group, populations)
    splits = folds.split(n, groups)
    resamples = draw_resamples(bootstrap, shuffle, splits, groups)
    goals = {
        name: prepare(name, assembly, splits, chosen, ceiling, min_reliability, resamples, device)
        for name, assembly in targets.items()
    }
    cells: dict[tuple[str, str, str], Cell] = {}
    rounds = _rounds(sources, goals, chosen, splits, resamples, device, cells)
    total = len(sources) * len(splits) * (1 + (shuffle.samples if shuffle else 0))
    for _ in track(rounds, "scoring", total, progress):
        pass
    settings = {
        "folds": asdict(folds),
        "metrics": {name: parameters(metric) for name, metric in chosen.items()},
        "ceiling": ceiling,
        "min_reliability": min_reliability,
        "bootstrap": bootstrap and asdict(bootstrap),
        "shuffle": shuffle and asdict(shuffle),
        "device": device or "numpy",
    }
    results = label(cells, goals)
    if not units:
        results = aggregate(results)
    return results.assign_attrs(
        n_stimuli=n,
        simulated=int(any(a.data.attrs.get("simulated") for a in populations)),
        made_with=made_with(settings, sources=sources, targets=targets),
    )


def _rounds(
    sources: Mapping[str, Assembly],
    goals: Mapping[str, Goal],
    metrics: Mapping[str, Metric],
    splits: Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]],
    resamples: Resamples,
    device: str | None,
    cells: dict[tuple[str, str, str], Cell],
) -> Iterator[None]:
    """Fill the cells, a source at a time; pauses after each round of fits."""
    for name, assembly in sources.items():
        # each source is read once, and forgotten before the next
        population = complete_population(name, assembly, device)
        running = {
            (called, goal): _RunningCell(goals[goal].units.kept, resamples)
            for called in metrics
            for goal in goals
        }
        for k, split in enumerate(splits):
            view = population.split(*split)
            for (called, goal), cell in running.items():
                cell.add(metrics[called].fit(view, goals[goal].views[k]), split)
            yield
            for i, order in enumerate(() if resamples.orders is None else resamples.orders):
                for goal, prepared in goals.items():
                    other = _shuffled(prepared.views[k], order)
                    for called, metric in metrics.items():
                        running[called, goal].add_shuffled(i, metric.fit(view, other))
                yield
        for (called, goal), cell in running.items():
            cells[called, name, goal] = cell.done()


class _RunningCell:
    """Scores of one (metric, source, target), gathered fold by fold."""

    def __init__(self, kept: NDArray[np.intp], resamples: Resamples) -> None:
        self._kept, self._counts = kept, resamples.counts
        self._folds: list[FoldScore] = []
        self._held_out, self._refitted = FoldMean(), FoldMean()
        self._shuffled: dict[int, FoldMean] = defaultdict(FoldMean)

    def add(self, fitted: FittedMap, split: tuple[NDArray[np.intp], NDArray[np.intp]]) -> None:
        """Take in one fold."""
        self._folds.append(fitted.score())
        if self._counts is not None:
            train, test = split
            first = self._counts[:REFITS]
            self._held_out.add(fitted.resample(self._counts[:, test]))
            self._refitted.add(fitted.resample(first[:, test], first[:, train]))

    def add_shuffled(self, i: int, fitted: FittedMap) -> None:
        """Take in one fold of the i-th shuffle."""
        self._shuffled[i].add(fitted.score().r)

    def done(self) -> Cell:
        """What the result keeps."""
        held_out = refitted = shuffled = None
        if self._counts is not None:
            held_out, refitted = self._held_out.mean(), self._refitted.mean()
        if self._shuffled:
            each = np.stack([running.mean() for running in self._shuffled.values()])
            shuffled = over_units(each[:, self._kept])
        return Cell(self._folds, held_out, refitted, shuffled)


def _shuffled(view: Split, order: NDArray[np.intp]) -> Split:
    """A fold in which stimuli have changed places."""
    place = np.empty(len(order), dtype=np.intp)
    positions = []
    for part in (view.train, view.test):
        place[part] = np.arange(len(part))
        positions.append(place[order[part]])
    return view.reordered(*positions)
