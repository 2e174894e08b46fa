"""Soft matching: how alike single units are, once each has found its partners."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Literal

import array_api_compat as array_api
import numpy as np
import ot
import scipy.sparse
from numpy.typing import NDArray

from ..errors import InputError
from ..population import (
    BLOCK_BYTES,
    Array,
    Split,
    centre,
    correlate,
    correlate_resampled,
    to_numpy,
)
from .fold_score import FoldScore

__all__ = ["Plan", "SoftMatching", "SoftMatchingMap", "transport_plan"]

CANDIDATES = 6  # best partners of each unit that a round adds to the transport problem
SAMPLE = (
    3000  # source units whose matching gives first prices, where they far outnumber the targets
)
TOLERANCE = 1e-9  # of a correlation: a left-out pair that would gain less is no violation
HELD_BYTES = (
    512 * 2**20
)  # a smaller matrix of correlations is kept, a larger one made block by block

REFITTED_PAIRS = 100_000  # of units: above, a resample keeps the plan

Units = slice | NDArray[np.intp]
Correlations = Callable[[Units], NDArray[np.float64]]


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

    def fit(self, source: Split, target: Split) -> SoftMatchingMap:
        """Fit the plan on the training stimuli of a fold, without silent units.

        Parameters
        ----------
        source, target : Split
            The two populations under the same split.
        """
        x, y = _heard(source), _heard(target)
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

    source: _HeardUnits
    target: _HeardUnits
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
        observed = to_numpy(self.target.split.responses[1])
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

    def _resample_held_out(self, test: NDArray[np.float64]) -> NDArray[np.float64]:
        """Unit scores (B, q) under the plan, in resamples of the test stimuli."""
        observed = to_numpy(self.target.split.responses[1])
        heard = ~np.isnan(self.score().r)
        if self.unit_score == "barycentric":
            r = correlate_resampled(self.predict(), observed, test)
            return np.where(heard, r, np.nan)
        total = np.zeros((len(test), observed.shape[1]))
        for pairs in _blocks(len(self.plan.mass), max(test.shape)):
            shown = to_numpy(self.source.test_responses(self.plan.source[pairs]))
            partner = self.target.units[self.plan.target[pairs]]
            alike = correlate_resampled(shown, observed[:, partner], test)  # NaN stays: no score
            where = (np.arange(len(partner)), partner)
            shape = (len(partner), observed.shape[1])
            total += alike @ scipy.sparse.csr_array((self.plan.mass[pairs], where), shape=shape)
        return np.where(heard, total * len(self.target.units), np.nan)


@dataclass(frozen=True, eq=False)
class Plan:
    """Which units were matched, and how much.

    Attributes
    ----------
    source, target : int arrays (k,)
        The units of each pair.
    mass : float array (k,)
        Share of each pair; all shares sum to 1.
    violation : float
        Certificate: how much correlation the best pair left out would still gain; the plan is
        optimal where this is no more than rounding error.
    rounds : int
        How often left-out pairs were priced.
    """

    source: NDArray[np.intp]
    target: NDArray[np.intp]
    mass: NDArray[np.float64]
    violation: float
    rounds: int


def _best_plan(x: _HeardUnits, y: _HeardUnits, counts: NDArray[np.float64] | None = None) -> Plan:
    """The plan for the training stimuli, each counted so often."""
    partners = y.standardized(slice(None), counts)

    def correlations(units: Units) -> NDArray[np.float64]:
        return to_numpy(x.standardized(units, counts).T @ partners)

    p, q = len(x.units), len(y.units)
    if 8 * p * q > HELD_BYTES:
        return transport_plan(correlations, (p, q))
    rows = [correlations(units) for units in _blocks(p, len(x.split.train))]
    held = np.concatenate([np.zeros((0, q)), *rows])
    return transport_plan(lambda units: held[units], (p, q))


def transport_plan(correlations: Correlations, shape: tuple[int, int]) -> Plan:
    r"""Matching of units with the greatest total correlation, exact.

    .. math:: \max_{T \ge 0} \sum_{ij} T_{ij} c_{ij}
              \quad\text{with}\quad \sum_j T_{ij} = \frac{1}{p}, \; \sum_i T_{ij} = \frac{1}{q}.

    The network simplex is given the few best pairs of each unit, and one arbitrary plan that
    makes the problem feasible. Its dual prices tell which of all other pairs would gain; the best
    of these are added, and it is solved again, until no pair would gain.

    Parameters
    ----------
    correlations : function
        From positions of b source units to their correlations (b, q) with all target units.
    shape : tuple of int
        p and q, the numbers of source and target units.

    Raises
    ------
    RuntimeError
        Where the transport solver gives up.
    """
    p, q = shape
    if 0 in shape:
        nobody = np.zeros(0, dtype=np.intp)
        return Plan(nobody, nobody, np.zeros(0), 0.0, 0)
    # whole numbers as masses: sums are exact, and equal counts give a permutation
    common = gcd(p, q)
    supply, demand = np.full(p, q / common), np.full(q, p / common)
    prices = np.zeros(p), _first_prices(correlations, shape)
    pairs, values, _ = _best_pairs(correlations, shape, prices, -np.inf, _corner_plan(p, q))
    rounds = 0
    while True:
        rounds += 1
        costs = scipy.sparse.coo_array((1 - values, (pairs // q, pairs % q)), shape=shape)
        flow, prices = _solve(supply, demand, costs)
        gaining, gains, violation = _best_pairs(
            correlations, shape, prices, TOLERANCE, np.zeros(0, dtype=np.intp)
        )
        if violation <= TOLERANCE:
            break
        new = ~np.isin(gaining, pairs)
        if not new.any():
            break  # prices that rounding keeps from closing: the certificate says by how much
        pairs, values = np.concatenate([pairs, gaining[new]]), np.concatenate([values, gains[new]])
    flow = scipy.sparse.coo_array(flow)
    return Plan(
        flow.row.astype(np.intp),
        flow.col.astype(np.intp),
        flow.data / flow.data.sum(),
        violation,
        rounds,
    )


Prices = tuple[NDArray[np.float64], NDArray[np.float64]]  # of each source and each target unit


def _solve(
    supply: NDArray[np.float64], demand: NDArray[np.float64], costs: Any
) -> tuple[Any, Prices]:
    """Cheapest plan by the network simplex; a pair gains its correlation plus both dual prices."""
    plan, log = ot.emd(supply, demand, costs, numItermax=10**9, log=True, center_dual=False)
    if log["warning"]:
        raise RuntimeError(f"the transport solver gave up: {log['warning']}")
    return plan, (log["u"] - 1, log["v"])


def _first_prices(correlations: Correlations, shape: tuple[int, int]) -> NDArray[np.float64]:
    """Prices of the target units, from a sample of the source units where there are very many."""
    p, q = shape
    if p < 4 * max(q, SAMPLE // 2):
        return np.zeros(q)
    sample = np.sort(np.random.default_rng(0).choice(p, SAMPLE, replace=False))
    demand = np.full(q, SAMPLE / q)
    _, (_, prices) = _solve(np.ones(SAMPLE), demand, 1 - correlations(sample))
    return prices


def _best_pairs(
    correlations: Correlations,
    shape: tuple[int, int],
    prices: Prices,
    least: float,
    also: NDArray[np.intp],
) -> tuple[NDArray[np.intp], NDArray[np.float64], float]:
    """Pairs that would gain most, a few for each unit of either side, out of all p x q.

    Returns
    -------
    pairs : int array (k,)
        ``row * q + column``, sorted, with those of ``also``.
    values : float array (k,)
        Their correlations.
    most : float
        The greatest gain, correlation plus prices, of any pair.
    """
    p, q = shape
    row_price, column_price = prices
    most = -np.inf
    found, values = [], []
    column_best = np.full((0, q), -np.inf)
    for rows in _blocks(p, q):
        value = correlations(rows)
        gain = value + row_price[rows, None] + column_price
        most = max(most, float(gain.max()))
        by_row = _largest(gain, axis=1)
        by_column = _largest(gain, axis=0)
        best = np.concatenate([column_best, np.take_along_axis(gain, by_column, axis=0)])
        column_best = np.take_along_axis(best, _largest(best, axis=0), axis=0)
        worthy = np.zeros(gain.shape, dtype=bool)
        np.put_along_axis(worthy, by_row, True, axis=1)
        # what an earlier block beats in its column is of no use
        beats = np.take_along_axis(gain, by_column, axis=0) >= column_best.min(axis=0)
        np.put_along_axis(
            worthy, by_column, beats | np.take_along_axis(worthy, by_column, axis=0), axis=0
        )
        worthy &= gain > least
        here = also[(also >= rows.start * q) & (also < rows.stop * q)] - rows.start * q
        worthy.ravel()[here] = True
        flat = np.flatnonzero(worthy)
        found.append(flat + rows.start * q)
        values.append(value.ravel()[flat])
    return np.concatenate(found), np.concatenate(values), most


def _largest(values: NDArray[np.float64], axis: int) -> NDArray[np.intp]:
    """Positions of the CANDIDATES largest values along an axis."""
    size = values.shape[axis]
    if size <= CANDIDATES:
        shape = (1, size) if axis == 1 else (size, 1)
        return np.broadcast_to(np.arange(size).reshape(shape), values.shape)
    order = np.argpartition(values, size - CANDIDATES, axis=axis)
    return np.take(order, np.arange(size - CANDIDATES, size), axis=axis)


def _corner_plan(p: int, q: int) -> NDArray[np.intp]:
    """Pairs of the plan that fills units in order (the north-west corner rule): always feasible."""
    starts = np.union1d(np.arange(p) * q, np.arange(q) * p)
    return (starts // q) * q + starts // p


def _blocks(length: int, width: int) -> Iterator[slice]:
    """Slices of ``length`` things that have ``width`` float64 values each."""
    step = max(1, BLOCK_BYTES // (8 * max(width, 1)))
    return (slice(start, min(start + step, length)) for start in range(0, length, step))


@dataclass(frozen=True, eq=False)
class _HeardUnits:
    """The units of a population that vary over the training stimuli, and how they do."""

    split: Split
    units: NDArray[np.intp]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]

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
            # a unit may be silent in these stimuli
            return xp.where(length > 0, block / xp.where(length > 0, length, 1.0), 0.0)
        _, centred, length = centre(block)
        return centred / length

    def test_responses(self, which: NDArray[np.intp]) -> Array:
        """Test responses (n_test, b) of some of the units."""
        return self.split.population.columns(self.units[which], self.split.test)


def _heard(split: Split) -> _HeardUnits:
    """Set silent units aside."""
    means, deviations = [], []
    for block in split.population.blocks(split.train):
        mean, _, length = centre(block)
        means.append(to_numpy(mean))
        deviations.append(to_numpy(length) / len(split.train) ** 0.5)
    mean, deviation = np.concatenate(means), np.concatenate(deviations)
    units = np.flatnonzero(deviation > 0)
    return _HeardUnits(split, units, mean[units], deviation[units])
