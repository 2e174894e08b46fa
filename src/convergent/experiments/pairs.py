"""Pairs of populations, each scored by itself, with what a study keeps of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dask.array
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..assembly import Assembly
from ..cell import Cell, RunningCell
from ..folds import FoldMean
from ..inference import REFIT_SHARE, REFIT_SHARE_OF_DIFFERENCE, spread
from ..metrics import Metric
from ..population import Population, Split
from ..provenance import parameters
from ..resampling import Resamples, over_units
from ..source_code import code_of
from ..study import Study
from ..sweep import Sweep

__all__ = ["Pairs", "Shown", "aggregates", "show", "summarize"]

Splits = Sequence[tuple[NDArray[np.intp], NDArray[np.intp]]]


@dataclass(frozen=True, eq=False)
class Shown:
    """A population under the folds; what is derived from it is computed once, when it is needed.

    Attributes
    ----------
    prints : list of str
        SHA-256 of the assemblies that it consists of; empty where nothing is kept.
    views : list of Split
        One a fold.
    """

    prints: Sequence[str]
    views: Sequence[Split]


def show(population: Population, splits: Splits, prints: Sequence[str] = ()) -> Shown:
    """A population under folds.

    Parameters
    ----------
    population : Population
        Responses.
    splits : list of (train, test)
        Positions of the stimuli of each fold.
    prints : list of str
        SHA-256 of what the population consists of.
    """
    return Shown(prints, [population.split(*split) for split in splits])


class Pairs:
    """Fits of all folds of single pairs, or what a study keeps of them.

    Parameters
    ----------
    sweep : Sweep
        Metrics, folds, resamples and device.
    study : Study or None
        Where finished cells are kept, and found.
    kind : str
        Name of the experiment, for the study.
    """

    def __init__(self, sweep: Sweep, study: Study | None, kind: str) -> None:
        self._sweep, self._study, self._kind = sweep, study, kind

    def fingerprint(self, assembly: Assembly) -> str:
        """SHA-256 of an assembly, where a study needs it; else ''."""
        return assembly.fingerprint() if self._study else ""

    def population(self, assemblies: Sequence[Assembly]) -> Population:
        """Assemblies of the same units, one below the other."""
        arrays = [assembly.data.data for assembly in assemblies]
        if len(arrays) == 1:
            return Population(arrays[0], self._sweep.device)
        on_disk = any(hasattr(values, "compute") for values in arrays)
        stacked = (dask.array.concatenate if on_disk else np.concatenate)(arrays)
        return Population(stacked, self._sweep.device)

    def cells(
        self, source: Shown, target: Shown, way: str = "", resamples: Resamples | None = None
    ) -> dict[str, Cell]:
        """Scores of a pair, by metric.

        Parameters
        ----------
        source, target : Shown
            Under the same folds.
        way : str
            What sets these folds apart from others of the experiment.
        resamples : Resamples, optional
            In place of the sweep's, where stimuli stand in several places.
        """
        resamples = self._sweep.resamples if resamples is None else resamples
        found: dict[str, Cell] = {}
        missing: dict[str, dict[str, Any]] = {}
        for name, metric in self._sweep.metrics.items():
            made_of = self._made_of(way, metric, source, target) if self._study else {}
            known = self._study and self._study.recall(made_of)
            if known:
                found[name] = Cell.from_arrays(known)
            else:
                missing[name] = made_of
        everything = np.arange(target.views[0].population.n_units)
        running = {name: RunningCell(everything, resamples) for name in missing}
        for x, y in zip(source.views, target.views, strict=True):
            for name, cell in running.items():
                cell.add(self._sweep.metrics[name].fit(x, y), (x.train, x.test))
        for name, cell in running.items():
            found[name] = cell.done()
            if self._study:
                self._study.keep(missing[name], found[name].arrays())
        return {name: found[name] for name in self._sweep.metrics}

    def _made_of(self, way: str, metric: Metric, source: Shown, target: Shown) -> dict[str, Any]:
        return self._sweep.drawn | {
            "kind": self._kind,
            "way": way,
            "metric": code_of(type(metric)) | parameters(metric),
            "source": list(source.prints),
            "target": list(target.prints),
        }


def aggregates(cell: Cell) -> dict[str, Any]:
    """Median over units of the mean over folds: ``r``, and with resamples ``stimuli``, ``refit``.

    Parameters
    ----------
    cell : Cell
        All units count.
    """
    found: dict[str, Any] = {"r": over_units(FoldMean.of(f.r for f in cell.folds)[None])[0]}
    if cell.held_out is not None and cell.refitted is not None:
        found |= {"stimuli": over_units(cell.held_out), "refit": over_units(cell.refitted)}
    return found


def summarize(
    result: xr.Dataset,
    statistics: Callable[[xr.Dataset, str], dict[str, xr.DataArray]],
    sweep: Sweep,
    level: float,
) -> xr.Dataset:
    """Add what follows from the scores, with intervals where there are resamples of these.

    Parameters
    ----------
    result : xarray.Dataset
        Scores, and with resamples the same by name ``@stimuli`` and ``@refit``, along a dim of that
        name; these are left out of what is returned.
    statistics : function
        From the dataset, and ``""``, ``"@stimuli"`` or ``"@refit"``, to what follows from those
        scores. The scores themselves begin with r; all else compares scores of the same stimuli.
    sweep : Sweep
        Folds and resamples.
    level : float
        Of the confidence intervals.
    """
    given = statistics(result, "")
    kept = result[[name for name in result.variables if "@" not in str(name)]].assign(given)
    if "r@refit" not in result:
        return kept
    draws = {factor: statistics(result, f"@{factor}") for factor in ("stimuli", "refit")}
    n_drawn = {"stimuli": float(sweep.resamples.n_drawn)}
    for name, estimate in given.items():
        moved = {
            factor: several[name].transpose(factor, *estimate.dims).values
            for factor, several in draws.items()
        }
        share = REFIT_SHARE if name.startswith("r") else REFIT_SHARE_OF_DIFFERENCE
        found = spread(moved, n_drawn, len(sweep.splits), share)
        ends = found.interval(estimate.values, level)
        for end, values in zip(("low", "high"), ends, strict=True):
            kept[f"{name}_{end}"] = estimate.copy(data=values)
    return kept
