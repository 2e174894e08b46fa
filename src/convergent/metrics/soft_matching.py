"""Soft matching: how alike single units are, once each has found its partners."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import array_api_compat as array_api
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..base.arrays import Array, centre, correlate, correlate_resampled, to_numpy
from ..base.errors import InputError
from .base import FoldScore
from .population import BLOCK_BYTES, PopulationFold
from .transport import Plan, transport_plan

__all__ = ["HELD_BYTES", "REFITTED_PAIRS", "SoftMatching", "SoftMatchingMap", "Units"]

HELD_BYTES = 512 * 2**20  # of responses: more are read again in every round
REFITTED_PAIRS = 100_000  # of units: above, a resample keeps the plan
Units = slice | NDArray[np.intp]


@dataclass(frozen=True)
class SoftMatching:
    """Matching of units; ignores their order and, unit by unit, shift and (positive) scale.

    With equal counts each source unit has one partner: a permutation. Otherwise every unit of a
    side has the same mass, spread over one or several partners.

    Parameters
    ----------
    unit_score : {"pairwise", "barycentric"}
        The mean correlation with the partners, weighted by mass, or the correlation with the
        partners' mean response (each in standard deviations).

    Raises
    ------
    InputError
        Where `unit_score` is neither.

    References
    ----------
    Khosla and Williams 2024, "Soft matching distance", PMLR 243; Li et al. 2015, arXiv 1511.07543;
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.
    """

    unit_score: Literal["pairwise", "barycentric"] = "pairwise"

    def __post_init__(self) -> None:
        if self.unit_score not in ("pairwise", "barycentric"):
            raise InputError(f"unit_score is 'pairwise' or 'barycentric', not {self.unit_score!r}.")

    def fit(self, source: PopulationFold, target: PopulationFold) -> SoftMatchingMap:
        """Fit the plan on the training stimuli of a fold, without silent units.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split.
        """
        x, y = _responsive(source), _responsive(target)
        return SoftMatchingMap(x, y, _best_plan(x, y), self.unit_score)


@dataclass(frozen=True, eq=False)
class SoftMatchingMap:
    """A fitted matching of units.

    Attributes
    ----------
    source, target : HeardUnits
        The units that were matched; silent ones are left out.
    plan : Plan
        Who is whose partner, as positions among those units.
    """

    source: _ResponsiveUnits
    target: _ResponsiveUnits
    plan: Plan
    unit_score: Literal["pairwise", "barycentric"]

    def predict(self) -> NDArray[np.float64]:
        """Mean response (n_test, q) of each target unit's partners, in standard deviations."""
        n, q = len(self.source.split.test), self.target.split.population.n_units
        total = np.zeros((n, q))
        for pairs in _blocks(len(self.plan.mass), n):
            units = self.plan.source[pairs]
            shown = to_numpy(self.source.test_responses(units)) - self.source.mean[units]
            partner = self.target.units[self.plan.target[pairs]]
            share = self.plan.mass[pairs] / self.source.deviation[units]
            shape = (len(units), q)
            weights = scipy.sparse.csr_array((share, (np.arange(len(units)), partner)), shape=shape)
            total += np.asarray(shown @ weights)
        return total * len(self.target.units)

    def score(self) -> FoldScore:
        """Score of each target unit on the test stimuli, and the plan's total correlation there."""
        observed = self._observed()
        matched = np.zeros(observed.shape[1])
        for pairs in _blocks(len(self.plan.mass), len(observed)):
            shown = to_numpy(self.source.test_responses(self.plan.source[pairs]))
            partner = self.target.units[self.plan.target[pairs]]
            alike = np.nan_to_num(correlate(shown, observed[:, partner]))
            matched += np.bincount(partner, self.plan.mass[pairs] * alike, minlength=len(matched))
        if self.unit_score == "pairwise":
            r = matched * len(self.target.units)
        else:
            r = correlate(self.predict(), observed)
        scored = np.zeros(len(r), dtype=bool)
        scored[self.target.units] = True
        scored &= ~np.isnan(correlate(observed, observed))
        return FoldScore(
            np.where(scored, r, np.nan),
            similarity=float(matched.sum()),
            silent_source=self.source.split.population.n_units - len(self.source.units),
            silent_target=self.target.split.population.n_units - len(self.target.units),
        )

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Unit scores in resamples of the stimuli.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts.
        train : float array (B, n_train), optional
            How often each training stimulus counts in a new plan; once where left out. With more
            than a hundred thousand pairs of units the plan stays as it is: what chance does to
            single partners averages out over so many.

        Returns
        -------
        float array (B, q)
        """
        p, q = len(self.source.units), len(self.target.units)
        if train is None or p * q > REFITTED_PAIRS:
            return self._resample_held_out(test)
        scores = []
        for tested, fitted in zip(test, train, strict=True):
            plan = _best_plan(self.source, self.target, fitted)
            scores.append(replace(self, plan=plan)._resample_held_out(tested[None]))
        return np.concatenate(scores)

    def _observed(self) -> NDArray[np.float64]:
        """Test responses (n_test, q) of all target units."""
        split = self.target.split
        everything = slice(0, split.population.n_units)
        return np.asarray(to_numpy(split.population.columns(everything, split.test)))

    def _resample_held_out(self, test: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unit scores (B, q) under the plan, in resamples of the test stimuli."""
        observed = self._observed()
        responsive = ~np.isnan(self.score().r)
        if self.unit_score == "barycentric":
            r = correlate_resampled(self.predict(), observed, test)
            return np.where(responsive, r, np.nan)
        total = np.zeros((len(test), observed.shape[1]))
        for pairs in _blocks(len(self.plan.mass), max(test.shape)):
            shown = to_numpy(self.source.test_responses(self.plan.source[pairs]))
            partner = self.target.units[self.plan.target[pairs]]
            alike = correlate_resampled(shown, observed[:, partner], test)  # NaN stays: no score
            where = (np.arange(len(partner)), partner)
            shape = (len(partner), observed.shape[1])
            total += alike @ scipy.sparse.csr_array((self.plan.mass[pairs], where), shape=shape)
        return np.where(responsive, total * len(self.target.units), np.nan)


def _best_plan(
    x: _ResponsiveUnits, y: _ResponsiveUnits, counts: NDArray[np.float64] | None = None
) -> Plan:
    """The plan for the training stimuli, each counted so often.

    The side with fewer units is held; the other is, too, unless it is large.
    """
    if len(y.units) > len(x.units) and not y.small:
        return _best_plan(y, x, counts).swapped()
    partners = y.standardized(slice(None), counts)
    if x.small or counts is not None:
        return transport_plan(x.standardized(slice(None), counts), partners)
    return transport_plan(x, partners)


def _blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of ``length`` things that have ``width`` float64 values each."""
    step = max(1, BLOCK_BYTES // (8 * max(width, 1)))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


@dataclass(frozen=True, eq=False)
class _ResponsiveUnits:
    """The units of a population that vary over the training stimuli, and how they do."""

    split: PopulationFold
    units: NDArray[np.intp]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def small(self) -> bool:
        """Whether the responses of all are few enough to be held."""
        return 8 * len(self.split.train) * len(self.units) <= HELD_BYTES

    @property
    def shape(self) -> tuple[int, int]:
        """Training stimuli, units."""
        return len(self.split.train), len(self.units)

    def block(self, units: slice) -> Array:
        """Training responses (n_train, b), as `transport_plan` wants them."""
        return self.standardized(units)

    def standardized(self, which: Units, counts: NDArray[np.float64] | None = None) -> Array:
        """Training responses (n_train, b), centred, of norm 1: products are correlations."""
        everything = len(self.units) == self.split.population.n_units  # a slice is read faster
        units = which if everything else self.units[which]
        block = self.split.population.columns(units, self.split.train)
        if counts is not None:  # each stimulus so often
            xp = array_api.array_namespace(block)
            weights = xp.asarray(counts, device=array_api.device(block))[:, None]
            block = (block - xp.sum(weights * block, axis=0) / counts.sum()) * weights**0.5
            length = xp.sum(block**2, axis=0) ** 0.5
            # a unit may be silent in these stimuli, but for rounding
            usual = xp.asarray(self.deviation[which], device=array_api.device(block))
            responsive = length > 1e-12 * counts.sum() ** 0.5 * usual
            return xp.where(responsive, block / xp.where(responsive, length, 1.0), 0.0)
        _, centred, length = centre(block)
        return centred / length

    def test_responses(self, which: NDArray[np.intp]) -> Array:
        """Test responses (n_test, b) of some of the units."""
        return self.split.population.columns(self.units[which], self.split.test)


def _responsive(split: PopulationFold) -> _ResponsiveUnits:
    """Set silent units aside."""
    mean, length = map(to_numpy, split.variation)
    units = np.flatnonzero(length > 0)
    return _ResponsiveUnits(split, units, mean[units], length[units] / len(split.train) ** 0.5)
