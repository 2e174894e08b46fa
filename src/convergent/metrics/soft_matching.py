"""Soft matching: how alike single units are, once each has found its partners."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import array_api_compat as array_api
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from ..base.arguments import check_known
from ..base.arrays import (
    Array,
    Integers,
    centre,
    correlate,
    correlate_resampled,
    is_silent,
    to_numpy,
)
from .base import FoldScore, check_pair
from .column_generation import Plan, optimal_plan
from .population import BLOCK_BYTES, PopulationFold

__all__ = ["HELD_BYTES", "REFITTED_PAIRS", "SoftMatching", "SoftMatchingMap"]

HELD_BYTES = 512 * 2**20  # of responses: more are read again in every round
REFITTED_PAIRS = 100_000  # of units: above, a resample uses the plan of all stimuli


@dataclass(frozen=True)
class SoftMatching:
    r"""Matching of units; ignores their order and, unit by unit, shift and (positive) scale.

    The plan T has uniform marginals and maximises the total correlation over the training stimuli,

    .. math:: \sum_{ij} T_{ij} \operatorname{corr}(x_i, y_j)
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    With equal counts each source unit has one partner: a permutation. Otherwise the mass of a unit
    is spread over one or several partners. The score of target unit j over the test stimuli is
    :math:`q \sum_i T_{ij} \operatorname{corr}(x_i, y_j)` (``"pairwise"``), or the correlation of
    :math:`y_j` with :math:`\sum_i T_{ij} z_i` (``"barycentric"``), where :math:`z_i` is
    :math:`x_i` in its standard deviations over the training stimuli.

    Parameters
    ----------
    unit_score : {"pairwise", "barycentric"}
        The mean correlation with the partners, weighted by mass, or the correlation with the
        partners' mean response.

    Raises
    ------
    InputError
        If `unit_score` is neither.

    References
    ----------
    Khosla and Williams 2024, "Soft matching distance", PMLR 243; Li et al. 2015, arXiv 1511.07543;
    Kapoor, Srivastava and Khosla 2025, arXiv 2502.18710.

    Examples
    --------
    >>> import convergent as cv
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_normal((60, 5))
    >>> y = 2 * x[:, [3, 1, 4, 0, 2]] + 7  # the same units, in another order, scale and offset
    >>> train, test = np.arange(48), np.arange(48, 60)
    >>> folds = [cv.Population(z).fold(train, test) for z in (x, y)]
    >>> cv.SoftMatching().fit(*folds).score().r.round(6).tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0]
    """

    unit_score: Literal["pairwise", "barycentric"] = "pairwise"

    def __post_init__(self) -> None:
        check_known("unit_score", self.unit_score, ("pairwise", "barycentric"))

    def fit(self, source: PopulationFold, target: PopulationFold) -> SoftMatchingMap:
        """Fit the plan on the training stimuli of a fold, without silent units.

        Parameters
        ----------
        source, target : PopulationFold
            The two populations under the same split.

        Returns
        -------
        SoftMatchingMap
            The matching.

        Raises
        ------
        InputError
            If the two are not under the same split of the same stimuli.
        """
        check_pair(source, target)
        x, y = _varying(source), _varying(target)
        return SoftMatchingMap(x, y, _best_plan(x, y), self.unit_score)


@dataclass(frozen=True, eq=False)
class SoftMatchingMap:
    """A fitted matching of units.

    Attributes
    ----------
    source, target : units of each side
        The units that were matched, ``.units`` their positions; silent ones are not among them.
    plan : Plan
        Pairs of partners, as positions among those units.
    unit_score : {"pairwise", "barycentric"}
        As for `SoftMatching`.
    """

    source: _VaryingUnits
    target: _VaryingUnits
    plan: Plan
    unit_score: Literal["pairwise", "barycentric"]

    def predict(self) -> NDArray[np.float64]:
        """Mean response of each target unit's partners to the test stimuli.

        Returns
        -------
        float array (n_test, q)
            In standard deviations over the training stimuli.
        """
        n, q = len(self.source.fold.test), self.target.fold.population.n_units
        total = np.zeros((n, q))
        for pairs in _blocks(len(self.plan.mass), n):
            units = self.plan.source[pairs]
            partner = self.target.units[self.plan.target[pairs]]
            share = self.plan.mass[pairs] / self.source.deviation[units]
            shape = (len(units), q)
            weights = scipy.sparse.csr_array((share, (np.arange(len(units)), partner)), shape=shape)
            total += np.asarray(self.source.test_responses(units) @ weights)
        return total * len(self.target.units)

    def score(self) -> FoldScore:
        """Score each target unit on the test stimuli.

        Returns
        -------
        FoldScore
            Unit scores; ``similarity`` is the plan's total correlation over the test stimuli, NaN
            where all units of a population are silent.
        """
        observed = self._observed()
        matched = np.zeros(observed.shape[1])
        for pairs in _blocks(len(self.plan.mass), len(observed)):
            responses = self.source.test_responses(self.plan.source[pairs])
            partner = self.target.units[self.plan.target[pairs]]
            alike = np.nan_to_num(correlate(responses, observed[:, partner]))
            matched += np.bincount(partner, self.plan.mass[pairs] * alike, minlength=len(matched))
        if self.unit_score == "pairwise":
            r = matched * len(self.target.units)
        else:
            r = correlate(self.predict(), observed)
        scored = np.zeros(len(r), dtype=bool)
        scored[self.target.units] = True
        scored &= ~is_silent(observed)
        return FoldScore(
            np.where(scored, r, np.nan),
            similarity=float(matched.sum()) if len(self.plan.mass) else float("nan"),
            silent_source=self.source.fold.population.n_units - len(self.source.units),
            silent_target=self.target.fold.population.n_units - len(self.target.units),
        )

    def resample(
        self, test: NDArray[np.float64], train: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Score the matching in resamples of the stimuli.

        Parameters
        ----------
        test : float array (B, n_test)
            How often each test stimulus counts.
        train : float array (B, n_train), optional
            How often each training stimulus counts in a new plan; once by default. With more than
            a hundred thousand pairs of units the plan of all stimuli is used: chance in single
            partners averages out over so many.

        Returns
        -------
        float array (B, q)
            Unit scores.
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
        fold = self.target.fold
        everything = slice(0, fold.population.n_units)
        return np.asarray(to_numpy(fold.population.columns(everything, fold.test)))

    def _resample_held_out(self, test: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unit scores (B, q) under the plan, in resamples of the test stimuli."""
        observed = self._observed()
        scored = ~np.isnan(self.score().r)
        if self.unit_score == "barycentric":
            r = correlate_resampled(self.predict(), observed, test)
            return np.where(scored, r, np.nan)
        total = np.zeros((len(test), observed.shape[1]))
        for pairs in _blocks(len(self.plan.mass), max(test.shape)):
            responses = self.source.test_responses(self.plan.source[pairs])
            partner = self.target.units[self.plan.target[pairs]]
            alike = correlate_resampled(responses, observed[:, partner], test)  # NaN: no score
            where = (np.arange(len(partner)), partner)
            shape = (len(partner), observed.shape[1])
            total += alike @ scipy.sparse.csr_array((self.plan.mass[pairs], where), shape=shape)
        return np.where(scored, total * len(self.target.units), np.nan)


def _best_plan(
    x: _VaryingUnits, y: _VaryingUnits, counts: NDArray[np.float64] | None = None
) -> Plan:
    """The plan for the training stimuli, each counted so often.

    The responses of the side with fewer units are held in memory; those of the other as well,
    unless they are very many.
    """
    if len(y.units) > len(x.units) and not y.small:
        return _best_plan(y, x, counts).swapped()
    partners = y.standardized(slice(None), counts)
    if x.small or counts is not None:
        return optimal_plan(x.standardized(slice(None), counts), partners)
    return optimal_plan(x, partners)


def _blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of ``length`` things that have ``width`` float64 values each."""
    step = max(1, BLOCK_BYTES // (8 * max(width, 1)))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


@dataclass(frozen=True, eq=False)
class _VaryingUnits:
    """The units of a population that vary over the training stimuli."""

    fold: PopulationFold
    units: Integers
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

    @property
    def small(self) -> bool:
        """Whether the responses are few enough to be held in memory."""
        return 8 * len(self.fold.train) * len(self.units) <= HELD_BYTES

    @property
    def shape(self) -> tuple[int, int]:
        """Training stimuli, units."""
        return len(self.fold.train), len(self.units)

    def block(self, units: slice) -> Array:
        """Training responses (n_train, b), as `optimal_plan` takes them."""
        return self.standardized(units)

    def standardized(
        self, which: slice | Integers, counts: NDArray[np.float64] | None = None
    ) -> Array:
        """Training responses (n, b), centred, of norm 1: products are correlations.

        With counts, only stimuli that count are among the n.
        """
        every = len(self.units) == self.fold.population.n_units  # a slice is read faster
        units = which if every else self.units[which]
        if counts is None:
            _, centred, length = centre(self.fold.population.columns(units, self.fold.train))
            return centred / length
        some = np.flatnonzero(counts)
        block = self.fold.population.columns(units, self.fold.train[some])
        xp = array_api.array_namespace(block)
        weights = xp.asarray(counts[some], device=array_api.device(block))[:, None]
        silent = is_silent(block)  # over the stimuli that are drawn
        block = block - block[:1]  # large means would cost digits
        block = (block - xp.sum(weights * block, axis=0) / counts.sum()) * weights**0.5
        length = xp.sum(block**2, axis=0) ** 0.5
        return block / xp.where(silent, float("inf"), length)

    def test_responses(self, which: Integers) -> NDArray[np.float64]:
        """Test responses (n_test, b) of some of the units, less their training mean."""
        responses = self.fold.population.columns(self.units[which], self.fold.test)
        return np.asarray(to_numpy(responses) - self.mean[which])


def _varying(fold: PopulationFold) -> _VaryingUnits:
    """Set silent units aside."""
    mean, length = map(to_numpy, fold.variation)
    units = np.flatnonzero(length > 0)
    return _VaryingUnits(fold, units, mean[units], length[units] / len(fold.train) ** 0.5)
